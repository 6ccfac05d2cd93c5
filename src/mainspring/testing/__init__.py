"""Helpers for tests of programs that use mainspring, and contract suites for stores of your own.

Each is loaded when it is asked for: the contracts need pytest, the machine hypothesis.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mainspring.queue.kit.front import TestQueue
    from mainspring.queue.kit.job import TestJob
    from mainspring.testing.clock import FrozenClock
    from mainspring.testing.contracts.service import ServiceContract
    from mainspring.testing.contracts.store import StoreContract
    from mainspring.testing.fake_job import FakeJob, fake_job
    from mainspring.testing.machine.store import StoreMachine

_HOMES = {
    "FakeJob": "mainspring.testing.fake_job",
    "FrozenClock": "mainspring.testing.clock",
    "ServiceContract": "mainspring.testing.contracts.service",
    "StoreContract": "mainspring.testing.contracts.store",
    "StoreMachine": "mainspring.testing.machine.store",
    "TestJob": "mainspring.queue.kit.job",
    "TestQueue": "mainspring.queue.kit.front",
    "fake_job": "mainspring.testing.fake_job",
}

__all__ = [
    "FakeJob",
    "FrozenClock",
    "ServiceContract",
    "StoreContract",
    "StoreMachine",
    "TestJob",
    "TestQueue",
    "fake_job",
]


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(home), name)
    globals()[name] = value
    return value

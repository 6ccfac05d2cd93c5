"""Contract suites and helpers for tests, of ours and of yours.

Each is loaded when it is asked for: the contracts need pytest, the machine hypothesis.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mainspring.testing.clock import FrozenClock
    from mainspring.testing.contracts.service import ServiceContract
    from mainspring.testing.contracts.store import StoreContract
    from mainspring.testing.machine.store import StoreMachine

_HOMES = {
    "FrozenClock": "mainspring.testing.clock",
    "ServiceContract": "mainspring.testing.contracts.service",
    "StoreContract": "mainspring.testing.contracts.store",
    "StoreMachine": "mainspring.testing.machine.store",
}

__all__ = ["FrozenClock", "ServiceContract", "StoreContract", "StoreMachine"]


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(home), name)
    globals()[name] = value
    return value

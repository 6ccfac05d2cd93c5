"""What every store must do, as tests that a test module inherits. Needs pytest.

    from mainspring.testing import StoreContract

    class TestMyStore(StoreContract):
        @pytest.fixture
        def store(self, clock, tmp_path):
            store = MyStore(tmp_path, clock=clock)
            yield store
            store.close()

`store` gives an empty store that implements `mainspring.protocols.JobStore` and asks `clock`, and
nothing else, for the time. `StoreMachine` walks the same ground at random, and more of it. How to
use both, and which test holds which invariant: docs/howto/store.md.
"""

from __future__ import annotations

import pytest

from mainspring.testing.catalog_contract import CatalogContract
from mainspring.testing.clock import FrozenClock
from mainspring.testing.controls_contract import ControlsContract
from mainspring.testing.job_contract import JobContract
from mainspring.testing.journal_contract import JournalContract
from mainspring.testing.node_contract import NodeContract
from mainspring.testing.timetable_contract import TimetableContract
from mainspring.testing.unique_contract import IdempotencyContract, UniqueContract
from mainspring.testing.wake_contract import WakeContract


class StoreContract(
    JobContract,
    NodeContract,
    UniqueContract,
    IdempotencyContract,
    ControlsContract,
    CatalogContract,
    JournalContract,
    TimetableContract,
    WakeContract,
):
    """The contract of a JobStore: inherit it, and add a fixture `store`."""

    @pytest.fixture
    def clock(self) -> FrozenClock:
        """Return the clock that the store is to be made with."""
        return FrozenClock()

"""What every store must do, as tests that a test module inherits. Needs pytest.

    class TestMyStore(StoreContract):
        @pytest.fixture
        def store(self, clock, tmp_path):
            return MyStore(tmp_path, clock=clock)

`store` implements Store and Catalog over the frozen `clock`. The state machine in `store_machine`
walks the same ground at random.
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
    """The contract of Store and Catalog: inherit it, and add a fixture `store`."""

    @pytest.fixture
    def clock(self) -> FrozenClock:
        """Return the clock that the store is to be made with."""
        return FrozenClock()

"""Contract of a store, as tests that a test module inherits. Needs pytest.

    from mainspring.testing import StoreContract

    class TestMyStore(StoreContract):
        @pytest.fixture
        def store(self, clock, tmp_path):
            store = MyStore(tmp_path, clock=clock)
            yield store
            store.close()

        @pytest.fixture
        def forge_node(self):
            def forge(store, job_id):
                store.write_node_of(job_id, 999_999)
            return forge

`store` gives an empty store that implements `mainspring.protocols.JobStore` and asks `clock`, and
nothing else, for the time. `forge_node` writes that a running job runs on a node that is not there,
as somebody does who can write to the store by other ways than ours; where nobody can, it skips.
`StoreMachine` walks the same ground at random, and more of it. How to use both, and which test
holds which invariant: docs/howto/store.md.
"""

from __future__ import annotations

import pytest

from mainspring.testing.clock import FrozenClock
from mainspring.testing.contracts.catalog import CatalogContract
from mainspring.testing.contracts.controls import ControlsContract
from mainspring.testing.contracts.job import JobContract
from mainspring.testing.contracts.journal import JournalContract
from mainspring.testing.contracts.locks import LocksContract
from mainspring.testing.contracts.node import NodeContract
from mainspring.testing.contracts.options import OptionsContract, TagContract
from mainspring.testing.contracts.portable import PortableContract
from mainspring.testing.contracts.reschedule import RescheduleContract
from mainspring.testing.contracts.time_series import TimeSeriesContract
from mainspring.testing.contracts.timetable import TimetableContract
from mainspring.testing.contracts.unique import IdempotencyContract, UniqueContract
from mainspring.testing.contracts.wake import WakeContract


class StoreContract(
    JobContract,
    NodeContract,
    UniqueContract,
    IdempotencyContract,
    ControlsContract,
    RescheduleContract,
    OptionsContract,
    TagContract,
    CatalogContract,
    JournalContract,
    TimetableContract,
    LocksContract,
    TimeSeriesContract,
    PortableContract,
    WakeContract,
):
    """The contract of a JobStore: inherit it, and add a fixture `store`."""

    @pytest.fixture
    def clock(self) -> FrozenClock:
        """Return the clock that the store is to be made with."""
        return FrozenClock()

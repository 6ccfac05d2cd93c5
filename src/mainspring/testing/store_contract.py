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

from mainspring.testing.clock import FrozenClock
from mainspring.testing.job_contract import JobContract
from mainspring.testing.node_contract import NodeContract
from mainspring.testing.unique_contract import IdempotencyContract, UniqueContract
from mainspring.testing.wake_contract import WakeContract


class StoreContract(JobContract, NodeContract, UniqueContract, IdempotencyContract, WakeContract):
    """The contract of Store and Catalog: inherit it, and add a fixture `store`."""

    @pytest.fixture
    def clock(self) -> FrozenClock:
        """Return the clock that the store is to be made with."""
        return FrozenClock()

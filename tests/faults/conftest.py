"""What fault tests share: stopping a worker without stopping everybody else."""

from __future__ import annotations

import signal

import pytest

from mainspring import Queue
from mainspring.errors import StoreBusy


@pytest.fixture
def stop(tmp_path, eventually):
    """Stop a worker process, but not in the midst of a write: that would stop all who write."""
    probe = Queue(db_path=tmp_path / "jobs.db", durability="normal", busy_timeout=0.3)

    def stopped(worker):
        worker.send(signal.SIGSTOP)
        try:
            probe._store.renew(0, lease=1)
        except StoreBusy:
            worker.send(signal.SIGCONT)
            return False
        return True

    yield lambda worker: eventually(lambda: stopped(worker), within=20)
    probe.close()

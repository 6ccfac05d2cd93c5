"""A worker over a store that raises and loses leases at random: every job is recorded once."""

from __future__ import annotations

import asyncio
import random
import sqlite3
import threading

import pytest
from msgspec.structs import replace

from mainspring import Exponential, Queue
from mainspring.errors import LeaseLost, StoreBusy, StoreUnusable

JOBS = 1_000


class TroubledStore:
    """Raises before a call, or takes the lease away, as chance will have it; not while `calm`."""

    def __init__(self, store, seed):
        self._store = store
        self._chance = random.Random(seed)
        self._lock = threading.Lock()
        self._odd = False
        self.calm = True
        self.raised = 0

    def __getattr__(self, name):
        return getattr(self._store, name)

    def _strike(self):
        with self._lock:
            dice = 1.0 if self.calm else self._chance.random()
            # An error that says nothing of the store is a refusal when it comes again and again.
            odd, self._odd = self._odd, 0.15 <= dice < 0.2
        if dice < 0.1:
            self._raise(StoreBusy("jobs.db", 0.0, "somebody"))
        if dice < 0.15:
            self._raise(StoreUnusable("jobs.db", "no memory is left", "get some"))
        if dice < 0.2 and not odd:
            self._raise(sqlite3.OperationalError("disk I/O error"))
        return dice

    def _raise(self, error):
        self.raised += 1
        raise error

    def exchange(self, node, outcomes, wants):
        if self._strike() > 0.97 and not self.calm:
            self._store.rescue(node, dead=True, begun=frozenset())
            self._raise(LeaseLost(str(node)))
        return self._store.exchange(node, outcomes, wants)

    def finish_many(self, node, outcomes):
        self._strike()
        return self._store.finish_many(node, outcomes)

    def renew(self, node, **how):
        self._strike()
        return self._store.renew(node, **how)

    def join(self, name, **how):
        self._strike()
        return self._store.join(name, **how)

    def leave(self, node):
        self._strike()
        return self._store.leave(node)

    def nodes(self):
        self._strike()
        return self._store.nodes()


@pytest.fixture
def small_batches(monkeypatch):
    monkeypatch.setattr("mainspring.engine.claims.slots.MOST_CLAIMED", 12)
    monkeypatch.setattr("mainspring.engine.claims.outbox.MOST_OUTCOMES", 8)


@pytest.fixture
def quick_recovery(monkeypatch):
    """What failed goes on at once: the rest between is for people's disks, not for tests."""
    monkeypatch.setattr(
        "mainspring.supervision.restart.DoublingBackoff.delay", lambda *_, **__: 0.001
    )


@pytest.mark.usefixtures("small_batches", "quick_recovery")
@pytest.mark.parametrize("seed", range(6))
def test_every_job_is_recorded_completed_exactly_once(seed, eventually, monkeypatch):
    queue = Queue("memory://", workers=4, async_slots=4, grace=5, lease=2.0, heartbeat=0.05)
    store = queue._store
    troubled = TroubledStore(store, seed)
    config = queue._consumers.config()
    monkeypatch.setattr(queue._consumers, "config", lambda *_: replace(config, store=troubled))

    @queue.task(name="double", backoff=Exponential(base=0.0))
    def double(n):
        return 2 * n

    @queue.task(name="adouble", backoff=Exponential(base=0.0))
    async def adouble(n):
        await asyncio.sleep(0)
        return 2 * n

    half = [(n,) for n in range(JOBS // 2)]
    with queue.worker():
        troubled.calm = False
        jobs = [*double.map(half), *adouble.map(half)]
        eventually(lambda: queue.stats()["completed"] == JOBS, within=60)
        troubled.calm = True
    assert troubled.raised > 5
    assert [job.result(timeout=5) for job in jobs] == [2 * n for (n,) in half] * 2
    for job in jobs:
        assert [one.outcome for one in job.history].count("completed") == 1
        assert job.history[-1].outcome == "completed"
    assert store.nodes() == []

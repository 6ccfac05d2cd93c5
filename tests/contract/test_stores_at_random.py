"""The state machine, over the stores of ours; and over stores with a bug planted in them."""

import shutil
import sqlite3
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from mainspring.stores import loss
from mainspring.stores.memory import MemoryStore
from mainspring.stores.memory.job import Job
from mainspring.stores.sqlite import SqliteStore, moves
from mainspring.testing.store_machine import StoreMachine

WALK = settings(
    max_examples=60,
    stateful_step_count=50,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
HUNT = settings(WALK, max_examples=3000, phases=[Phase.generate], database=None)


class MemoryMachine(StoreMachine):
    def make_store(self, clock):
        return MemoryStore(clock=clock)


class SqliteMachine(StoreMachine):
    def make_store(self, clock):
        self.folder = Path(tempfile.mkdtemp())
        return self._open()

    def _open(self):
        return SqliteStore(self.folder / "jobs.db", durability="normal", clock=self.clock)

    def reopen_store(self):
        self.store.close()
        return self._open()

    def teardown(self):
        super().teardown()
        shutil.rmtree(self.folder)


@pytest.mark.parametrize("machine", [MemoryMachine, SqliteMachine])
def test_a_store_does_as_the_model_does(machine):
    run_state_machine_as_test(machine, settings=WALK)


def assert_caught(machine):
    with pytest.raises((AssertionError, sqlite3.Error, KeyError)):
        run_state_machine_as_test(machine, settings=HUNT)


def test_a_memory_store_without_fence_check_is_caught(monkeypatch):
    monkeypatch.setattr(Job, "holds", lambda job, node, fence: job.node == node)
    assert_caught(MemoryMachine)


@pytest.mark.parametrize("statement", ["FINISH", "RECORD"])
def test_a_sqlite_store_without_fence_check_is_caught(monkeypatch, statement):
    loose = getattr(moves, statement).replace("job.fence = ", "job.fence >= ")
    assert loose != getattr(moves, statement)
    monkeypatch.setattr(moves, statement, loose)
    assert_caught(SqliteMachine)


@pytest.mark.parametrize("machine", [MemoryMachine, SqliteMachine])
def test_ignoring_the_crash_limit_is_caught(monkeypatch, machine):
    monkeypatch.setattr(loss, "delay_after_crash", lambda crashes: 0.0 if crashes < 2 else 5.0)
    assert_caught(machine)


def test_charging_a_crash_to_the_whole_batch_is_caught(monkeypatch):
    rescue = MemoryStore.rescue
    monkeypatch.setattr(
        MemoryStore,
        "rescue",
        lambda store, node, *, dead, begun: rescue(store, node, dead=dead, begun=None),
    )
    assert_caught(MemoryMachine)

"""A disk that is full: what makes room still works, and no worker dies of it. Root mounts one."""

from __future__ import annotations

import os
import subprocess

import pytest

from mainspring.engine.node import board as boards
from mainspring.engine.node import node as nodes
from mainspring.engine.node.board import FileBoard
from mainspring.engine.node.node import Node
from mainspring.errors import StoreUnusable
from mainspring.model.job import NewJob
from mainspring.stores.sqlite import SqliteStore
from mainspring.stores.sqlite.file import reserve

JOB = NewJob("task", "queue", b'[["' + b"x" * 2000 + b'"],{}]')


class Disk:
    """A small disk that can be filled to the last byte, and freed again."""

    def __init__(self, path):
        self.path = path
        self._filler = path / "filler"

    def fill(self):
        with self._filler.open("ab", buffering=0) as file:
            for size in (1 << 20, 4096):
                try:
                    while file.write(b"x" * size):
                        pass
                except OSError:
                    continue

    def free(self):
        self._filler.unlink()


@pytest.fixture
def disk(tmp_path):
    path = tmp_path / "disk"
    path.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", str(path)]
    if os.geteuid() != 0 or subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("no disk can be mounted here")
    yield Disk(path)
    subprocess.run(["umount", "-l", str(path)], check=True)


@pytest.fixture
def store(disk):
    store = SqliteStore(disk.path / "jobs.db", durability="normal")
    yield store
    store.close()


def ended(store, count):
    job_ids = store.enqueue_many([JOB] * count)
    assert all(store.cancel(job_ids))
    return job_ids


def fill_with_a_short_log(store, disk):
    """Fill the disk when the log has no room left inside."""
    store.close()
    store.stats()
    disk.fill()
    with pytest.raises(StoreUnusable):
        store.enqueue_many([JOB] * 100)


def test_on_a_full_disk_jobs_are_cancelled_dropped_and_purged(store, disk):
    node = store.join("node", host="host", pid=1, lease=600)
    old = ended(store, 900)
    waiting = store.enqueue_many([JOB] * 300)
    fill_with_a_short_log(store, disk)
    assert all(store.cancel(waiting[:100]))
    assert store.drop(old[:100]) == 100
    assert store.purge(completed_after=0, failed_after=0, limit=400) == 400
    assert store.stats()["queue"]["pending"] == 200
    # What was deleted is room for jobs, on a disk that is as full as before.
    assert len(store.enqueue_many([JOB] * 100)) == 100
    store.leave(node)


def test_the_reserve_is_taken_again_when_there_is_space(store, disk, monkeypatch):
    monkeypatch.setattr(reserve, "LEAST_FREE_BYTES", 2 * reserve.RESERVE_BYTES)
    store.join("node", host="host", pid=1, lease=600)
    kept = store.run_dir / reserve.NAME
    assert kept.stat().st_blocks * 512 >= reserve.RESERVE_BYTES
    old = ended(store, 100)
    fill_with_a_short_log(store, disk)
    assert store.drop(old) == 100
    assert not kept.exists()
    store.purge(completed_after=9, failed_after=9, limit=9)
    assert not kept.exists()
    disk.free()
    store.purge(completed_after=9, failed_after=9, limit=9)
    assert kept.stat().st_blocks * 512 >= reserve.RESERVE_BYTES


def test_a_board_is_written_to_on_a_disk_that_has_become_full(disk):
    board = FileBoard(disk.path / "run" / "node", 10_000)
    disk.fill()
    for slot in range(10_000):
        board.note(slot, slot + 1, 1)
    assert len(boards.begun_on(disk.path / "run" / "node")) == 10_000
    board.close()


def test_a_worker_whose_board_finds_no_room_goes_without_and_says_so_once(store, disk, caplog):
    store.enqueue_many([JOB] * 2000)
    store.stats()
    disk.fill()
    node = Node(store, slots=10_000, lease=15)
    for _ in range(2):
        path = boards.board_of(store.run_dir, boards.node_name("host", 1))
        node._new_board(path.name).note(3, 1, 1)
        assert not path.exists()
    told = [record.getMessage() for record in caplog.records if record.name == nodes.log.name]
    assert len(told) == 1
    assert "No space left" in told[0]


@pytest.mark.parametrize("there", [True, False])
def test_a_disk_that_is_mounted_read_only_is_named_as_that(disk, there):
    if there:
        store = SqliteStore(disk.path / "jobs.db")
        store.enqueue_many([NewJob("task", "queue", b"[[],{}]")])
        store.close()
    remount = ["mount", "-o", "remount,ro", str(disk.path)]
    subprocess.run(remount, check=True, capture_output=True)
    store = SqliteStore(disk.path / "jobs.db")
    for use in (store.stats, lambda: store.enqueue_many([NewJob("task", "queue", b"[[],{}]")])):
        with pytest.raises(StoreUnusable, match=r"mounted read-only; mount it for writing"):
            use()
    if there:
        (rights,) = [one for one in store.examine() if one.check == "rights"]
        assert rights.says == f"{disk.path}/jobs.db: its file system is mounted read-only"

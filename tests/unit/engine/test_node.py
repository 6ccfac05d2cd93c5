"""A node's way into the store and out of it, and what a rescuer makes of its traces."""

from __future__ import annotations

import json
import os
import sqlite3
import threading
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest

from mainspring.engine.node import host
from mainspring.engine.node.board import NODE_NAME, find_dead
from mainspring.engine.node.heartbeat import Heartbeat, HeartbeatTrigger
from mainspring.engine.node.node import Node
from mainspring.engine.node.rescuer import Rescuer
from mainspring.engine.upkeep.statistics import StatisticsUpkeep
from mainspring.errors import StoreBusy
from mainspring.model.capabilities import NOTHING
from mainspring.model.events import NodeRescued
from mainspring.model.job import NewJob, Want
from mainspring.model.lost_node import LOST, lost_node
from mainspring.model.view import NodeRecord
from mainspring.queue.nodes import lost_nodes_of, node_info, records_of
from mainspring.stores.sqlite import SqliteStore
from mainspring.testing.clock import FrozenClock

BUSY = StoreBusy("jobs.db", 30.0, "somebody")


@pytest.fixture
def store(tmp_path):
    store = SqliteStore(tmp_path / "jobs.db", durability="normal")
    yield store
    store.close()


@pytest.fixture
def make_node(store):
    nodes = []

    def make(*, lease=15.0, of=store):
        node = Node(of, slots=4, lease=lease)
        nodes.append(node)
        return node

    yield make
    for node in nodes:
        node._board.close()


@pytest.fixture
def elsewhere(monkeypatch, tmp_path):
    """Be a process on another host while a block runs, or in another container of this one."""

    @contextmanager
    def moved(*, same_kernel=False):
        boot, namespace = tmp_path / "boot_id", tmp_path / "namespace"
        boot.write_text("3f0c\n")
        namespace.symlink_to("pid:[7]")
        with monkeypatch.context() as patch:
            patch.setattr(host, "NAMESPACE", namespace)
            if not same_kernel:
                patch.setattr(host, "BOOT_ID", boot)
            yield

    return moved


def boards(store):
    return sorted(path.name for path in store.run_dir.iterdir() if NODE_NAME.fullmatch(path.name))


def claim(store, node, count):
    store.enqueue_many([NewJob("t", "default", b"[[],{}]")] * count)
    return store.claim(node.key, [Want(("t",), None, count)])


def crashes(store, claims):
    return [store.get(one.id).crashes for one in claims]


def test_a_node_is_locked_before_it_is_seen(store, make_node):
    node = make_node()
    node.join()
    assert [record.name for record in store.nodes()] == [node.name] == boards(store)
    assert find_dead(store.run_dir / node.name) is None


def test_a_join_that_fails_leaves_no_board_behind(store, make_node, make_trouble):
    trouble = make_trouble(store)
    node = make_node(of=trouble)
    trouble.raises["join"] = BUSY
    with pytest.raises(StoreBusy):
        node.join()
    assert boards(store) == []


def test_leaving_takes_row_and_board_down_and_releases_what_it_holds(store, make_node):
    node = make_node()
    node.join()
    claims = claim(store, node, 2)
    node.leave()
    assert (store.nodes(), boards(store), crashes(store, claims)) == ([], [], [0, 0])


def test_a_leave_that_fails_leaves_what_a_rescuer_needs(store, make_node, make_trouble):
    trouble = make_trouble(store)
    node, other = make_node(of=trouble), make_node()
    node.join()
    other.join()
    claims = claim(store, node, 2)
    node.note(0, claims[0].key, claims[0].fence)
    trouble.raises["leave"] = BUSY
    with pytest.raises(StoreBusy):
        node.leave()
    look(store, other)
    assert crashes(store, claims) == [1, 0]
    assert boards(store) == [other.name]


def test_joining_anew_gives_back_what_the_old_node_still_held(store, make_node):
    node = make_node()
    node.join()
    old, claims = node.name, claim(store, node, 2)
    node.rejoin()
    assert node.name != old
    assert [record.name for record in store.nodes()] == [node.name] == boards(store)
    assert crashes(store, claims) == [0, 0]
    node.note(0, 1, 1)


def look(store, node, told=None):
    Rescuer(store, node, (told or []).append, lease=15.0).look()


def test_a_node_is_here_only_in_the_container_of_who_asks(store, make_node, elsewhere):
    make_node().join()
    with elsewhere(same_kernel=True):
        make_node().join()
        assert [node_info(one).here for one in store.nodes()] == [False, True]
    assert [node_info(one).here for one in store.nodes()] == [True, False]


class TestRescue:
    def test_of_a_dead_node_only_what_had_begun_is_charged(self, store, make_node):
        dead, alive = make_node(), make_node()
        dead.join()
        alive.join()
        claims = claim(store, dead, 4)
        dead.note(2, claims[1].key, claims[1].fence)
        dead._board.let_go()
        told = []
        Rescuer(store, alive, told.append, lease=15.0).look()
        assert crashes(store, claims) == [0, 1, 0, 0]
        assert told == [NodeRescued(dead.name, 4, 0)]
        assert boards(store) == [alive.name]

    def test_a_live_node_is_left_alone(self, store, make_node):
        one, other = make_node(), make_node()
        one.join()
        other.join()
        claims = claim(store, one, 2)
        look(store, other)
        assert [store.get(claim.id).state for claim in claims] == ["running", "running"]

    def test_it_never_looks_at_itself(self, store, make_node, eventually):
        node = make_node(lease=0.01)
        node.join()
        eventually(lambda: store.nodes()[0].expires_in < 0)
        look(store, node)
        assert len(store.nodes()) == 1

    def test_a_free_lock_of_another_kernel_tells_nothing(
        self, store, make_node, eventually, elsewhere
    ):
        """As with a folder that two machines share: a lock that one holds is free for the other."""
        with elsewhere():
            far = make_node(lease=0.5)
            far.join()
        near = make_node()
        near.join()
        claims = claim(store, far, 2)
        far.note(0, claims[0].key, claims[0].fence)
        far._board.let_go()
        look(store, near)
        assert [one.expires_in > 0 for one in records_of(store)] == [True, True]
        assert crashes(store, claims) == [0, 0]
        eventually(lambda: any(node.expires_in < 0 for node in store.nodes()))
        look(store, near)
        assert crashes(store, claims) == [1, 0]  # its board is read, as after a restart of the host

    def test_a_lock_of_another_container_on_the_same_kernel_counts(
        self, store, make_node, elsewhere
    ):
        with elsewhere(same_kernel=True):
            dead = make_node()
            dead.join()
        alive = make_node()
        alive.join()
        claims = claim(store, dead, 1)
        dead._board.let_go()
        look(store, alive)
        assert store.get(claims[0].id).state == "pending"

    def test_a_silent_node_is_rescued_though_it_holds_its_lock(self, store, make_node, eventually):
        silent, other = make_node(lease=0.3), make_node()
        silent.join()
        other.join()
        claims = claim(store, silent, 2)
        silent.note(0, claims[0].key, claims[0].fence)
        eventually(lambda: any(node.expires_in < 0 for node in store.nodes()))
        look(store, other)
        assert crashes(store, claims) == [1, 0]
        assert not silent.renew(silent.key)

    def test_a_clock_that_is_set_forward_costs_no_live_node_its_jobs(self, tmp_path, make_node):
        clock = FrozenClock()
        store = SqliteStore(tmp_path / "clock.db", clock=clock)
        other, node, dead = make_node(of=store), make_node(of=store), make_node(of=store)
        for one in (other, node, dead):
            one.join()
        claims = [*claim(store, other, 1), *claim(store, dead, 1)]
        for one, granted in zip((other, dead), claims, strict=True):
            one.note(0, granted.key, granted.fence)
        dead._board.let_go()
        rescuer = Rescuer(store, node, [].append, lease=15.0)
        clock.jump(3600)
        rescuer.look()
        assert node.renew(node.key)
        rescuer.look()
        assert crashes(store, claims) == [0, 1]
        assert other.renew(other.key)
        store.close()

    def test_after_a_time_in_which_nobody_could_write_others_renew_before_they_are_judged(
        self, store, make_node, eventually
    ):
        other, node = make_node(lease=0.2), make_node(lease=0.2)
        other.join()
        node.join()
        claims = claim(store, other, 1)
        other.note(0, claims[0].key, claims[0].fence)
        eventually(lambda: all(one.expires_in < 0 for one in store.nodes()))
        look(store, node)
        assert crashes(store, claims) == [0]
        assert other.renew(other.key)

    def test_after_a_clock_was_set_forward_a_silent_node_is_rescued_a_lease_later(
        self, tmp_path, make_node, monkeypatch
    ):
        clock = FrozenClock()
        store = SqliteStore(tmp_path / "clock.db", clock=clock)
        silent, node = make_node(of=store), make_node(of=store)
        silent.join()
        node.join()
        claims = claim(store, silent, 1)
        silent.note(0, claims[0].key, claims[0].fence)
        rescuer = Rescuer(store, node, [].append, lease=15.0)
        clock.jump(3600)
        rescuer.look()
        assert node.renew(node.key)
        monkeypatch.setattr(rescuer, "_trusts_leases_from", 0.0)
        rescuer.look()
        assert crashes(store, claims) == [1]
        store.close()

    def test_without_a_board_it_waits_for_the_lease_and_charges_all(
        self, store, make_node, eventually
    ):
        lost, other = make_node(lease=0.5), make_node()
        lost.join()
        other.join()
        claims = claim(store, lost, 2)
        lost._board.close()
        look(store, other)
        assert crashes(store, claims) == [0, 0]
        eventually(lambda: any(node.expires_in < 0 for node in store.nodes()))
        look(store, other)
        assert crashes(store, claims) == [1, 1]

    def test_a_name_with_a_path_costs_no_file(self, store, make_node, tmp_path):
        node = make_node()
        node.join()
        precious = tmp_path / "precious.txt"
        precious.write_text("precious")
        for name in (str(precious), "../precious.txt", "pen.lock"):
            store.join(name, host="host", pid=1, lease=-1)
        look(store, node)
        assert precious.read_text() == "precious"
        assert (store.run_dir / "pen.lock").exists()
        assert [record.name for record in store.nodes()] == [node.name]

    def test_a_board_whose_rescuer_was_killed_before_it_removed_it_goes_at_a_later_look(
        self, store, make_node
    ):
        dead, alive = make_node(), make_node()
        dead.join()
        alive.join()
        dead._board.let_go()
        store.rescue(dead.key, dead=True, begun=None)
        look(store, alive)
        assert boards(store) == sorted([dead.name, alive.name])
        os.utime(store.run_dir / dead.name, (0, 0))
        look(store, alive)
        assert boards(store) == [alive.name]

    def test_rescuers_in_many_threads_charge_a_crash_once(self, store, make_node):
        dead = make_node()
        dead.join()
        claims = claim(store, dead, 3)
        for slot, one in enumerate(claims):
            dead.note(slot, one.key, one.fence)
        dead._board.let_go()
        rescuers = [make_node() for _ in range(4)]
        for node in rescuers:
            node.join()
        threads = [threading.Thread(target=look, args=(store, node)) for node in rescuers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert crashes(store, claims) == [1, 1, 1]


class Orders:
    def __init__(self):
        self.lost = []
        self.renewals = 0
        self.cancelled = []

    def lose(self, key):
        self.lost.append(key)

    def renewed(self):
        self.renewals += 1

    def cancel(self, grants):
        self.cancelled.append(sorted(grants))


def heartbeat_of(node, orders):
    return Heartbeat(node, orders, HeartbeatTrigger(5.0), lambda: b'{"draining":false}')


class TestHeartbeat:
    def test_it_renews(self, store, make_node):
        node, orders = make_node(lease=1.0), Orders()
        node.join()
        node._lease = 50.0
        heartbeat_of(node, orders).beat()
        assert store.nodes()[0].expires_in > 40
        assert (orders.lost, orders.renewals, orders.cancelled) == ([], 1, [[]])

    def test_a_node_that_was_rescued_is_told_so_with_its_key(self, store, make_node):
        node, orders = make_node(), Orders()
        node.join()
        store.rescue(node.key, dead=True, begun=None)
        heartbeat_of(node, orders).beat()
        assert orders.lost == [node.key]

    @pytest.mark.parametrize("error", [BUSY, sqlite3.OperationalError("disk I/O error")])
    def test_a_store_that_does_not_answer_is_an_error_until_the_lease_is_over(
        self, store, make_node, make_trouble, error, monkeypatch
    ):
        trouble = make_trouble(store)
        node, orders = make_node(of=trouble), Orders()
        node.join()
        trouble.raises["renew"] = error
        heartbeat = heartbeat_of(node, orders)
        with pytest.raises(type(error)):
            heartbeat.beat()
        assert orders.lost == []
        monkeypatch.setattr(node, "overdue", lambda: True)
        with pytest.raises(type(error)):
            heartbeat.beat()
        assert orders.lost == [node.key]


class TestLostNodes:
    def test_a_rescued_node_is_told_of_for_a_day_with_what_became_of_its_jobs(
        self, store, make_node
    ):
        dead, alive = make_node(), make_node()
        dead.join()
        alive.join()
        claim(store, dead, 3)
        dead._board.let_go()
        look(store, alive)
        (lost,) = lost_nodes_of(store)
        assert (lost.name, lost.pid, lost.requeued) == (dead.name, os.getpid(), 3)
        assert str(lost).endswith("was lost; 3 jobs rescued")
        store.replace_entries(
            LOST, [], by=LOST, at=lost.at - timedelta(days=1.1), text=loss_of(store)
        )
        StatisticsUpkeep(store).turn()
        assert [one.name for one in lost_nodes_of(store)] == [dead.name]
        assert len(store.entries(LOST, newer_than=9e6, limit=9).entries) == 1

    def test_a_node_without_queues_leaves_no_trace(self, store, make_node):
        dead, alive = make_node(), make_node()
        dead.serves = NOTHING
        dead.join()
        alive.join()
        dead._board.let_go()
        look(store, alive)
        assert lost_nodes_of(store) == []
        assert [record.name for record in store.nodes()] == [alive.name]

    def test_its_jobs_are_rescued_also_when_that_cannot_be_written(
        self, store, make_node, make_trouble
    ):
        trouble = make_trouble(store)
        dead, alive = make_node(), make_node()
        dead.join()
        alive.join()
        claims = claim(store, dead, 1)
        dead._board.let_go()
        trouble.raises["add_entry"] = BUSY
        look(trouble, alive)
        assert store.get(claims[0].id).state == "pending"
        assert boards(store) == [alive.name]

    @pytest.mark.parametrize(
        "text",
        [b"[]", b'{"name":1}', b'{"name":"n","host":"h","pid":1,"requeued":-1}', b"[" * 5000],
    )
    def test_a_text_that_somebody_else_has_written_tells_nothing(self, text):
        assert lost_node(datetime.now(UTC), text) is None


def loss_of(store):
    return store.entries(LOST, newer_than=60, limit=1).entries[0].text


@pytest.mark.parametrize(
    ("expires_in", "report", "state"),
    [
        (14, {"lease": 15, "heartbeat": 5}, "live"),
        (5.5, {"lease": 15, "heartbeat": 5}, "live"),
        (4.5, {"lease": 15, "heartbeat": 5}, "silent"),
        (4.5, {"lease": 15, "heartbeat": 5, "draining": True}, "silent"),
        (4.5, {"draining": True}, "draining"),
        (1.5, {"lease": 2, "heartbeat": 0.05}, "live"),
        (-1, {"lease": 15, "heartbeat": 5}, "lost"),
        (4.5, {"lease": "x"}, "live"),
    ],
)
def test_a_node_that_misses_heartbeats_is_silent_before_it_is_lost(expires_in, report, state):
    record = NodeRecord(1, "n1", "h", 1, expires_in, 0, report=json.dumps(report).encode())
    assert node_info(record).state == state

"""Contract of a store's named locks. Needs pytest."""
# ruff: noqa: S101, D102
# A contract is made of asserts, and a test's name is its docstring.

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from mainspring.errors import LeaseLost
from mainspring.model.view import LockRecord
from mainspring.testing.contracts.cases import LEASE, join

if TYPE_CHECKING:
    from mainspring.protocols import JobStore
    from mainspring.testing.clock import FrozenClock

LONG = 30.0
"""Seconds in which a notice must have come; none of these tests waits so long unless it fails."""


def taken(store: JobStore, node: int, name: str = "a lock") -> int:
    """Return the fence of a lock that the node must get."""
    fence = store.acquire(node, name)
    if fence is None:
        raise AssertionError(f"{name!r} was not to be had")
    return fence


class LocksContract:
    """A lock is held by one node at most, for as long as that is there."""

    def test_a_lock_is_held_by_one_node(self, store: JobStore) -> None:
        node, other = join(store), join(store, "other")
        fence = taken(store, node, "größer 'als'")
        assert store.acquire(other, "größer 'als'") is None
        another = taken(store, other, "another")
        assert store.locks() == [
            LockRecord("another", other, "other", another),
            LockRecord("größer 'als'", node, "node", fence),
        ]

    def test_a_holder_that_asks_again_is_told_the_same_fence(self, store: JobStore) -> None:
        node = join(store)
        fence = taken(store, node)
        assert taken(store, node) == fence
        assert store.release(node, "a lock", fence)

    def test_a_lock_that_was_released_goes_to_the_next_with_a_higher_fence(
        self, store: JobStore
    ) -> None:
        fences = []
        for node in (join(store), join(store, "other")) * 2:
            fences.append(taken(store, node))
            assert store.release(node, "a lock", fences[-1])
        assert fences == sorted(set(fences))
        assert store.locks() == []

    def test_only_its_holder_releases_a_lock(self, store: JobStore) -> None:
        node, other = join(store), join(store, "other")
        old = taken(store, node)
        assert (store.release(node, "a lock", old), store.release(node, "a lock", old)) == (
            True,
            False,
        )
        fence = taken(store, node)
        assert not store.release(node, "a lock", old)
        assert not store.release(other, "a lock", fence)
        assert not store.release(node, "unknown", fence)
        assert taken(store, node) == fence

    @pytest.mark.parametrize("dead", [True, False])
    def test_a_rescue_frees_the_locks_of_the_lost_node(
        self, store: JobStore, clock: FrozenClock, *, dead: bool
    ) -> None:
        lost = join(store, "lost")
        fence = taken(store, lost)
        clock.advance(0 if dead else LEASE)
        node = join(store)
        assert store.acquire(node, "a lock") is None
        assert store.rescue(lost, dead=dead, begun=None) is not None
        assert store.locks() == []
        assert not store.release(lost, "a lock", fence)
        assert taken(store, node) > fence

    def test_leaving_frees_the_locks_of_a_node(self, store: JobStore) -> None:
        gone, node = join(store, "gone"), join(store)
        fence = taken(store, gone)
        kept = taken(store, node, "another")
        store.leave(gone)
        assert taken(store, node) > fence
        assert taken(store, node, "another") == kept

    def test_a_node_that_is_gone_gets_no_lock_and_learns_so(self, store: JobStore) -> None:
        node = join(store)
        store.leave(node)
        with pytest.raises(LeaseLost):
            store.acquire(node, "a lock")
        assert store.locks() == []

    def test_a_node_whose_lease_has_run_out_gets_no_lock_before_it_renews(
        self, store: JobStore, clock: FrozenClock
    ) -> None:
        node = join(store)
        held = taken(store, node, "held")
        clock.advance(LEASE)
        assert store.acquire(node, "a lock") is None
        assert store.acquire(node, "held") is None
        assert store.renew(node, lease=LEASE) is not None
        assert taken(store, node) > held
        assert taken(store, node, "held") == held

    def test_of_nodes_that_ask_at_once_one_gets_the_lock(self, store: JobStore) -> None:
        nodes = [join(store, f"node {number}") for number in range(4)]
        last = 0
        with ThreadPoolExecutor(len(nodes)) as threads:
            for _ in range(10):
                answers = list(threads.map(lambda node: store.acquire(node, "a lock"), nodes))
                ((node, fence),) = [
                    (node, one) for node, one in zip(nodes, answers, strict=True) if one is not None
                ]
                assert fence > last
                last = fence
                assert store.release(node, "a lock", fence)

    @pytest.mark.parametrize("by", ["release", "leave", "rescue"])
    def test_a_lock_that_is_freed_wakes_who_waits_for_it(self, store: JobStore, by: str) -> None:
        node = join(store)
        fence = taken(store, node)
        listener = store.listen("locks")
        while listener.wait(0):
            pass
        with ThreadPoolExecutor(1) as threads:
            waiting = threads.submit(listener.wait, LONG)
            if by == "release":
                store.release(node, "a lock", fence)
            elif by == "leave":
                store.leave(node)
            else:
                store.rescue(node, dead=True, begun=None)
            assert waiting.result(LONG) is not None
        listener.close()

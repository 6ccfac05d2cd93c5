"""Keys of a namespace: nothing is left of what has ended and was dropped."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest
from redis import Redis

from mainspring.model.job import OutcomeKind
from mainspring.model.note import Note
from mainspring.stores.redis import RedisStore
from mainspring.testing.clock import FrozenClock
from mainspring.testing.contracts.cases import BROKEN, end, join, new_job, outcome, start, want

CLEAN_UP = {"completed_after": 60.0, "failed_after": 120.0, "limit": 500}
SIZES = {b"hash": "hlen", b"zset": "zcard", b"set": "scard", b"list": "llen", b"string": "strlen"}
COUNTERS = {b"keys", b"node_keys", b"lock_fences", b"chronicle_keys"}


@pytest.fixture
def clock():
    return FrozenClock()


@pytest.fixture
def store(namespace_url, clock):
    store = RedisStore(namespace_url, durability="normal", clock=clock)
    yield store
    store.close()


@pytest.fixture
def sizes(namespace_url):
    """Return the number of members of each key, but for those that expire by themselves."""
    prefix = f"{{{parse_qs(urlsplit(namespace_url).query)['namespace'][0]}}}:".encode()
    with Redis.from_url(namespace_url.partition("?")[0]) as client:

        def measured():
            keys = client.scan_iter(match=prefix + b"*", count=1000)
            return {
                key.removeprefix(prefix): getattr(client, SIZES[client.type(key)])(key)
                for key in keys
                if client.ttl(key) == -1 and key.removeprefix(prefix) not in COUNTERS
            }

        yield measured


def live_through_all(store, clock):
    """Have jobs, nodes, locks and notes end in every way there is."""
    options = b'{"tags":["a","b"]}'
    kinds = (OutcomeKind.COMPLETED, OutcomeKind.FAILED, OutcomeKind.CANCELLED)
    for kind in kinds:
        (job_id,) = store.enqueue_many([new_job(unique="u", idempotency_key="i", options=options)])
        end(store, job_id, OutcomeKind.RETRY, failure=BROKEN)
        node, claim = start(store, job_id)
        line = (clock.monotonic(), "line")
        store.note_many([Note(claim.key, claim.fence, 0.5, "half", lines=(line,))])
        store.cancel([job_id])
        keep = 1.0 if kind is OutcomeKind.COMPLETED else None
        store.finish_many(node, [outcome(claim, kind, keep=keep)])
        store.acquire(node, "lock")
        clock.advance(100_000)
    waiting = store.enqueue_many([new_job(expires=1.0), new_job(delay=60.0), new_job()])
    clock.advance(2)
    store.expire(limit=10)
    store.cancel(waiting)
    lost = store.enqueue_many([new_job()])
    store.claim(node := join(store), [want()])
    store.cancel(lost)
    store.rescue(node, dead=True, begun=None)
    for record in store.nodes():
        store.leave(record.key)
    clock.advance(200)
    while store.purge(**CLEAN_UP):
        pass


def test_what_has_ended_and_was_dropped_leaves_nothing(store, clock, sizes):
    live_through_all(store, clock)
    once = sizes()
    for _ in range(3):
        live_through_all(store, clock)
    assert sizes() == once


def test_a_node_has_its_name_in_histories_as_long_as_jobs_are_kept(store, clock):
    (job_id,) = store.enqueue_many([new_job()])
    node, claim = start(store, job_id)
    store.finish_many(node, [outcome(claim, OutcomeKind.FAILED, failure=BROKEN)])
    store.leave(node)
    clock.advance(CLEAN_UP["failed_after"] - 1)
    assert store.purge(**CLEAN_UP) == 0
    assert [attempt.node for attempt in store.history(job_id)] == ["node"]


def key_of(namespace_url, name):
    """Return the client of a namespace and the whole name of one of its keys."""
    prefix = parse_qs(urlsplit(namespace_url).query)["namespace"][0]
    return Redis.from_url(namespace_url.partition("?")[0]), f"{{{prefix}}}:{name}"


def test_the_outcome_of_a_job_that_somebody_dropped_is_refused_and_leaves_nothing(
    store, namespace_url
):
    (job_id,) = store.enqueue_many([new_job()])
    node, claim = start(store, job_id)
    client, job = key_of(namespace_url, f"job:{claim.key}")
    with client:
        assert client.delete(job) == 1
        result = outcome(claim, OutcomeKind.COMPLETED, result=b"1")
        assert store.finish_many(node, [result]) == [False]
        assert client.exists(job) == 0


def test_a_claim_of_a_version_that_held_fences_only_is_recorded(store, namespace_url):
    (job_id,) = store.enqueue_many([new_job()])
    node, claim = start(store, job_id)
    client, held = key_of(namespace_url, f"held:{node}")
    with client:
        assert client.hget(held, str(claim.key)).startswith(b"1 ")
        client.hset(held, str(claim.key), "1")
        result = outcome(claim, OutcomeKind.COMPLETED, result=b"1")
        assert store.finish_many(node, [result, result]) == [True, True]
        assert client.exists(held) == 0
    assert store.get(job_id).result == b"1"

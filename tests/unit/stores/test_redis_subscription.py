"""The subscription of a process: to what somebody there waits for, and nothing else."""

from contextlib import closing

import pytest
import redis

from mainspring.model.job import ANY_JOB
from mainspring.stores.redis import RedisStore
from mainspring.testing.contracts.cases import end, enqueue


@pytest.fixture
def server(redis_url):
    with closing(redis.Redis.from_url(redis_url)) as server:
        yield server


@pytest.fixture
def store(namespace_url):
    with closing(RedisStore(namespace_url, durability="normal")) as store:
        yield store


@pytest.fixture
def other(namespace_url):
    with closing(RedisStore(namespace_url, durability="normal")) as other:
        yield other


def heard(namespace_url, server):
    channels = server.pubsub_channels(f"*{namespace_url.rpartition('=')[2]}*")
    return {name.decode().rpartition(":")[2] for name in channels}


def test_who_waits_for_results_does_not_hear_of_new_jobs(server, namespace_url, store):
    with closing(store.listen("ended")):
        assert heard(namespace_url, server) == {"ended"}


def test_a_worker_hears_of_jobs_and_orders(server, namespace_url, store):
    with closing(store.listen("ready")), closing(store.listen("orders")):
        assert heard(namespace_url, server) == {"ready", "orders"}


def test_who_waits_for_more_hears_of_all_of_it(server, namespace_url, store, other):
    with closing(store.listen("ready")) as ready, closing(store.listen("ended")) as ended:
        assert heard(namespace_url, server) == {"ready", "orders", "ended"}
        drain(ready, ended)
        job_id = enqueue(other)
        assert ready.wait(10) is not None
        end(other, job_id)
        assert ended.wait(10) is not None


def test_who_waited_meanwhile_looks_once_more_is_heard(store):
    with closing(store.listen("ready")) as ready:
        drain(ready)
        with closing(store.listen("ended")):
            assert ready.wait(10) == ANY_JOB


def drain(*listeners):
    for listener in listeners:
        while listener.wait(0.1):
            pass

"""The subscription of a process: to what somebody there waits for, and nothing else."""

import socket
from contextlib import closing

import pytest
import redis

from mainspring.model.job import ANY_JOB
from mainspring.stores.redis import RedisStore
from mainspring.stores.redis.subscription import Subscription
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


class TlsSocket(socket.socket):
    """A socket as that of a connection by TLS, which its own `shutdown` ends for its readers."""

    ended = False

    def shutdown(self, how):
        self.ended = True
        super().shutdown(how)


class TlsConnection:
    """A connection to a server that has subscribed it, and says nothing more."""

    def __init__(self):
        ours, self._server = socket.socketpair()
        self._sock = TlsSocket(fileno=ours.detach())
        self.left = 0

    def send_command(self, _name, *channels):
        self.left = len(channels)

    def can_read(self, _timeout):
        return True

    def read_response(self):
        if self.left:
            self.left -= 1
            return [b"subscribe"]
        self._sock.recv(1)
        if self._sock.ended:
            raise ValueError("Read on closed or unwrapped SSL socket.")
        raise redis.ConnectionError("closed")

    def disconnect(self):
        self._sock.close()
        self._server.close()


@pytest.mark.usefixtures("no_thread_left")
def test_to_hear_of_more_ends_no_tls_under_the_thread_that_reads():
    connections, told = [], []

    def connect():
        connections.append(TlsConnection())
        return connections[-1]

    subscription = Subscription(
        connect, lambda topic, _: told.append(topic), prefix="p:", topics={"ready"}, sender="s"
    )
    assert subscription.wait(10)
    for topics in ({"ended"}, {"locks"}):
        subscription.hear(topics)
        assert subscription.wait(10)
    subscription.close()
    assert {"ready", "ended", "locks"} <= set(told)
    assert not any(one._sock.ended for one in connections)

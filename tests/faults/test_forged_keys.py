"""Odd values in the keys of Redis or Valkey: no view, command or worker breaks of them.

Whatever key there is, of whatever type, gets some; a new kind of key is covered by itself.
"""

from __future__ import annotations

import random
from itertools import cycle
from urllib.parse import parse_qs, urlsplit

import pytest
from msgspec import msgpack
from redis import Redis

from forged_store import broken, everything, make_queue, seed
from mainspring.errors import StoreUnusable
from mainspring.stores.redis import RedisStore
from mainspring.stores.run_folder import run_folder

ROWS = 12
VALUES = (
    *(
        b"",
        b"odd",
        b"12abc",
        b"-1",
        b"2",
        b"1.5",
        b"nan",
        b"-inf",
        b"9" * 15,
        b"9" * 18,
        b"9" * 5000,
    ),
    *(b"\xff\xfe\x00odd", b"\xed\xa0\x80", b"\x1b[2J\r\nodd\xe2\x80\xae"),
    *(b'{"type": ', b'[1, null, {"a": [2]}]', b'{"every": 1e-300}', b"../../../tmp/odd"),
    *(b"[" * 20_000, b"[" * 20_000 + b"]" * 20_000, b"x" * 200_000),
    *(msgpack.encode(one) for one in (None, 7, [], [1, 2, 3, 4, 5, 6], ["1"] * 6, {"a": 1})),
)
COUNTERS = (b"keys", b"node_keys", b"lock_fences", b"chronicle_keys")
"""Without these no key can be given: see `test_a_counter_that_is_none_is_one_clear_line`."""

KINDS = {
    b"hash": {b"held", b"job", b"locks", b"node", b"node_names", b"schedules", b"texts", b"unique"},
    b"string": {
        b"answer",
        b"call",
        b"chronicle_keys",
        b"keys",
        b"lock_fences",
        b"name",
        b"node_keys",
        b"run_id",
    },
    b"zset": {
        *(b"ready", b"later", b"running", b"completed", b"kept", b"failed", b"cancelled"),
        *(b"expiring", b"jobs", b"keeping", b"moments", b"tag"),
        b"ended_nodes",
    },
    b"set": {b"lanes", b"nodes", b"paused", b"queues"},
    b"list": {b"log", b"past"},
}


class RedisForger:
    """Writes into the keys of a namespace as somebody does who heeds none of our rules."""

    def __init__(self, client, namespace, order):
        self.client = client
        self.prefix = f"{{{namespace}}}:".encode()
        self.values = cycle(random.Random(order).sample(VALUES, len(VALUES)))

    def keys(self):
        """Return the keys of each type, by kind."""
        found = {}
        for key in sorted(self.client.scan_iter(match=self.prefix + b"*", count=1000)):
            kind = key.removeprefix(self.prefix).partition(b":")[0]
            found.setdefault(self.client.type(key), {}).setdefault(kind, []).append(key)
        return found

    def write(self):
        """Write odd values everywhere; of each kind of hash one row stays as it is."""
        for type_, kinds in self.keys().items():
            assert set(kinds) <= KINDS[type_], f"new keys of type {type_}: have them forged, too"
            for kind, keys in kinds.items():
                getattr(self, type_.decode())(kind, keys)

    def hash(self, kind, keys):
        several = len(keys) > 1
        for number, key in enumerate(keys[1:] if several else keys):
            fields = sorted(self.client.hgetall(key))
            if kind in {b"job", b"node"}:
                field = fields[number % len(fields)]
                self.client.hset(key, field, next(self.values))
                self.client.hset(key, next(self.values), b"odd")
                if number % 20 == 19:
                    self.client.hdel(key, field)
                continue
            for field in fields[1:]:
                self.client.hset(key, field, next(self.values))
            self.client.hset(key, next(self.values), next(self.values))
        if kind == b"job":
            self.of_another_type(keys[5:8])

    def string(self, kind, keys):
        if kind not in COUNTERS:
            for key in keys:
                self.client.set(key, next(self.values))

    def zset(self, kind, keys):
        for key in keys:
            members = self.client.zrange(key, 0, -1)
            odd = {next(self.values): 0 for _ in range(4)}
            odd[b"%010d%017d%016d" % (0, 0, 999_999)] = 1  # a place of no job
            odd[b"999998"] = 1
            self.client.zadd(key, odd)
            if len(members) > 3:
                self.client.zadd(key, {members[1]: "-inf", members[2]: "inf"})

    def set(self, kind, keys):
        for key in keys:
            self.client.sadd(key, *(next(self.values) for _ in range(4)), b"999997")

    def list(self, kind, keys):
        for number, key in enumerate(keys):
            self.client.rpush(key, *(next(self.values) for _ in range(4)))
            self.client.lpush(key, next(self.values))
            if number == 0:
                self.of_another_type([key])

    def of_another_type(self, keys):
        for key, value in zip(keys, VALUES, strict=False):
            self.client.set(key, value)


@pytest.fixture
def namespace(namespace_url):
    return parse_qs(urlsplit(namespace_url).query)["namespace"][0]


@pytest.fixture
def client(namespace_url):
    with Redis.from_url(namespace_url.partition("?")[0]) as client:
        yield client


@pytest.fixture
def queue(namespace_url):
    store = RedisStore(namespace_url, durability="normal")
    seed(store, ROWS)
    store.close()
    queue = make_queue(namespace_url)
    yield queue
    queue.close()


def test_odd_values_in_all_keys_break_nothing(queue, client, namespace, namespace_url):
    RedisForger(client, namespace, order=0).write()
    assert broken(everything(queue, namespace_url)) == {}


@pytest.mark.long
@pytest.mark.parametrize("order", range(1, 40))
def test_odd_values_in_any_order_break_nothing(queue, client, namespace, namespace_url, order):
    RedisForger(client, namespace, order).write()
    assert broken(everything(queue, namespace_url)) == {}


def test_a_counter_that_is_none_is_one_clear_line(queue, client, namespace):
    client.set(f"{{{namespace}}}:keys", "odd")
    with pytest.raises(StoreUnusable, match="not an integer") as refused:
        queue.get_task("honest").delay(1)
    assert "\n" not in str(refused.value)


def test_the_name_of_a_store_is_the_name_of_no_other_folder(client, namespace, namespace_url):
    client.set(f"{{{namespace}}}:name", "../../../../../tmp/odd")
    store = RedisStore(namespace_url)
    other = RedisStore(namespace_url)
    assert store.run_dir.parent == run_folder("redis-other").parent
    assert store.run_dir == other.run_dir
    store.close()
    other.close()


def test_an_odd_value_of_a_lock_harms_that_lock_alone(queue, client, namespace, namespace_url):
    key = f"{{{namespace}}}:locks"
    odd = [*VALUES, b"999999 1", b"1 ", b" 1", b"1 x", b"-1 1", b"%s 1" % (b"9" * 30)]
    with queue.lock("sound", wait=5):
        for number, value in enumerate(odd):
            client.hset(key, b"forged-%d" % number, value)
            client.hset(key, value[:50], b"odd")
        for node in queue.store.nodes():  # of somebody who is there, which only he can free
            client.hset(key, b"of-%d" % node.key, b"%d 7" % node.key)
            client.hset(key, b"long-%d" % node.key, b"%d %s" % (node.key, b"9" * 30))
        assert "sound" in [lock.name for lock in queue.locks()]
        assert broken(everything(queue, namespace_url)) == {}
        with queue.lock("another", wait=5) as held:
            assert held.fence > 0
        for number in range(len(odd)):
            with queue.lock(f"forged-{number}", wait=5) as held:
                assert not held.lost
    with queue.lock("sound", wait=5):
        pass


def test_an_odd_counter_of_locks_is_one_clear_line(queue, client, namespace):
    client.set(f"{{{namespace}}}:lock_fences", "odd")
    with pytest.raises(StoreUnusable, match="not an integer"), queue.lock("one", wait=2):
        pass
    client.delete(f"{{{namespace}}}:lock_fences")
    with queue.lock("one", wait=5):
        pass

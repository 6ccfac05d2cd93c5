"""What every cache adapter must do, over memory, SQLite and a real Valkey."""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

import pytest
from redis.asyncio import Redis

from mainspring import AsyncTaskWorker, MemoryCache, RedisCache, SQLiteCache
from mainspring.errors import InvalidOption


@dataclass
class Point:
    x: int
    tags: list


@pytest.fixture(params=["memory", "sqlite", "redis"])
def make_cache(request, tmp_path):
    """Make the cache inside the loop that uses it; and again, to look at what was kept."""
    if request.param == "redis":
        url = request.getfixturevalue("redis_url")
        return lambda: RedisCache(url)
    if request.param == "sqlite":
        return lambda: SQLiteCache(tmp_path / "cache.db")
    cache = MemoryCache()
    return lambda: cache


@pytest.fixture
def run(make_cache):
    def run(use):
        async def live():
            cache = make_cache()
            try:
                return await use(cache)
            finally:
                if isinstance(cache, RedisCache):
                    await cache.aclose()
                if isinstance(cache, SQLiteCache):
                    cache.close()

        return asyncio.run(live())

    return run


VALUES = [
    None, 0, 1.5, True, "text", b"bytes", [1, [2]], {"a": {1: 2}}, {3, 4}, (1, "2"),
    datetime(2026, 1, 2, tzinfo=UTC), Point(1, ["a"]), math.inf,
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_what_is_kept_comes_back_equal_and_of_the_same_type(run, value):
    async def use(cache):
        await cache.set("task_cache:value", value, 60)
        found, kept = await cache.get("task_cache:value")
        assert found
        assert (type(kept), kept) == (type(value), value)

    run(use)


def test_what_was_never_kept_is_not_found(run):
    async def use(cache):
        await cache.clear()
        assert await cache.get("task_cache:nothing") == (False, None)
        assert not await cache.delete("task_cache:nothing")

    run(use)


def test_an_entry_is_replaced_deleted_and_all_are_cleared(run):
    async def use(cache):
        await cache.set("task_cache:a", 1)
        await cache.set("task_cache:a", 2)
        await cache.set("task_cache:b", 3)
        assert await cache.get("task_cache:a") == (True, 2)
        assert await cache.delete("task_cache:a")
        assert await cache.get("task_cache:a") == (False, None)
        await cache.clear()
        assert await cache.get("task_cache:b") == (False, None)

    run(use)


def test_an_entry_expires(run):
    async def use(cache):
        await cache.set("task_cache:short", 1, 0.02)
        await cache.set("task_cache:long", 1, 3600)
        async with asyncio.timeout(10):
            while (await cache.get("task_cache:short"))[0]:
                await asyncio.sleep(0.005)
        assert not await cache.delete("task_cache:short")
        assert (await cache.get("task_cache:long"))[0]

    run(use)


def test_what_one_receiver_changes_no_other_sees(run):
    async def use(cache):
        mine = [1]
        await cache.set("task_cache:list", mine)
        mine.append(2)
        (await cache.get("task_cache:list"))[1].append(3)
        assert await cache.get("task_cache:list") == (True, [1])

    run(use)


def test_a_cache_outlives_the_loop_that_filled_it(run):
    run(lambda cache: cache.set("task_cache:later", "still there"))
    assert run(lambda cache: cache.get("task_cache:later")) == (True, "still there")


def test_clearing_leaves_what_is_not_ours_on_the_server(redis_url):
    async def live():
        client = Redis.from_url(redis_url)
        cache = RedisCache(client)
        await client.set("somebody:else", "stays")
        for number in range(1200):
            await cache.set(f"task_cache:{number}", number)
        await cache.clear()
        keys = await client.keys("*")
        await client.aclose()
        return keys

    assert asyncio.run(live()) == [b"somebody:else"]


def test_a_file_that_is_full_pushes_out_the_oldest(tmp_path):
    async def live():
        cache = SQLiteCache(tmp_path / "cache.db", max_size=3)
        for number in range(10):
            await cache.set(f"task_cache:{number}", number)
        found = [(await cache.get(f"task_cache:{number}"))[0] for number in range(10)]
        cache.close()
        return found

    assert asyncio.run(live()) == [False] * 7 + [True] * 3


def test_a_file_that_is_no_database_fails_no_task(tmp_path, caplog):
    (tmp_path / "cache.db").write_bytes(b"no database, but much text" * 100)

    async def live():
        cache = SQLiteCache(tmp_path / "cache.db")
        async with AsyncTaskWorker(cache_enabled=True, cache_adapter=cache) as pool:
            result = await (await pool.submit(double, 2))
        cache.close()
        return result

    assert asyncio.run(live()) == 4
    assert "failed" in caplog.text


def test_a_server_that_is_gone_fails_no_task_and_costs_little_time(caplog):
    async def live():
        cache = RedisCache("redis://127.0.0.1:1/0")
        async with asyncio.timeout(5):
            async with AsyncTaskWorker(cache_enabled=True, cache_adapter=cache) as pool:
                result = await (await pool.submit(double, 2))
        await cache.aclose()
        return result

    assert asyncio.run(live()) == 4
    assert "failed" in caplog.text


async def double(number):
    return 2 * number


def test_the_missing_extra_is_named_at_once(monkeypatch):
    monkeypatch.setattr("mainspring.cache.redis.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"mainspring\[redis\]"):
        RedisCache("redis://localhost")


@pytest.mark.parametrize("size", [0, -1, 1.5, "10", True])
@pytest.mark.parametrize("kind", [MemoryCache, partial(SQLiteCache, "cache.db")])
def test_a_size_that_makes_no_sense_is_refused(kind, size):
    with pytest.raises(InvalidOption, match="max_size="):
        kind(max_size=size)

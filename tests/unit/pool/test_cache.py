"""What the pool caches, and what it never does."""

from __future__ import annotations

import asyncio
import functools
import threading
from functools import wraps

import pytest

from mainspring import AsyncTaskWorker, CacheAdapter, MemoryCache, register_task, task
from mainspring.executors.coroutine_slots import SlotGroup

runs = []


@pytest.fixture(autouse=True)
def _no_runs_yet():
    runs.clear()


async def pair(a, b=2, *, c=3):
    runs.append((a, b, c))
    return [a, b, c]


async def other(a, b=2, *, c=3):
    runs.append("other")


async def anything(*values, **named):
    runs.append(values)
    return len(runs)


async def give_none():
    runs.append(None)


async def fail():
    runs.append("failed")
    raise ValueError("no good")


async def slow():
    runs.append("slow")
    await asyncio.sleep(0.01)
    return {"list": []}


async def unkeyable(thing, progress_callback=None):
    runs.append(thing)


def in_thread(number):
    runs.append(threading.get_ident())
    return number


def cached(**options):
    return AsyncTaskWorker(cache_enabled=True, **options)


async def test_equal_arguments_are_one_entry_however_they_are_written():
    async with cached() as pool:
        for arguments, keywords in [
            ((1, 2), {}),
            ((1,), {}),
            ((), {"a": 1, "b": 2}),
            ((), {"b": 2, "a": 1}),
            ((1,), {"c": 3, "b": 2}),
        ]:
            assert await (await pool.submit(pair, *arguments, **keywords)) == [1, 2, 3]
    assert len(runs) == 1


async def test_two_functions_never_share_an_entry():
    async with cached() as pool:
        assert await (await pool.submit(pair, 1)) == [1, 2, 3]
        assert await (await pool.submit(other, 1)) is None
    assert len(runs) == 2


async def test_values_that_compare_equal_but_differ_are_told_apart():
    values = [1, "1", 1.0, True, None, "null", float("nan"), b"1", (1,), [1], {1}, {"1": 1}, {1: 1}]
    async with cached() as pool:
        for value in values * 2:
            await (await pool.submit(anything, value))
        await (await pool.submit(anything, *values))
        await (await pool.submit(anything, values))
    assert len(runs) == len(values) + 2


async def test_a_hit_says_so_and_its_future_resolves():
    async with cached() as pool:
        first = await pool.submit(pair, 1)
        await first
        second = await pool.submit(pair, 1)
        assert await second == [1, 2, 3]
        assert (first.info.from_cache, second.info.from_cache) == (False, True)
        assert (second.status, second.progress) == ("completed", 1.0)
        assert second.info.started_at is not None
        assert pool.stats()["cache"] == {"hits": 1, "misses": 1, "errors": 0}


async def test_ten_equal_calls_at_once_run_the_body_once():
    async with cached(max_workers=10) as pool:
        handles = [await pool.submit(slow) for _ in range(10)]
        results = [await handle for handle in handles]
        assert sum(handle.info.from_cache for handle in handles) == 9
    assert runs == ["slow"]
    results[0]["list"].append("mine")
    assert results[1:] == [{"list": []}] * 9


async def test_a_leader_that_is_cancelled_hands_over_to_the_next(until):
    async with cached(max_workers=3) as pool:
        handles = [await pool.submit(slow) for _ in range(3)]
        await until(lambda: runs)
        assert await handles[0].cancel()
        assert [await handle for handle in handles[1:]] == [{"list": []}] * 2
    assert runs == ["slow"] * 2


async def test_a_follower_that_is_cancelled_disturbs_no_one(until):
    async with cached(max_workers=3) as pool:
        handles = [await pool.submit(slow) for _ in range(3)]
        await until(lambda: handles[2].status == "running")
        assert await handles[1].cancel()
        assert [await handles[0], await handles[2]] == [{"list": []}] * 2
    assert runs == ["slow"]


async def test_failures_are_not_cached_and_none_is():
    async with cached() as pool:
        for _ in range(2):
            with pytest.raises(ValueError, match="no good"):
                await (await pool.submit(fail))
            assert await (await pool.submit(give_none)) is None
    assert runs == ["failed", None, "failed"]


async def test_what_one_receiver_does_to_a_hit_no_other_sees():
    async with cached() as pool:
        for _ in range(3):
            result = await (await pool.submit(pair, 1))
            assert result == [1, 2, 3]
            result.append("changed")


async def test_a_task_can_be_cached_while_the_cache_is_off_and_pass_it_by_while_it_is_on():
    async with AsyncTaskWorker() as pool:
        for _ in range(2):
            await (await pool.submit(pair, 1, use_cache=True))
        await (await pool.submit(pair, 1))
    assert len(runs) == 2
    runs.clear()
    async with cached() as pool:
        await (await pool.submit(pair, 1))
        await (await pool.submit(pair, 1, use_cache=False))
        await (await pool.submit(pair, 1))
    assert len(runs) == 2


class Called:
    async def __call__(self):
        return 1


async def test_objects_of_one_kind_have_one_name_and_are_said_not_to_be_cached_once(caplog):
    async with cached() as pool:
        for number in range(3):
            secret = await pool.submit(functools.partial(pair, number))
            other = await pool.submit(Called())
            await asyncio.gather(secret, other)
        assert (secret.task, other.task) == ("pair", "Called")
    assert caplog.text.count("not cached") == 2


async def test_a_task_has_its_own_time_to_live(until):
    async with cached() as pool:
        await (await pool.submit(pair, 1, cache_ttl=0.01))
        await (await pool.submit(pair, 2))

        async def expired():
            handle = await pool.submit(pair, 1, cache_ttl=0.01)
            await handle
            return not handle.info.from_cache

        async with asyncio.timeout(10):
            while not await expired():
                await asyncio.sleep(0.005)
        handle = await pool.submit(pair, 2)
        await handle
        assert handle.info.from_cache
        with pytest.raises(ValueError, match="cache_ttl"):
            await pool.add_task(pair, 1, cache_ttl=0)


async def test_a_function_without_a_name_of_its_own_is_not_cached_and_says_so_once(caplog):
    async def closure():
        runs.append("closure")
        return 1

    async with cached() as pool:
        for _ in range(2):
            await (await pool.submit(closure))
        assert caplog.text.count("not cached") == 1
        for _ in range(2):
            await (await pool.submit(closure, cache_key="mine"))
        for _ in range(2):
            await (await pool.submit(closure, cache_key="yours"))
    assert len(runs) == 4


async def test_a_registered_function_is_cached_by_its_type():
    @task("cached by type")
    async def closure():
        runs.append("closure")

    async def other_closure():
        runs.append("other")

    register_task("another type", other_closure)
    async with cached() as pool:
        for function in (closure, closure, other_closure, other_closure):
            await (await pool.submit(function))
    assert runs == ["closure", "other"]


class Shop:
    def __init__(self, name):
        self.name = name

    async def price(self, item):
        return f"{item} at {self.name}"


async def test_methods_of_two_objects_that_are_registered_apart_share_nothing():
    north, south = Shop("north"), Shop("south")
    register_task("price in the north", north.price)
    register_task("price in the south", south.price)
    async with cached() as pool:
        for shop in (north, south, Shop("another"), south):
            assert await (await pool.submit(shop.price, "tea")) == f"tea at {shop.name}"
        tasks = [(await pool.submit(shop.price, "tea")).task for shop in (north, south)]
        assert tasks == ["price in the north", "price in the south"]


async def test_a_wrapper_does_not_share_with_what_it_wraps():
    @wraps(pair)
    async def wrapper(*args, **kwargs):
        runs.append("wrapper")
        return await pair(*args, **kwargs)

    async with cached() as pool:
        await (await pool.submit(pair, 1))
        await (await pool.submit(wrapper, 1))
    assert runs == [(1, 2, 3), "wrapper", (1, 2, 3)]


async def test_arguments_that_can_not_be_keyed_are_not_cached_and_say_so_once(caplog):
    async with cached() as pool:
        for _ in range(2):
            await (await pool.submit(unkeyable, object()))
        for _ in range(2):
            await (await pool.submit(unkeyable, 1))
    assert len(runs) == 3
    assert caplog.text.count("not cached") == 1


async def test_a_sync_function_is_cached_too():
    async with cached() as pool:
        assert [await (await pool.submit(in_thread, 5)) for _ in range(3)] == [5] * 3
    assert len(runs) == 1


async def test_an_entry_can_be_dropped_and_all_of_them():
    async with cached() as pool:
        await (await pool.submit(pair, 1))
        assert await pool.invalidate_cache(pair, a=1)
        assert not await pool.invalidate_cache(pair, 1)
        for number in (1, 2):
            await (await pool.submit(pair, number))
        await pool.clear_cache()
        await (await pool.submit(pair, 2))
    assert len(runs) == 4


class Broken(CacheAdapter):
    async def get(self, key):
        raise OSError("gone")

    async def set(self, key, value, ttl=None):
        raise OSError("gone")

    async def delete(self, key):
        raise OSError("gone")

    async def clear(self):
        raise OSError("gone")


async def test_a_cache_that_fails_never_fails_a_task(caplog):
    async with cached(cache_adapter=Broken()) as pool:
        for _ in range(2):
            assert await (await pool.submit(pair, 1)) == [1, 2, 3]
        assert not await pool.invalidate_cache(pair, 1)
        await pool.clear_cache()
        assert pool.stats()["cache"]["errors"] == 6
    assert caplog.text.count("gone") == 1


class WithoutTtl(Broken):
    async def set(self, key, value):
        """Take no `ttl`."""


class WithoutAnswer(Broken):
    async def get(self, key):
        """Return no pair."""


class Plain(Broken):
    def get(self, key):
        raise OSError("gone")

    set = delete = clear = get


@pytest.mark.parametrize("kind", [WithoutTtl, WithoutAnswer, Plain])
async def test_an_adapter_that_is_written_wrongly_never_fails_a_task(kind):
    async with cached(cache_adapter=kind()) as pool:
        assert await (await pool.submit(pair, 1)) == [1, 2, 3]
        assert not await pool.invalidate_cache(pair, 1)
        await pool.clear_cache()
        assert pool.stats()["cache"]["errors"] == 4


class Noting(CacheAdapter):
    """Written after the reference page's sample."""

    def __init__(self):
        self.kept = {}
        self.calls = []

    async def get(self, key):
        await asyncio.sleep(0.001)
        self.calls.append(("get", key))
        return (True, self.kept[key]) if key in self.kept else (False, None)

    async def set(self, key, value, ttl=None):
        await asyncio.sleep(0.001)
        self.calls.append(("set", key, value, ttl))
        self.kept[key] = value

    async def delete(self, key):
        return self.kept.pop(key, None) is not None

    async def clear(self):
        self.kept.clear()


async def test_an_adapter_gets_plain_values_whole_seconds_and_keys_with_our_prefix():
    adapter = Noting()
    async with cached(cache_adapter=adapter, cache_ttl=60) as pool:
        handle = await pool.submit(pair, 1, cache_ttl=0.5)
        await handle
        assert await (await pool.submit(pair, 1)) == [1, 2, 3]
        assert await pool.invalidate_cache(pair, 1)
    kinds = [call[0] for call in adapter.calls]
    assert kinds == ["get", "set", "get"]
    _, key, value, ttl = adapter.calls[1]
    assert key.startswith("task_cache:")
    assert (value, ttl, type(ttl)) == ([1, 2, 3], 1, int)


async def test_ten_equal_calls_run_once_over_a_cache_that_takes_its_time():
    async with cached(cache_adapter=Noting()) as pool:
        handles = [await pool.submit(give_none) for _ in range(10)]
        for handle in handles:
            await handle
    assert runs == [None]


async def test_those_who_waited_for_one_body_get_a_result_each():
    async with cached() as pool:
        results = await asyncio.gather(*[await pool.submit(slow) for _ in range(3)])
        for number, result in enumerate(results):
            result["list"].append(number)
    assert results == [{"list": [0]}, {"list": [1]}, {"list": [2]}]
    assert runs == ["slow"]


async def test_a_progress_callback_of_the_callers_own_is_no_part_of_the_key():
    async with cached() as pool:
        await (await pool.submit(unkeyable, 1))
        await (await pool.submit(unkeyable, 1, kwargs={"progress_callback": print}))
    assert runs == [1]


async def test_a_cache_that_never_answers_is_done_without(monkeypatch, caplog):
    class Silent(Noting):
        async def get(self, key):
            await asyncio.Event().wait()

    monkeypatch.setattr("mainspring.cache.results.PATIENCE", 0.05)
    async with cached(cache_adapter=Silent()) as pool:
        assert await asyncio.wait_for(await pool.submit(pair, 1), 10) == [1, 2, 3]
    assert "TimeoutError" in caplog.text


def test_an_adapter_without_all_four_methods_can_not_be_made():
    class Half(CacheAdapter):
        async def get(self, key):
            return False, None

    with pytest.raises(TypeError, match="clear"):
        Half()


async def test_a_kept_result_is_given_without_a_task_of_its_own(monkeypatch):
    async with cached() as pool:
        await (await pool.submit(pair, 1))
        before = SlotGroup._start
        monkeypatch.setattr(SlotGroup, "_start", lambda *_: pytest.fail("a task was made"))
        kept = await pool.submit(pair, 1)
        assert await kept == [1, 2, 3]
        assert kept.info.from_cache
        assert kept.info.started_at is not None
        monkeypatch.setattr(SlotGroup, "_start", before)
        assert await (await pool.submit(pair, 2)) == [2, 2, 3]
    assert len(runs) == 2


class WaitingCache(MemoryCache):
    async def get(self, key):
        await asyncio.sleep(0)
        return await super().get(key)


async def test_a_cache_in_memory_that_waits_after_all_is_waited_for():
    async with cached(cache_adapter=WaitingCache()) as pool:
        for _ in range(3):
            assert await (await pool.submit(pair, 1)) == [1, 2, 3]
    assert len(runs) == 1

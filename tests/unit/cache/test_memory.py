"""The cache in memory: time to live and the bound are exact."""

from __future__ import annotations

import asyncio

import pytest

from mainspring import MemoryCache


def run(coroutine):
    return asyncio.run(coroutine)


def test_an_entry_lives_as_long_as_it_was_told_and_no_longer():
    now = [100.0]
    cache = MemoryCache(clock=lambda: now[0])
    run(cache.set("a", 1, ttl=10))
    run(cache.set("b", 2))
    now[0] = 109.9
    assert run(cache.get("a")) == (True, 1)
    now[0] = 110.0
    assert run(cache.get("a")) == (False, None)
    assert not run(cache.delete("a"))
    assert run(cache.get("b")) == (True, 2)


def test_the_least_recently_used_goes_first_and_the_bound_is_exact():
    cache = MemoryCache(max_size=3)
    for key in "abc":
        run(cache.set(key, key))
    run(cache.get("a"))
    run(cache.set("b", "again"))
    run(cache.set("d", "d"))
    assert len(cache) == 3
    assert [run(cache.get(key))[0] for key in "abcd"] == [True, True, False, True]


@pytest.mark.parametrize("size", [0, -1, 1.5, True, "many"])
def test_a_size_that_makes_no_sense_is_a_value_error(size):
    with pytest.raises(ValueError, match="max_size"):
        MemoryCache(size)

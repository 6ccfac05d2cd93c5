"""What a pool takes as a task: what it can run, and nothing that would complete without a run."""

from __future__ import annotations

import functools
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from mainspring import AsyncTaskWorker, get_task_function, register_task


def generator():
    yield 1


async def asyncgenerator():
    yield 1


async def add(left, right=0):
    return left + right


class Yields:
    def __call__(self):
        yield 1


class Adds:
    async def __call__(self, left, right=0):
        return left + right


class Sync:
    def __call__(self, left, right=0):
        return left + right


@contextmanager
def managed():
    yield 1


YIELDING = [generator, asyncgenerator, functools.partial(generator), Yields()]


@pytest.mark.parametrize("function", YIELDING)
async def test_a_function_with_a_yield_is_refused(function):
    async with AsyncTaskWorker() as pool:
        for door in (pool.submit, pool.add_task):
            with pytest.raises(TypeError, match="yield"):
                await door(function)
        assert pool.get_all_tasks() == []


@pytest.mark.parametrize("function", YIELDING)
def test_a_function_with_a_yield_is_no_task_type(function):
    with pytest.raises(TypeError, match="yield"):
        register_task("yielding", function)


@pytest.mark.parametrize("function", [(lambda *_: generator()), (lambda *_: asyncgenerator())])
async def test_one_that_returns_a_generator_fails(function):
    async with AsyncTaskWorker() as pool:
        with pytest.raises(TypeError, match="generator, of which nothing has run"):
            await (await pool.submit(function))


async def test_a_coroutine_function_that_returns_a_coroutine_fails():
    async def forgot():
        return add(1)

    async with AsyncTaskWorker() as pool:
        with pytest.raises(TypeError, match="returned a coroutine"):
            await (await pool.submit(forgot))


@pytest.mark.parametrize(
    "function",
    [
        add,
        Adds(),
        Sync(),
        functools.partial(add),
        functools.partial(Adds()),
        functools.partial(Sync()),
        lambda left, right: add(right, left),
    ],
)
async def test_what_can_be_called_is_run_and_awaited(function):
    async with AsyncTaskWorker() as pool:
        assert await (await pool.submit(function, 1, 2)) == 3


async def test_a_context_manager_is_a_result():
    async with AsyncTaskWorker() as pool:
        with await (await pool.submit(managed)) as one:
            assert one == 1


@pytest.mark.parametrize("given", [(add, 1), "add", None, 7, generator()])
async def test_what_is_no_function_is_refused(given):
    async with AsyncTaskWorker() as pool:
        with pytest.raises(TypeError, match="a task is a function"):
            await pool.submit(given)


async def test_a_type_in_the_place_of_its_function_is_refused_with_the_remedy():
    async with AsyncTaskWorker() as pool:
        with pytest.raises(TypeError, match=r"not its type 'add'; give get_task_function\('add'\)"):
            await pool.submit("add", 1)


async def test_a_coroutine_in_the_place_of_its_function_is_refused_with_the_remedy():
    async with AsyncTaskWorker() as pool:
        with pytest.raises(TypeError, match=r"not the coroutine add; .*add_task\(function, 1, 2\)"):
            await pool.submit(add(1))


async def test_a_function_keeps_the_type_that_is_still_its_own():
    def first():
        pass

    def second():
        pass

    for name in ("type one", "type two"):
        register_task(name, first)
    register_task("type one", second)
    async with AsyncTaskWorker() as pool:
        handles = [await pool.submit(function) for function in (first, second)]
        assert [handle.task for handle in handles] == ["type two", "type one"]
        register_task("type two", second)
        register_task("type two", first)
        handles = [await pool.submit(function) for function in (first, second)]
        assert [handle.task for handle in handles] == ["type two", "type one"]


class Slotted:
    __slots__ = ()

    def __call__(self, left, right=0):
        return left + right


@dataclass
class Wrapped:
    """What a decorator may leave in the place of a function: equal, and so without a hash."""

    function: Any

    def __call__(self, left, right=0):
        return self.function(left, right)


def plain(left, right=0):
    return left + right


without_hash = functools.update_wrapper(Wrapped(plain), plain)
without_hash.__qualname__ = "without_hash"


@pytest.mark.parametrize("function", [Slotted(), without_hash])
async def test_a_callable_without_a_hash_or_a_weak_reference_can_be_a_task(function):
    async with AsyncTaskWorker() as pool:
        assert await (await pool.submit(function, 1, 2)) == 3


def test_a_callable_without_a_hash_is_no_task_type():
    with pytest.raises(TypeError, match="hash"):
        register_task("without a hash", without_hash)
    assert get_task_function("without a hash") is None


def test_a_callable_without_a_weak_reference_can_be_a_task_type():
    register_task("slotted", slotted := Slotted())
    assert get_task_function("slotted") is slotted

"""A coroutine in a context of its own behaves like one that is awaited."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar

import pytest

from mainspring.engine.apart import apart

MARK = ContextVar("mark", default="outside")


def test_it_gives_what_the_coroutine_returns_and_keeps_its_context_apart():
    async def inside():
        MARK.set("inside")
        await asyncio.sleep(0)
        async with asyncio.timeout(5):
            return MARK.get(), await asyncio.create_task(child())

    async def child():
        return MARK.get()

    async def main():
        return await apart(inside()), MARK.get()

    assert asyncio.run(main()) == (("inside", "inside"), "outside")


def test_what_is_raised_goes_both_ways():
    seen = []

    async def inside():
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            seen.append(MARK.get())
        await asyncio.sleep(0)
        raise ValueError("its own")

    async def main():
        task = asyncio.create_task(run())
        await asyncio.sleep(0)
        task.cancel()
        await task

    async def run():
        MARK.set("slot")
        await apart(inside())

    with pytest.raises(ValueError, match="its own") as caught:
        asyncio.run(main())
    assert seen == ["slot"]
    # Raised after the cancellation was dealt with, so not in its context.
    assert caught.value.__context__ is None


def test_a_timeout_of_its_own_is_its_own():
    async def inside():
        try:
            async with asyncio.timeout(0.001):
                await asyncio.sleep(60)
        except TimeoutError:
            return "in time"

    async def main():
        return await apart(inside())

    assert asyncio.run(main()) == "in time"


def test_closed_in_the_middle_it_cleans_up():
    ended = []

    async def inside():
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(1)

    async def main():
        steps = apart(inside()).__iter__()
        next(steps)
        steps.close()

    asyncio.run(main())
    assert ended == [1]

"""A task of the pool whose error raises when it is looked at ends all the same."""

from __future__ import annotations

import asyncio

import pytest

from mainspring import AsyncTaskWorker
from mainspring.errors import UnreadableError

ASKED = ("__traceback__", "__cause__", "__class__", "__str__", "__reduce_ex__", "with_traceback")


def odd_class(name, second):
    def refuse(*_args, **_kwargs):
        raise second("odd")

    called = {"__str__", "__reduce_ex__", "with_traceback"}
    return type("Odd", (Exception,), {name: refuse if name in called else property(refuse)})


@pytest.mark.parametrize("second", [RuntimeError, SystemExit])
@pytest.mark.parametrize("name", ASKED)
@pytest.mark.parametrize("threaded", [False, True])
async def test_an_odd_error_ends_its_task_and_no_other(name, second, threaded):
    odd = odd_class(name, second)

    def fail():
        raise odd

    async def afail():
        raise odd

    async with AsyncTaskWorker(max_workers=1) as pool:
        handle = await pool.submit(fail if threaded else afail)
        with pytest.raises((odd, UnreadableError)):
            await asyncio.wait_for(handle.result(), 10)
        assert handle.status == "failed"
        assert isinstance(handle.info.error, str)
        assert await (await pool.submit(lambda: 1)) == 1


async def test_a_log_handler_that_raises_costs_no_slot(monkeypatch):
    def explode(event):
        raise RuntimeError("no log")

    monkeypatch.setattr("mainspring.pool.lifetime.log_event", explode)

    async def fail():
        raise ValueError("mine")

    async with AsyncTaskWorker(max_workers=1) as pool:
        for _ in range(3):
            with pytest.raises(ValueError, match="mine"):
                await asyncio.wait_for((await pool.submit(fail)).result(), 10)

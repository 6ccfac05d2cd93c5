"""Coroutine tests run on a loop of their own, and may not take for ever."""

from __future__ import annotations

import asyncio
import inspect

import pytest

PATIENCE = 60


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    test = pyfuncitem.obj
    if not inspect.iscoroutinefunction(test):
        return None
    names = inspect.signature(test).parameters
    arguments = {name: pyfuncitem.funcargs[name] for name in names}
    asyncio.run(asyncio.wait_for(test(**arguments), PATIENCE))
    return True


async def until(condition, within=10.0):
    """Let the loop run until the condition holds."""
    async with asyncio.timeout(within):
        while not condition():
            await asyncio.sleep(0.001)


@pytest.fixture(name="until")
def until_fixture():
    return until


class Gate:
    """A body that waits until it is let go, and tells what happened to it."""

    def __init__(self):
        self.entered = asyncio.Event()
        self.opened = asyncio.Event()
        self.cancelled = False
        self.cleaned = False

    async def __call__(self):
        self.entered.set()
        try:
            await self.opened.wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        finally:
            self.cleaned = True
        return "through"


@pytest.fixture
def make_gate():
    return Gate

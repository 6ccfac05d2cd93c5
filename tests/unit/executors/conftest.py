"""Executors on their own: claims go in by hand, outcomes come out into a list."""

from __future__ import annotations

import asyncio
import itertools
import threading

import pytest

from mainspring.engine.attempts.attempt import Attempt
from mainspring.executors.event_loop import AsyncExecutor
from mainspring.executors.thread import ThreadExecutor
from mainspring.model.backoff import Exponential
from mainspring.model.codec import JsonCodec
from mainspring.model.job import Claim
from mainspring.model.task import Registry, Task, executor_of


class Rig:
    """An executor that runs in a thread, with the tasks it knows and the outcomes it gave."""

    def __init__(self, kind, size):
        self.tasks = Registry()
        self.outcomes = []
        self.noted = []
        self._keys = itertools.count(1)
        attempt = Attempt(self.tasks, JsonCodec(limit_bytes=1 << 20), self._note)
        make = {"thread": ThreadExecutor, "async": AsyncExecutor}[kind]
        self.executor = make(size, attempt, self.outcomes.append)
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._live)

    def _note(self, slot, key, fence):
        self.noted.append((slot, key, fence))

    def _live(self):
        asyncio.run(self.executor.run(self._started.set))

    def start(self):
        self._thread.start()
        assert self._started.wait(10)
        return self

    def stop(self):
        self.executor.close()
        if self._thread.ident is not None:
            self._thread.join(15)
            assert not self._thread.is_alive(), "the executor did not end"

    def task(self, function, *, retries=0, **options):
        kind = executor_of(function, None, "a test")
        name = options.pop("name", function.__name__)
        backoff = Exponential(base=0.0)
        self.tasks.add(
            Task(name, function, retries=retries, executor=kind, backoff=backoff, **options)
        )
        return function

    def claim(self, name, *arguments):
        payload = JsonCodec(limit_bytes=1 << 20).encode_call(name, arguments, {})
        key = next(self._keys)
        return Claim(key, f"{key}-x", 7, name, "default", payload, 1, 0)

    def submit(self, name, *arguments):
        claim = self.claim(name, *arguments)
        self.executor.submit([claim])
        return claim

    def kinds(self):
        return [outcome.kind.value for outcome in self.outcomes]


@pytest.fixture
def make_rig():
    rigs = []

    def make(kind, size=1):
        rig = Rig(kind, size)
        rigs.append(rig)
        return rig

    yield make
    for rig in rigs:
        rig.stop()

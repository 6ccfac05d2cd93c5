"""Parts of the engine on their own: executors that only note, stores that go wrong on purpose."""

from __future__ import annotations

import math
import threading
from collections import deque

import pytest

from mainspring.engine.attempts.attempt import released
from mainspring.engine.claims.exchange import Exchange
from mainspring.engine.claims.slots import Slots
from mainspring.engine.node.node import Node
from mainspring.model.job import NewJob, Outcome, OutcomeKind
from mainspring.protocols import ExecutorLoad
from mainspring.stores.memory import MemoryStore
from mainspring.testing import FrozenClock


class NoteSink:
    """An executor that runs nothing: the test begins and ends bodies by hand."""

    kind = "thread"
    abandoned = 0

    def __init__(self, size):
        self.size = size
        self.line = deque()
        self.begun = []
        self.since = math.inf
        self.interrupted = 0
        self.ended = []
        self.told_to_stop = False

    def submit(self, claims):
        self.line.extend(claims)

    def withdraw(self, count):
        return [self.line.popleft() for _ in range(min(count, len(self.line)))]

    def waiting(self):
        return len(self.line)

    def load(self):
        began = self.since if self.begun else math.inf
        return ExecutorLoad(len(self.line), len(self.begun), began, self.abandoned)

    def held_since(self, claim):
        return self.since if claim in self.begun else None

    def lag(self):
        return None

    def announce_stop(self):
        self.told_to_stop = True

    def interrupt(self, outcome, grants=None):
        self.interrupted += grants is None
        self.ended.append(grants)

    def begin(self, count=1):
        taken = self.withdraw(count)
        self.begun += taken
        return taken


class Trouble:
    """A store in front of another: raises what a test has put into `raises`, by verb.

    That is an error, or a function of the verb's arguments that returns one, or None. `loses` holds
    verbs, each with the error that comes once in the place of an answer.
    """

    def __init__(self, store):
        self._store = store
        self.raises = {}
        self.loses = {}
        self.calls = []

    def __getattr__(self, name):
        found = getattr(self._store, name)
        if not callable(found):
            return found

        def call(*args, **kwargs):
            self.calls.append((name, args))
            trouble = self.raises.get(name)
            error = trouble(*args, **kwargs) if callable(trouble) else trouble
            if error is not None:
                raise error
            answer = found(*args, **kwargs)
            lost = self.loses.pop(name, None)
            if lost is not None:
                raise lost
            return answer

        return call


class QueueClient:
    """An exchange with a sink, a store that can go wrong, and what it told."""

    def __init__(self, size=4, run_seconds=None):
        self.clock = FrozenClock()
        self.memory = MemoryStore(clock=self.clock)
        self.store = Trouble(self.memory)
        self.told = []
        self.node = Node(self.store, slots=size, lease=15.0)
        self.exchange = Exchange(self.store, self.node, None, self.told.append)
        self.sink = NoteSink(size)
        self.slots = Slots(self.sink, ("t",))
        if run_seconds is not None:
            self.slots._run_seconds = run_seconds
        self.exchange.serve(self.slots)
        self.woken = threading.Event()
        self.exchange.bind(self.woken.set)
        self.node.join()

    def enqueue(self, count=1, **options):
        return self.memory.enqueue_many([NewJob("t", "default", b"[[],{}]", **options)] * count)

    def end(self, claim, kind=OutcomeKind.COMPLETED, **fields):
        self.sink.begun.remove(claim)
        fields = {"began": 1.0, "ended": 1.001, **fields}
        if kind is OutcomeKind.COMPLETED:
            fields.setdefault("result", b"1")
        self.exchange.put(Outcome(claim.key, claim.fence, kind, **fields))

    def release(self, claim):
        self.exchange.put(released(claim))

    def states(self, ids):
        return [self.memory.get(one).state.value for one in ids]

    def turn_until(self, condition, most=60):
        """Turn, and let errors be, as the exchange's worker does."""
        errors = []
        for _ in range(most):
            if condition():
                return errors
            try:
                self.exchange.turn()
            except Exception as error:  # noqa: BLE001  # the worker's border, which goes on
                errors.append(error)
        raise AssertionError(f"not within {most} turns; errors: {errors}")


@pytest.fixture
def make_trouble():
    return Trouble


@pytest.fixture
def make_desk():
    return QueueClient


@pytest.fixture
def client():
    return QueueClient()


@pytest.fixture
def make_sink():
    return NoteSink

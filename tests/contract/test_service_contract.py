"""The services' contract finds each fault that is planted, and finds none where there is none."""

from __future__ import annotations

import asyncio
import contextlib
import threading

import pytest

from mainspring.testing.contracts import service
from mainspring.testing.contracts.service import ServiceContract


class Good:
    name = "a service"

    def __init__(self):
        self._closed = threading.Event()

    async def run(self, started):
        started()
        await self._live()

    async def _live(self):
        while not self._closed.is_set():
            await asyncio.sleep(0.001)

    def close(self):
        self._closed.set()


class Nameless(Good):
    name = ""


class StartsTwice(Good):
    async def run(self, started):
        started()
        await super().run(started)


class NeverStarts(Good):
    async def run(self, started):
        await self._live()


class EndsByItself(Good):
    async def run(self, started):
        started()


class IsDeaf(Good):
    def close(self):
        pass


class SwallowsItsCancellation(Good):
    async def run(self, started):
        with contextlib.suppress(asyncio.CancelledError):
            await super().run(started)


class CanNotStart(Good):
    async def run(self, started):
        raise OSError("no such door")


class HangsWhenRunAgain(Good):
    ran = False

    async def run(self, started):
        if self.ran:
            await asyncio.sleep(60)
        self.ran = True
        await super().run(started)


class LeavesAThread(Good):
    async def run(self, started):
        threading.Thread(target=threading.Event().wait, args=(0.5,)).start()
        await super().run(started)


class HangsWhenItFails(Good):
    async def run(self, started):
        started()
        await asyncio.sleep(60)


FAULTS = [
    (Nameless, "test_it_has_a_name"),
    (StartsTwice, "test_it_starts_once_and_ends_when_closed"),
    (StartsTwice, "test_closed_before_run_it_starts_and_returns_at_once"),
    (StartsTwice, "test_closed_while_it_starts_it_ends"),
    (StartsTwice, "test_closed_from_several_threads_at_once_it_ends"),
    (NeverStarts, "test_it_starts_once_and_ends_when_closed"),
    (EndsByItself, "test_it_runs_until_it_is_closed"),
    (IsDeaf, "test_closing_twice_and_after_its_end_is_harmless"),
    (IsDeaf, "test_closed_before_run_it_starts_and_returns_at_once"),
    (SwallowsItsCancellation, "test_cancelled_it_ends"),
    (HangsWhenRunAgain, "test_run_again_after_its_end_it_returns_or_refuses"),
    (LeavesAThread, "test_it_leaves_no_thread_behind"),
    (HangsWhenItFails, "test_closed_while_it_fails_it_ends"),
]
TESTS = [name for name in vars(ServiceContract) if name.startswith("test_")]


@pytest.fixture
def impatient(monkeypatch):
    """What hangs is waited for only a little; what is good may take its time."""
    monkeypatch.setattr(service, "PATIENCE", 0.3)


def contract_of(kind):
    class Contract(ServiceContract):
        def make(self):
            return kind()

        def make_failing(self):
            return kind()

    return Contract()


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(("kind", "test"), FAULTS)
def test_a_fault_is_found(kind, test):
    with pytest.raises(AssertionError):
        getattr(contract_of(kind), test)()


@pytest.mark.parametrize("test", TESTS)
def test_nothing_is_found_in_a_good_one(test):
    getattr(contract_of(Good), test)()


def test_each_test_of_the_contract_finds_a_fault():
    assert {test for _, test in FAULTS} == set(TESTS)


def test_a_service_that_can_not_start_says_why_and_is_not_waited_for():
    with pytest.raises(OSError, match="no such door"):
        contract_of(CanNotStart).test_it_runs_until_it_is_closed()

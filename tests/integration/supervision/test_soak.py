"""All kinds of workers at once, with random failures and random handling, for a while."""

import asyncio
import logging
import random
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from mainspring.background.decorators import background_worker
from mainspring.background.queue_worker import BackgroundQueueWorker
from mainspring.errors import AlreadyRunning, NotRunning

KINDS = ({}, {"interval": 0.01}, {"delay": 0.01}, {"event": True}, {"queue": True})


class Subject:
    """A worker that knows whether it ran twice at once, and which items it has seen."""

    def __init__(self, number, supervisor):
        self.busy = 0
        self.overlaps = 0
        self.runs = 0
        self.seen = []
        self.futures = []
        self.lock = threading.Lock()
        options = {**KINDS[number % len(KINDS)], "name": f"w{number}", "supervisor": supervisor}
        target = self.arun if number % 2 else self.run
        self.worker = background_worker(**options)(target)
        self.queued = isinstance(self.worker, BackgroundQueueWorker)

    def run(self, *items, **_):
        self.enter(items)
        try:
            time.sleep(random.random() * 0.002)
            self.stumble()
        finally:
            self.busy -= 1

    async def arun(self, *items, **_):
        self.enter(items)
        try:
            await asyncio.sleep(random.random() * 0.002)
            self.stumble()
        finally:
            self.busy -= 1

    def enter(self, items):
        self.overlaps += self.busy
        self.busy += 1
        self.runs += 1
        self.seen.extend(items)

    def stumble(self):
        if random.random() < 0.05:
            raise OSError("a random failure")

    def handle(self):
        action = random.random()
        with suppress(NotRunning, AlreadyRunning):
            if action < 0.2:
                self.worker.start()
            elif action < 0.25:
                self.worker.stop(wait=random.choice([True, False, 0.01]))
            elif self.queued:
                with self.lock:
                    item = len(self.futures)
                    self.futures.append(self.worker.put_threadsafe(item))
            elif hasattr(self.worker, "trigger_threadsafe"):
                self.worker.trigger_threadsafe()


def descriptors():
    folder = Path("/proc/self/fd")
    return len(list(folder.iterdir())) if folder.is_dir() else 0


def play(subjects, deadline):
    while time.monotonic() < deadline:
        random.choice(subjects).handle()
        time.sleep(0.0005)


async def aplay(subjects, deadline):
    while time.monotonic() < deadline:
        subject = random.choice(subjects)
        if random.random() < 0.1:
            await subject.worker.astop(random.choice([True, 0.01]))
        with suppress(AlreadyRunning):
            await subject.worker.astart()
        await asyncio.sleep(0.001)


def play_with(subjects, seconds):
    """Handle the subjects from eight threads and two loops."""
    deadline = time.monotonic() + seconds
    players = [threading.Thread(target=play, args=(subjects, deadline)) for _ in range(8)]
    players += [
        threading.Thread(target=lambda: asyncio.run(aplay(subjects, deadline))) for _ in range(2)
    ]
    for one in players:
        one.start()
    for one in players:
        one.join(seconds + 30)
    assert not any(one.is_alive() for one in players)


@pytest.fixture
def quiet():
    log = logging.getLogger("mainspring.supervision")
    log.setLevel(logging.CRITICAL)
    yield
    log.setLevel(logging.NOTSET)


@pytest.mark.parametrize(
    ("workers", "seconds"),
    [(50, 3.0), pytest.param(200, 60.0, marks=[pytest.mark.long, pytest.mark.timeout(240)])],
)
def test_no_overlap_no_lost_item_and_nothing_left_behind(supervisor, workers, seconds, quiet):
    threads, opened = set(threading.enumerate()), descriptors()
    subjects = [Subject(number, supervisor) for number in range(workers)]
    for subject in subjects:
        subject.worker.start()
    play_with(subjects, seconds)
    queued = [subject for subject in subjects if subject.queued]
    for subject in queued:
        subject.worker.start()
        assert subject.worker.stop(wait=30, drain=True)
    assert supervisor.stop()
    assert sum(subject.overlaps for subject in subjects) == 0
    for subject in queued:
        assert sorted(subject.seen) == list(range(len(subject.futures)))
        assert all(future.done() for future in subject.futures)
    assert set(threading.enumerate()) == threads
    assert descriptors() <= opened

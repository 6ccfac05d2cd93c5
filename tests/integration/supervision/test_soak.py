"""All kinds of workers at once, with random failures and random handling, for a while."""

import asyncio
import gc
import logging
import os
import random
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import targets

from mainspring import BackgroundQueueWorker, background_worker
from mainspring.errors import AlreadyRunning, NotRunning

LEAK_MEGABYTES = 5.0

KINDS = (
    {},
    {"interval": 0.01},
    {"delay": 0.01},
    {"event": True},
    {"queue": True},
    {"cron": "* * * * *"},
    {"queue": asyncio.PriorityQueue},
)

DISTANT = 4
"""How many of the workers have their target in another process."""


class Subject:
    """A worker that knows whether it ran twice at once, and which items it has seen."""

    def __init__(self, number, supervisor):
        self.busy = 0
        self.overlaps = 0
        self.runs = 0
        self.put = 0
        self.seen = 0
        self.told = 0
        self.out_of_order = 0
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
        for item in items if self.queued else ():
            self.out_of_order += item != self.seen
            self.seen += 1

    def stumble(self):
        if random.random() < 0.05:
            raise OSError("a random failure")

    def note_told(self, _):
        self.told += 1

    def drain(self):
        self.worker.start()
        assert self.worker.stop(wait=30, drain=True)

    def handle(self):
        action = random.random()
        with suppress(NotRunning, AlreadyRunning):
            if action < 0.2:
                self.worker.start()
            elif action < 0.25:
                self.worker.stop(wait=random.choice([True, False, 0.01]))
            elif self.queued:
                with self.lock:
                    future = self.worker.put_threadsafe(self.put)
                    self.put += 1
                future.add_done_callback(self.note_told)
            elif hasattr(self.worker, "trigger_threadsafe"):
                self.worker.trigger_threadsafe()


class DistantSubject(Subject):
    """A queue worker whose target runs in a process."""

    def __init__(self, number, supervisor):
        super().__init__(number, supervisor)
        self.worker = Echo(f"w{number}", self, supervisor=supervisor)
        self.queued = True


class Echo(targets.Echo):
    """Notes in the parent what came back."""

    def __init__(self, name, subject, **options):
        super().__init__(name, **options)
        self.subject = subject

    def process_result(self, result):
        self.subject.enter((result,))
        self.subject.busy -= 1


def make_subject(number, supervisor):
    kind = DistantSubject if number < DISTANT else Subject
    return kind(number, supervisor)


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


def resident_megabytes():
    """What the process keeps, after a collection (Linux)."""
    gc.collect()
    statm = Path("/proc/self/statm")
    pages = int(statm.read_text().split()[1]) if statm.exists() else 0
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


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
    [(50, 2.0), pytest.param(200, 60.0, marks=[pytest.mark.long, pytest.mark.timeout(240)])],
)
def test_no_overlap_no_lost_item_and_nothing_left_behind(supervisor, workers, seconds, quiet):
    threads, opened = set(threading.enumerate()), descriptors()
    subjects = [make_subject(number, supervisor) for number in range(workers)]
    supervisor.set_mp_pool(pool_size=2)
    queued = [subject for subject in subjects if subject.queued]
    resident = []
    for subject in subjects:
        subject.worker.start()
    for _ in range(2):
        play_with(subjects, seconds / 2)
        for subject in queued:
            subject.drain()
        resident.append(resident_megabytes())
    assert supervisor.stop()
    assert sum(subject.overlaps for subject in subjects) == 0
    assert sum(subject.out_of_order for subject in subjects) == 0
    assert [subject.seen for subject in queued] == [subject.put for subject in queued]
    assert [subject.told for subject in queued] == [subject.put for subject in queued]
    assert set(threading.enumerate()) == threads
    assert descriptors() <= opened
    print(f"{sum(one.runs for one in subjects)} runs, resident after each half: {resident} MB")  # noqa: T201  asked for with -s
    assert resident[1] - resident[0] < LEAK_MEGABYTES

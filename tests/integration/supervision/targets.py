"""Targets that child processes import."""

import os
import time
from pathlib import Path
from typing import ClassVar

from mainspring import (
    BackgroundEventWorker,
    BackgroundIntervalWorker,
    BackgroundQueueWorker,
    BackgroundWorker,
    background_task,
    background_worker,
)
from mainspring.processes import parent_watch


class Doubler(BackgroundQueueWorker):
    results: ClassVar[list] = []
    verdict = None

    @staticmethod
    def run(task, *args, **kwargs):
        if task == "raise":
            raise OSError("no such task")
        if task == "die":
            os._exit(3)
        return task * 2, os.getpid(), kwargs.get("_task_id"), "_worker" in kwargs

    def process_result(self, result):
        self.results.append(result)
        return self.verdict


@background_worker(queue=True, executor="process")
def square(number, _name, _task_id):
    return number * number, os.getpid(), _name, _task_id


@background_worker(queue=True, executor="process")
def leave(code):
    os._exit(code)


@background_task(tt="process")
def thrice(number):
    return number * 3, os.getpid()


class Failing(BackgroundIntervalWorker):
    @staticmethod
    def run(**kwargs):
        raise OSError("no sensor")


class Judged:
    """What the targets below share: results, and a verdict on them, in the parent."""

    def process_result(self, result):
        self.seen.append(result)
        return self.verdict

    def take_up(self, verdict=None):
        self.seen, self.verdict = [], verdict
        return self


def alone(folder):
    """Fail if it runs twice at once: it makes a folder for the time of a run."""
    Path(folder).mkdir()
    time.sleep(0.005)
    Path(folder).rmdir()
    return "alone"


class AloneForItems(Judged, BackgroundQueueWorker):
    @staticmethod
    def run(task, folder, **kwargs):
        return alone(folder)


class AloneOnEvents(Judged, BackgroundEventWorker):
    @staticmethod
    def run(folder, **kwargs):
        return alone(folder)


class AloneByInterval(Judged, BackgroundIntervalWorker):
    @staticmethod
    def run(folder, **kwargs):
        return alone(folder)


class AloneForEver(Judged, BackgroundWorker):
    @staticmethod
    def run(folder, **kwargs):
        return alone(folder)


class FailingForEver(BackgroundWorker):
    @staticmethod
    def run(**kwargs):
        raise OSError("no sensor")


class Echo(BackgroundQueueWorker):
    @staticmethod
    def run(task, **kwargs):
        return task


class Waiting(BackgroundIntervalWorker):
    """Runs in its child until a file says that it may go."""

    @staticmethod
    def run(folder, **kwargs):
        (Path(folder) / "began").touch()
        while not (Path(folder) / "go").exists():
            time.sleep(0.005)


def mark_when_told_to_stop(began, told):
    Path(began).touch()
    while not parent_watch.stop_asked(0.05):
        pass
    Path(told).touch()

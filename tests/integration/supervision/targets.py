"""Targets that child processes import."""

import os
from typing import ClassVar

from mainspring.background.decorators import background_worker
from mainspring.background.queue_worker import BackgroundQueueWorker


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

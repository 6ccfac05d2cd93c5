"""Workers that child processes import."""

import os

from mainspring import BackgroundIntervalWorker


class Pid(BackgroundIntervalWorker):
    """Notes the processes that its runs are in."""

    def __init__(self, **options):
        super().__init__(**options)
        self.pids = []

    @staticmethod
    def run(**_):
        return os.getpid()

    def process_result(self, result):
        self.pids.append(result)

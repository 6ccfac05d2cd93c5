"""The demo's course: what is enqueued, watched, killed and checked, one after the other.

Two kinds of background work side by side. *Jobs* stand in a durable queue and run in worker
processes: one a folder to list, one a file to measure (`tasks`). *Loops* run in this process:
an interval worker shows progress, an event worker kills a worker process half-way, and another
checks the index against a straight loop and prints the report.
"""

from __future__ import annotations

import time
from contextlib import closing, suppress
from itertools import chain
from typing import TYPE_CHECKING, Any

from mainspring.cli.demo.output import Progress
from mainspring.cli.demo.report import Attempts, Report
from mainspring.cli.demo.source import measure, walk_sources
from mainspring.cli.demo.workers import WorkerProcesses
from mainspring.errors import InvalidOption, JobError
from mainspring.stores.url import open_store
from mainspring.supervision.restart import Restart
from mainspring.supervision.supervisor.supervisor import Supervisor
from mainspring.supervision.triggers.event import Event
from mainspring.supervision.triggers.interval import Interval
from mainspring.supervision.workers.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from mainspring.cli.demo.output import DemoOutput
    from mainspring.cli.demo.source import Listing, SourceFile
    from mainspring.protocols import Trigger
    from mainspring.queue.job_handle import JobHandle

LOOK_SECONDS = 0.1
FIRST_FAILURE = Restart(max_failures=0)


class Demo:
    """One run: jobs in the queue, and the loops that look after them."""

    def __init__(self, root: Path, skip: list[str], folder: Path, screen: DemoOutput) -> None:
        # A lazy door: the queue is in the store that MAINSPRING_URL names by now.
        from mainspring.cli.demo.tasks import index_file, list_folder, queue  # noqa: PLC0415

        self.queue, self.list_folder, self.index_file = queue, list_folder, index_file
        self.catalog = open_store(queue.url, durability="full", busy_timeout=30.0)
        self.root, self.skip, self.screen = root, skip, screen
        self.workers = WorkerProcesses(folder)
        self.began = time.monotonic()
        self.exit_code = 1

        self.half_done, self.all_done = Event(), Event()
        self.loops = Supervisor(name="demo")
        self.add_loop("progress", self.look, Interval(LOOK_SECONDS))
        self.add_loop("accident", self.kill_a_worker, self.half_done)
        self.reporter = self.add_loop("report", self.report, self.all_done)

    def add_loop(self, name: str, target: Callable[[], object], trigger: Trigger) -> Worker:
        """Add a loop whose first failure ends the demo."""
        worker = Worker(name, target, trigger, restart=FIRST_FAILURE)
        self.loops.add(worker, restart=FIRST_FAILURE)
        return worker

    def run(self) -> int:
        """Start workers, enqueue jobs, and let the loops do the rest; return the exit code."""
        with closing(self.queue), closing(self.catalog), self.workers:
            first, second = self.workers.start(), self.workers.start()
            self.screen.say(f"Workers {first} and {second} index {self.root}")
            self.listings = self.list_folders()
            self.jobs = self.enqueue_files()
            self.progress = self.indexing = Progress("indexing", len(self.jobs))
            with self.loops:
                while not self.loops.join(LOOK_SECONDS):
                    self.workers.check()
        if self.loops.failed is not None:
            raise self.loops.failed
        return self.exit_code

    def list_folders(self) -> list[JobHandle[Listing]]:
        """Have each folder listed by an async job, level by level."""
        jobs: list[JobHandle[Listing]] = []
        level = self.list_folder.map([(str(self.root), self.skip)])
        while level:
            jobs += level
            folders = chain.from_iterable(self.listing(job).folders for job in level)
            level = self.list_folder.map((folder, self.skip) for folder in folders)
        return jobs

    def listing(self, job: JobHandle[Listing]) -> Listing:
        """Wait for a job's result, as long as there are workers."""
        while True:
            try:
                return job.result(timeout=1.0)
            except TimeoutError:
                self.workers.check()

    def enqueue_files(self) -> list[JobHandle[SourceFile]]:
        """Have each file measured by a job in a child process, which gets its path only."""
        paths = list(chain.from_iterable(self.listing(job).files for job in self.listings))
        if not paths:
            raise no_tree(self.root)
        self.screen.say(f"{len(self.listings):,} folders listed, {len(paths):,} files to measure")
        return self.index_file.map((path,) for path in paths)

    def look(self) -> None:
        """Show progress, and tell the other loops when the half and the end have come."""
        progress = self.progress
        if progress is self.indexing:
            counts = self.queue.stats()["queues"].get("files", {})
            progress.reach(counts.get("completed", 0) + counts.get("failed", 0))
            if progress.over and self.half_done.closed:  # the accident is over, too
                self.all_done.fire()
            elif progress.over or (progress.half_way and self.victim_is_busy()):
                self.half_done.fire()
        self.screen.show(progress)

    def victim_is_busy(self) -> bool:
        """Return True if the worker to be killed runs jobs."""
        return any(node.running for node in self.catalog.nodes() if node.pid == self.workers.victim)

    def kill_a_worker(self) -> bool:
        """Kill a worker process without a warning, and start another; once."""
        victim, children = self.workers.victim, self.workers.kill()
        self.screen.say(f"Killed worker {victim} with SIGKILL; it had {children} child processes")
        self.screen.say(f"Started worker {self.workers.start()} in its place")
        return False

    def report(self) -> bool:
        """Check the index against a straight loop, and print what is to be said; once."""
        checking = self.progress = Progress("checking", len(self.jobs))
        straight = list(self.straight_loop(checking))
        self.screen.show(checking)
        self.workers.stop()
        jobs: list[JobHandle[Any]] = [*self.listings, *self.jobs]
        report = Report(
            root=self.root,
            folders=len(self.listings),
            found=list(self.results()),
            straight=straight,
            attempts=Attempts.of(job.history for job in jobs),
            left_behind=len(self.workers.left_behind()),
            seconds=(time.monotonic() - self.began, self.indexing.seconds, checking.seconds),
        )
        if self.reporter.active:
            report.print(self.screen)
            self.exit_code = 0 if report.holds else 1
        self.loops.close()
        return False

    def straight_loop(self, progress: Progress) -> Iterator[SourceFile]:
        """Measure every file in this process; ends early when the demo is interrupted."""
        for done, path in enumerate(walk_sources(str(self.root), self.skip), 1):
            if self.reporter.active:
                yield measure(path)
                progress.reach(done)

    def results(self) -> Iterator[SourceFile]:
        """Yield what the jobs returned; one that failed is missing then, and the check says so."""
        for job in self.jobs:
            with suppress(JobError):
                yield job.result()


def no_tree(path: object) -> InvalidOption:
    """Return the error for a tree without Python files."""
    expected = "a folder that holds Python files"
    return InvalidOption("--path", str(path), owner="mainspring demo", expected=expected)

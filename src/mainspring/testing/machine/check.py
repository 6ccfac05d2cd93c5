"""Compares a store with the model. Knows nothing of the walk that led there."""
# ruff: noqa: S101
# A check is made of asserts.

from __future__ import annotations

from typing import TYPE_CHECKING

from mainspring.model.job import FINAL, JobState
from mainspring.model.job_options import NO_OWN_OPTIONS, read_options, tags_in
from mainspring.model.view import JobFilter
from mainspring.testing.machine.timetable import instant

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from mainspring.model.view import JobRecord
    from mainspring.protocols import JobStore
    from mainspring.testing.machine.model import ModelJob, StoreModel
    from mainspring.testing.machine.timetable import TimetableModel

EVERYTHING_EVERY = 8
"""Steps of the walk."""

Seen = tuple[object, ...]


class StoreCheck:
    """Compares a store with its model: all of it, or the lists and what has changed since."""

    def __init__(self, model: StoreModel, timetable: TimetableModel) -> None:
        self._model = model
        self._timetable = timetable
        self._steps = 0
        self._seen: dict[ModelJob, tuple[Seen, int, int]] = {}

    def after_a_step(self, store: JobStore, now: float) -> None:
        """Expect every job in the list, every node, and the details of what has changed.

        Now and then expect everything: what costs a step a millisecond costs the walk a minute.
        """
        self._steps += 1
        if self._steps % EVERYTHING_EVERY == 0:
            self.everything(store, now)
            return
        self.jobs(store)
        seen = {job: (seen_of(job), len(job.outcomes), len(job.log)) for job in self._model.jobs}
        self.details(store, [job for job in seen if self._seen.get(job) != seen[job]])
        self.nodes(store, now)
        self._seen = seen

    def everything(self, store: JobStore, now: float) -> None:
        """Expect all that a store can show."""
        self.jobs(store)
        self.details(store, self._model.jobs)
        self.nodes(store, now)
        self.claims(store)
        self.counts(store)
        self.schedules(store, now)
        self.what_is_gone(store)

    def jobs(self, store: JobStore) -> None:
        """Expect the rows: each job, newest first, and no other."""
        records = store.jobs(JobFilter(), limit=1000)
        expected = sorted(self._model.jobs, key=lambda job: job.number, reverse=True)
        assert [record.id for record in records] == [job.id for job in expected]
        assert [shown(record) for record in records] == [seen_of(job) for job in expected]

    def details(self, store: JobStore, jobs: Collection[ModelJob]) -> None:
        """Expect of each job what is not in the list: history, log, end."""
        ended = store.ended([job.id or "" for job in jobs])
        final = {job.id: (job.state, job.error) for job in jobs if not job.live()}
        assert {
            job_id: (end.state, end.failure and end.failure.type) for job_id, end in ended.items()
        } == final
        for job in jobs:
            job_id = job.id or ""
            record = store.get(job_id)
            assert record is not None
            assert shown(record) == seen_of(job)
            running = [(None, None)] if job.state is JobState.RUNNING else []
            assert [
                (line.outcome, line.failure and line.failure.type) for line in store.history(job_id)
            ] == [*job.outcomes, *running]
            assert [line.text for line in store.log(job_id)] == job.log

    def nodes(self, store: JobStore, now: float) -> None:
        """Expect each node with its lease and what it holds."""
        shown = {node.key: (node.running, node.expires_in) for node in store.nodes()}
        assert shown == {
            node: (len(self._model.held(node)), until - now)
            for node, until in self._model.nodes.items()
        }

    def claims(self, store: JobStore) -> None:
        """Expect what each node would be told that it holds."""
        for node in self._model.nodes:
            held = sorted((claim.id, claim.fence) for claim in store.held(node))
            assert held == sorted((job.id, job.fence) for job in self._model.held(node))

    def counts(self, store: JobStore) -> None:
        """Expect that counts equal the rows."""
        states: dict[tuple[str, str], int] = {}
        waiting: dict[tuple[str, str], int] = {}
        for job in self._model.jobs:
            state, lane = (job.queue, job.state.value), (job.queue, job.task)
            states[state] = states.get(state, 0) + 1
            waiting[lane] = waiting.get(lane, 0) + (job.state is JobState.PENDING)
        shown = {
            (queue, state): jobs
            for queue, counts in store.stats().items()
            for state, jobs in counts.items()
        }
        assert {name: jobs for name, jobs in shown.items() if jobs} == states
        lanes = {(lane.queue, lane.task): lane.pending for lane in store.lanes()}
        assert {lane: jobs for lane, jobs in lanes.items() if jobs or lane in waiting} == waiting
        assert store.paused() == sorted(self._model.paused)
        for tag in ("t", "u"):
            tagged = [job for job in self._model.jobs if tag in tags_in(job.options)]
            newest = sorted(tagged, key=lambda job: job.number, reverse=True)
            found = store.jobs(JobFilter(tag=tag), limit=1000)
            assert [record.id for record in found] == [job.id for job in newest]

    def schedules(self, store: JobStore, now: float) -> None:
        """Expect each schedule."""
        shown = store.schedules()
        assert shown.now == instant(now)
        kept = [self._timetable.schedules[name] for name in sorted(self._timetable.schedules)]
        assert [(one.new, one.anchor, one.last_tick, one.paused) for one in shown.schedules] == [
            (one.new, one.anchor, one.last, one.paused) for one in kept
        ]

    def what_is_gone(self, store: JobStore) -> None:
        """Expect nothing of what was dropped or purged."""
        gone = self._model.gone
        assert [store.get(job_id) for job_id in gone] == [None] * len(gone)
        assert [store.history(job_id) for job_id in gone] == [[]] * len(gone)
        assert store.ended(gone) == {}


def seen_of(job: ModelJob) -> Seen:
    """Return what views ought to show of a job."""
    running = job.state is JobState.RUNNING
    return (
        (job.id, job.state, job.task, job.queue, job.payload, job.priority),
        (job.attempts + running, job.crashes),
        (job.cancelling, job.error, job.node is not None, job.state is JobState.COMPLETED),
        (at(job.run_at if job.live() else None), at(job.expires_at), at(job.ended_at)),
        (1.0 if job.state is JobState.COMPLETED else job.progress, job.message),
        NO_OWN_OPTIONS if job.options is None else read_options(job.options),
    )


def shown(record: JobRecord) -> Seen:
    """Return the same of what a store shows."""
    failure = record.failure
    return (
        (record.id, record.state, record.task, record.queue, record.payload, record.priority),
        (record.attempts, record.crashes),
        (
            record.cancelling,
            failure and failure.type,
            record.node is not None,
            record.result is not None,
        ),
        (
            None if record.state in FINAL else record.run_at,
            record.expires_at,
            record.completed_at,
        ),
        (record.progress, record.message),
        record.options,
    )


def at(seconds: float | None) -> datetime | None:
    """Return a time of the model as views show it."""
    return None if seconds is None else instant(seconds)

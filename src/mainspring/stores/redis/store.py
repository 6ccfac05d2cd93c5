"""RedisStore: jobs in a Redis or Valkey server. Each verb is one script, alone on the server."""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from mainspring.clock import monotonic
from mainspring.errors import LeaseLost, MissingExtra
from mainspring.model.job import FINAL, Exchanged, JobState, Renewed, Rescued
from mainspring.model.note import LINE_CHARACTERS, MOST_LINES
from mainspring.stores.clock import MICROS, as_micros
from mainspring.stores.ownership import leaves_nothing
from mainspring.stores.redis.catalog import sound
from mainspring.stores.redis.intake import BatchIntake
from mainspring.stores.redis.outcomes import row_of, row_of_crash
from mainspring.stores.redis.portable import PortableRedis
from mainspring.stores.redis.records import (
    LostJob,
    claims_of,
)
from mainspring.stores.redis.server_address import address_of
from mainspring.stores.redis.session import RedisSession
from mainspring.stores.redis.timetable import RedisSchedules
from mainspring.stores.rules.keeping import ages
from mainspring.stores.rules.outcomes import is_on_record
from mainspring.stores.rules.rescue import (
    ORPHANED,
    UNKNOWN_NODE,
    decide_crashes,
    evidence_of,
)
from mainspring.stores.rules.retry import FinalJob, is_revivable, plan_retry
from mainspring.stores.rules.time_series import FUTURE_SECONDS
from mainspring.stores.run_folder import run_folder

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime
    from pathlib import Path

    from mainspring.model.diagnosis import Diagnosis
    from mainspring.model.job import Claim, Grant, NewJob, Outcome, Want
    from mainspring.model.note import Note
    from mainspring.model.timetable import NewSchedule, Timetabled
    from mainspring.model.view import JobFilter
    from mainspring.protocols import Listener
    from mainspring.stores.clock import Clock

EVERY_LANE = (False, False)
"""Neither a queue nor a task that others would not fit."""


@leaves_nothing
class RedisStore(PortableRedis):
    """Jobs in a Redis or Valkey server. Implements JobStore; safe to use from any thread.

    `redis://host:6379/0`, `rediss://` or `unix://`, with `?namespace=` for several stores in one
    database. `durability` "full" is true of a server with `appendfsync always` only: of others the
    log says once what they may lose. A call asks a server that does not answer for `busy_timeout`
    seconds. The clock is the server's, unless another is given, for tests. Raises MissingExtra.
    """

    def __init__(
        self,
        url: str,
        *,
        durability: str = "full",
        busy_timeout: float = 30.0,
        clock: Clock | None = None,
    ) -> None:
        address = address_of(url)
        if find_spec("redis") is None:
            raise MissingExtra(f"a queue in {address.label}", "redis")
        self._full = durability == "full"
        self._monotonic = monotonic if clock is None else clock.monotonic
        self._session = RedisSession(address, patience=busy_timeout, full=self._full, clock=clock)
        self._intake = BatchIntake(self._run)
        self._schedules = RedisSchedules(self._run, self._intake)

    @property
    def run_dir(self) -> Path | None:
        """The private folder of this store on this host, None where there can be none."""
        server = self._open().server
        if not server.name:
            self._run("paused")  # which connects
        return run_folder(f"redis-{server.name}")

    def enqueue_many(self, jobs: Sequence[NewJob]) -> list[str]:
        """Keep jobs and return their ids in order."""
        return (self._intake.enqueue(jobs) or []) if jobs else []

    def join(self, name: str, *, host: str, pid: int, lease: float, serves: bytes = b"{}") -> int:
        """Add a node with a lease of so many seconds; return its key."""
        # Before there are threads that need it: see the SQLite store.
        import mainspring.stores.redis.subscription  # noqa: F401, PLC0415  # a lazy door

        caller = self._intake.callers.take()
        call = caller.name, caller.number
        node: int = self._run("join", call, name, host, pid, int(lease * MICROS), serves.decode())
        self._intake.callers.give(caller)
        return node

    def renew(self, node: int, *, lease: float, report: bytes | None = None) -> Renewed | None:
        """Renew a node's lease; None if it has gone."""
        text = False if report is None else report.decode()
        grants = self._run("renew", node, int(lease * MICROS), text)
        if grants is False:
            return None
        return Renewed(tuple(sorted((key, fence) for key, fence in grants)))

    def leave(self, node: int) -> None:
        """Remove a node; what it still holds goes back, uncharged."""
        self._run("bury", node, ())

    def exchange(self, node: int, outcomes: Sequence[Outcome], wants: Sequence[Want]) -> Exchanged:
        """Record outcomes and claim work in one script."""
        at = self._monotonic()
        asked = [
            (
                one.tasks,
                one.queues or False,
                one.limit,
                -1 if one.suspects is None else one.suspects,
            )
            for one in wants
        ]
        rows = [row_of(one, at) for one in outcomes]
        # What a lost answer granted, nobody knows of: the engine asks `held`.
        answer = self._run("exchange", node, rows, asked, again=not wants)
        if answer is False:
            raise LeaseLost(str(node))
        words, lapsed, next_due, claims, now = answer
        accepted = [
            word is True or is_on_record(one, word)
            for one, word in zip(outcomes, words, strict=True)
        ]
        due = None if next_due < 0 else next_due / MICROS
        return Exchanged(accepted, claims_of(claims, now, at), next_due=due, lapsed=lapsed)

    def finish_many(self, node: int, outcomes: Sequence[Outcome]) -> list[bool]:
        """Record outcomes: the first half of `exchange`."""
        return self.exchange(node, outcomes, ()).accepted

    def claim(self, node: int, wants: Sequence[Want]) -> list[Claim]:
        """Claim work: the second half of `exchange`."""
        return self.exchange(node, (), wants).claims

    def held(self, node: int) -> list[Claim]:
        """Return the claims that a node holds."""
        at = self._monotonic()
        answer = self._run("held", node)
        if answer is False:
            raise LeaseLost(str(node))
        claims, now = answer
        return claims_of(claims, now, at)

    def rescue(self, node: int, *, dead: bool, begun: Collection[Grant] | None) -> Rescued | None:
        """Requeue or fail a lost node's jobs; None if its lease still runs, or it has gone."""
        lost = self._run("lose", node, dead)
        if lost is False:
            return None
        name, host, pid, rows = lost
        return self._bury(node, rows, begun, evidence_of(name, host, pid, dead=dead))

    def rescue_orphans(self, *, limit: int) -> Rescued | None:
        """Requeue or fail running jobs that no live node holds; None if there are none."""
        node = self._run("adopt", UNKNOWN_NODE, limit)
        if node is False:
            return None
        # If this process dies here, that node is a lost one as others are.
        lost = self._run("lose", node, True)  # noqa: FBT003  # what the script is asked
        return None if lost is False else self._bury(node, lost[-1], None, ORPHANED)

    def _bury(
        self,
        node: int,
        rows: Sequence[tuple[int, int, int, str]],
        begun: Collection[Grant] | None,
        evidence: str,
    ) -> Rescued | None:
        decisions = decide_crashes([LostJob(*row) for row in rows], begun, evidence)
        crashes = [row_of_crash(job, one) for job, one in decisions if one is not None]
        keys = self._run("bury", node, crashes)
        return None if keys is False else Rescued(*keys)

    def listen(self, topic: str) -> Listener:
        """Listen for `"ready"`, `"ended"`, `"orders"` or `"locks"`."""
        return self._open().listen(topic)

    def recover(self) -> None:
        """Undo what an interrupted call has left, and wake who may not have heard of it."""
        self._open().recover()

    def close(self) -> None:
        """Close connections; harmless when done twice, and undone by the next use."""
        self._open().close()

    def examine(self) -> list[Diagnosis]:
        """Look at the server: its version, memory, durability and role."""
        from mainspring.stores.redis.examination import examine  # noqa: PLC0415  # a lazy door

        return list(examine(self._open().server, full=self._full))

    def cancel(self, job_ids: Sequence[str]) -> list[bool]:
        """Cancel jobs; return for each whether it was live."""
        live: list[bool] = self._run("cancel", list(map(sound, job_ids)), again=False)
        return live

    def retry(self, job_ids: Sequence[str], *, payload: bytes | None = None) -> list[str | None]:
        """Let failed and cancelled jobs run again; return the id of the live job for each."""
        text = False if payload is None else payload.decode()
        facts: list[Any] = []
        while True:
            found = {
                job_id: FinalJob(None if unique is False else unique, bearer or None)
                for job_id, (state, unique, bearer) in zip(job_ids, facts, strict=False)
                if state and is_revivable(JobState(state))
            }
            plan = plan_retry(job_ids, found)
            answer = self._run(
                "revive", list(map(sound, job_ids)), facts, plan.revived, text, again=False
            )
            if answer is True:
                return plan.answers
            facts = answer

    def reschedule(
        self, job_ids: Sequence[str], *, delay: float | None = None, priority: int | None = None
    ) -> list[bool]:
        """Change when pending jobs may start, and their priority; return for each if it waited."""
        wait = False if delay is None else int(delay * MICROS)
        rank = False if priority is None else priority
        asked = list(map(sound, job_ids))
        waited: list[bool] = self._run("reschedule", asked, wait, rank, again=False)
        return waited

    def drop(self, job_ids: Sequence[str]) -> int:
        """Drop final jobs with all that is known of them; return how many."""
        return int(self._run("drop", list(map(sound, job_ids)), again=False))

    def drop_ended(self, wanted: JobFilter, *, older_than: float, limit: int) -> int:
        """Drop up to `limit` final jobs that fit and ended so many seconds ago; return how many."""
        states = sorted(FINAL if wanted.status is None else FINAL & {wanted.status})
        lines = [state.value for state in states]
        lines += ["kept"] if JobState.COMPLETED in states else []
        aged = [(line, int(older_than * MICROS)) for line in lines]
        lane = wanted.queue or False, wanted.task or False
        return int(self._run("purge", aged, *lane, limit))

    def purge(self, *, completed_after: float, failed_after: float, limit: int) -> int:
        """Drop up to `limit` final jobs older than so many seconds; return how many."""
        kept = ages(completed_after=completed_after, failed_after=failed_after)
        aged = [(state.value, int(age * MICROS)) for state, age in kept.items()]
        nodes_after = int(max(kept.values()) * MICROS)
        return int(self._run("purge", aged, *EVERY_LANE, limit, nodes_after))

    def expire(self, *, limit: int) -> list[int]:
        """Cancel up to `limit` pending jobs whose expiry has passed; return their keys."""
        return list(self._run("expire", limit))

    def pause(self, queue: str) -> bool:
        """Hand out no more jobs of a queue; False if it was paused already."""
        return bool(self._run("pause", queue, "SADD", again=False))

    def resume(self, queue: str) -> bool:
        """Hand out jobs of a queue again; False if it was not paused."""
        return bool(self._run("pause", queue, "SREM", again=False))

    def note_many(self, notes: Sequence[Note]) -> None:
        """Keep progress and log lines; a note whose fence is not the job's last is dropped."""
        at = self._monotonic()
        if notes:
            self._run("note", [note_row(one, at) for one in notes], MOST_LINES)

    def declare(self, schedules: Sequence[NewSchedule]) -> None:
        """Keep schedules by name."""
        self._schedules.declare(schedules)

    def swap_schedule(self, new: NewSchedule, *, expected: NewSchedule | None) -> bool:
        """Keep a schedule if what is there under its name is `expected`; None: nothing."""
        return self._schedules.swap(new, expected)

    def schedules(self) -> Timetabled:
        """Return all schedules by name, with the store's own time."""
        return self._schedules.all()

    def tick(
        self, name: str, *, last: datetime, to: datetime, jobs: Sequence[NewJob]
    ) -> list[str] | None:
        """Move a schedule's last tick and enqueue jobs; None if that was not its last tick."""
        return self._schedules.tick(name, last, to, jobs)

    def pause_schedule(self, name: str) -> bool:
        """Tick no more; False if it is unknown or paused already."""
        return self._schedules.switch(name, paused=True)

    def resume_schedule(self, name: str) -> bool:
        """Tick again, from now on; False if it is unknown or not paused."""
        return self._schedules.switch(name, paused=False)

    def forget_schedule(self, name: str) -> bool:
        """Drop a schedule; False if it is unknown."""
        return self._schedules.forget(name)

    def acquire(self, node: int, name: str) -> int | None:
        """Give a node a lock; None if another has it, or the node's lease has run out."""
        fence = self._run("acquire", node, name)
        if fence is False:
            raise LeaseLost(str(node))
        return int(fence) or None

    def release(self, node: int, name: str, fence: int) -> bool:
        """Free a lock, if the node has it with that fence."""
        return bool(self._run("release", node, name, fence))

    def add_entry(self, kind: str, text: bytes, *, ago: float = 0.0) -> None:
        """Keep a JSON text, with the moment `ago` seconds before now."""
        self._run("add_entry", kind, text.decode(), int(ago * MICROS), again=False)

    def replace_entries(
        self, kind: str, keys: Sequence[int], *, by: str, at: datetime, text: bytes
    ) -> bool:
        """Put one entry in the place of others, if all of these are there."""
        asked = (kind, list(keys), by, as_micros(at), text.decode())
        return bool(self._run("replace_entries", *asked, again=False))

    def drop_entries(self, kind: str, *, older_than: float, limit: int) -> int:
        """Drop up to `limit` entries of that age, and those of no moment; return how many."""
        ahead = int(FUTURE_SECONDS * MICROS)
        return int(self._run("drop_entries", kind, int(older_than * MICROS), ahead, limit))

    def _run(self, name: str, *request: object, again: bool = True) -> Any:
        return self._open().run(name, *request, again=again)

    def _open(self) -> RedisSession:
        if self._session.process != os.getpid():
            self._session = self._session.anew()
        return self._session


def note_row(note: Note, monotonic: float) -> tuple[object, ...]:
    """Return a note as the script takes it; `monotonic` is the clock's time now."""
    lines = [
        (int((monotonic - at) * MICROS), text[:LINE_CHARACTERS])
        for at, text in note.lines[-MOST_LINES:]
    ]
    message = False if note.message is None else note.message[:LINE_CHARACTERS]
    return note.key, note.fence, False if note.progress is None else note.progress, message, lines

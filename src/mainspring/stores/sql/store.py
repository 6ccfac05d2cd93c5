"""The front of a store over an SQL database: it opens transactions, and notifies after each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainspring.stores.job_id import keys_in
from mainspring.stores.ownership import leaves_nothing
from mainspring.stores.rules.keeping import ages
from mainspring.stores.sql.portable_store import PortableSqlStore
from mainspring.stores.wake.topics import ENDED, LOCKS, ORDERS, READY, notices_of

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from mainspring.model.job import (
        Claim,
        Exchanged,
        Grant,
        NewJob,
        Outcome,
        Renewed,
        Rescued,
        Want,
    )
    from mainspring.model.note import Note
    from mainspring.model.timetable import NewSchedule, Timetabled
    from mainspring.model.view import (
        JobFilter,
    )
    from mainspring.protocols import Listener


@leaves_nothing
class SqlStore(PortableSqlStore):
    """The part of `JobStore` that every SQL database has alike."""

    def enqueue_many(self, jobs: Sequence[NewJob]) -> list[str]:
        """Keep jobs and return their ids in order."""
        return self._sql.enqueue(jobs) if jobs else []

    def join(self, name: str, *, host: str, pid: int, lease: float, serves: bytes = b"{}") -> int:
        """Add a node with a lease of so many seconds; return its key."""
        return self._loaded.write(
            lambda connection: self._verbs.join(
                connection,
                name=name,
                host=host,
                pid=pid,
                lease=lease,
                serves=serves,
                moment=self._moment(),
            )
        )

    def renew(self, node: int, *, lease: float, report: bytes | None = None) -> Renewed | None:
        """Renew a node's lease; None if it has gone."""
        return self._loaded.write(
            lambda connection: self._verbs.renew(
                connection, node, lease=lease, report=report, moment=self._moment()
            )
        )

    def leave(self, node: int) -> None:
        """Remove a node; what it still holds goes back, uncharged."""
        self._loaded.write(lambda connection: self._verbs.leave(connection, node, self._moment()))
        self._sql.notify(READY, ENDED, LOCKS)

    def exchange(self, node: int, outcomes: Sequence[Outcome], wants: Sequence[Want]) -> Exchanged:
        """Record outcomes and claim work in one transaction."""
        exchanged = self._loaded.write(
            lambda connection: self._verbs.exchange(
                connection, node, outcomes, wants, lanes=self._sql.lanes, moment=self._moment()
            )
        )
        if outcomes:
            for topic, keys in notices_of(outcomes, exchanged.accepted).items():
                self._sql.notify(topic, keys=keys)
        return exchanged

    def finish_many(self, node: int, outcomes: Sequence[Outcome]) -> list[bool]:
        """Record outcomes: the first half of `exchange`."""
        return self.exchange(node, outcomes, ()).accepted

    def claim(self, node: int, wants: Sequence[Want]) -> list[Claim]:
        """Claim work: the second half of `exchange`."""
        return self.exchange(node, (), wants).claims

    def held(self, node: int) -> list[Claim]:
        """Return the claims that a node holds."""
        return self._sql.read(
            lambda connection: self._verbs.held(
                connection, node, lanes=self._sql.lanes, moment=self._moment()
            )
        )

    def rescue(self, node: int, *, dead: bool, begun: Collection[Grant] | None) -> Rescued | None:
        """Release or end a lost node's jobs; None if its lease still runs, or it has gone."""
        rescued = self._loaded.write(
            lambda connection: self._verbs.rescue(
                connection, node, dead=dead, begun=begun, moment=self._moment()
            )
        )
        if rescued is not None:
            self._notify_of(rescued)
            self._sql.notify(LOCKS)
        return rescued

    def rescue_orphans(self, *, limit: int) -> Rescued | None:
        """Rescue up to `limit` running jobs of nodes that are not there; None if there are none."""
        if not self._sql.read(self._verbs.any_orphan):
            return None
        rescued = self._loaded.write(
            lambda connection: self._verbs.rescue_orphans(connection, limit, self._moment())
        )
        self._notify_of(rescued)
        return rescued

    def _notify_of(self, rescued: Rescued) -> None:
        self._sql.notify(READY)
        if gone := [*rescued.failed, *rescued.cancelled]:
            self._sql.notify(ENDED, keys=gone)

    def listen(self, topic: str) -> Listener:
        """Listen for `"ready"`, `"ended"`, `"orders"` or `"locks"`."""
        return self._sql.listen(topic)

    def cancel(self, job_ids: Sequence[str]) -> list[bool]:
        """Cancel jobs; return for each whether it was live."""
        moment = self._moment()
        live = self._loaded.delete(lambda writer: self._verbs.cancel(writer, job_ids, moment))
        if any(live):
            self._sql.notify(ORDERS)
            self._sql.notify(ENDED, keys=keys_in(job_ids))
        return live

    def retry(self, job_ids: Sequence[str], *, payload: bytes | None = None) -> list[str | None]:
        """Let failed and cancelled jobs run again; return the id of the live job for each."""
        live = self._loaded.write(
            lambda connection: self._verbs.retry(connection, job_ids, payload, self._moment())
        )
        self._sql.notify(READY)
        return live

    def reschedule(
        self, job_ids: Sequence[str], *, delay: float | None = None, priority: int | None = None
    ) -> list[bool]:
        """Change when pending jobs may start, and their priority; return for each if it waited."""
        waited = self._loaded.write(
            lambda connection: self._verbs.reschedule(
                connection, job_ids, delay=delay, priority=priority, moment=self._moment()
            )
        )
        if any(waited):
            self._sql.notify(READY)
        return waited

    def drop(self, job_ids: Sequence[str]) -> int:
        """Drop final jobs with all that is known of them; return how many."""
        return self._loaded.delete(lambda writer: self._verbs.drop(writer, job_ids))

    def drop_ended(self, wanted: JobFilter, *, older_than: float, limit: int) -> int:
        """Drop up to `limit` final jobs that fit and ended so many seconds ago; return how many."""
        moment = self._moment()
        return self._loaded.delete(
            lambda writer: self._verbs.drop_ended(
                writer, wanted, older_than=older_than, limit=limit, moment=moment
            )
        )

    def purge(self, *, completed_after: float, failed_after: float, limit: int) -> int:
        """Drop up to `limit` final jobs older than so many seconds; return how many."""
        aged = ages(completed_after=completed_after, failed_after=failed_after)
        moment = self._moment()
        return self._loaded.delete(
            lambda writer: self._verbs.purge(writer, ages=aged, limit=limit, moment=moment)
        )

    def expire(self, *, limit: int) -> list[int]:
        """Cancel up to `limit` pending jobs whose expiry has passed; return their keys."""
        moment = self._moment()
        if not self._sql.read(lambda connection: self._verbs.any_late(connection, moment)):
            return []
        expired = self._loaded.write(
            lambda connection: self._verbs.expire(connection, limit, moment)
        )
        if expired:
            self._sql.notify(ENDED)
        return expired

    def pause(self, queue: str) -> bool:
        """Hand out no more jobs of a queue; False if it was paused already."""
        return self._loaded.write(lambda connection: self._verbs.pause(connection, queue))

    def resume(self, queue: str) -> bool:
        """Hand out jobs of a queue again; False if it was not paused."""
        resumed = self._loaded.write(lambda connection: self._verbs.resume(connection, queue))
        self._sql.notify(READY)
        return resumed

    def note_many(self, notes: Sequence[Note]) -> None:
        """Keep progress and log lines; a note whose fence is not the job's last is dropped."""
        if notes:
            self._loaded.write(
                lambda connection: self._verbs.note_many(connection, notes, self._moment())
            )

    def declare(self, schedules: Sequence[NewSchedule]) -> None:
        """Keep schedules by name."""
        self._loaded.write(
            lambda connection: self._verbs.declare(connection, schedules, self._moment())
        )

    def swap_schedule(self, new: NewSchedule, *, expected: NewSchedule | None) -> bool:
        """Keep a schedule if what is there under its name is `expected`; None: nothing."""
        return self._loaded.write(
            lambda connection: self._verbs.swap_schedule(
                connection, new, expected=expected, moment=self._moment()
            )
        )

    def schedules(self) -> Timetabled:
        """Return all schedules by name, with the store's own time."""
        return self._sql.read(lambda connection: self._verbs.schedules(connection, self._moment()))

    def tick(
        self, name: str, *, last: datetime, to: datetime, jobs: Sequence[NewJob]
    ) -> list[str] | None:
        """Move a schedule's last tick and enqueue jobs; None if that was not its last tick."""
        lanes = self._sql.numbers({(job.queue, job.task) for job in jobs})
        done = self._loaded.write(
            lambda connection: self._verbs.tick(
                connection, name, last=last, to=to, jobs=jobs, lanes=lanes, moment=self._moment()
            )
        )
        if done is None:
            return None
        job_ids, wakes = done
        if wakes:
            self._sql.notify(READY)
        return job_ids

    def pause_schedule(self, name: str) -> bool:
        """Tick no more; False if it is unknown or paused already."""
        return self._loaded.write(lambda connection: self._verbs.pause_schedule(connection, name))

    def resume_schedule(self, name: str) -> bool:
        """Tick again, from now on; False if it is unknown or not paused."""
        return self._loaded.write(
            lambda connection: self._verbs.resume_schedule(connection, name, self._moment())
        )

    def forget_schedule(self, name: str) -> bool:
        """Drop a schedule; False if it is unknown."""
        return self._loaded.write(lambda connection: self._verbs.forget_schedule(connection, name))

    def acquire(self, node: int, name: str) -> int | None:
        """Give a node a lock; None if another has it, or the node's lease has run out."""
        return self._loaded.write(
            lambda connection: self._verbs.acquire(connection, node, name, self._moment())
        )

    def release(self, node: int, name: str, fence: int) -> bool:
        """Free a lock, if the node has it with that fence."""
        freed = self._loaded.write(
            lambda connection: self._verbs.release(connection, node, name, fence)
        )
        self._sql.notify(LOCKS)
        return freed

    def add_entry(self, kind: str, text: bytes, *, ago: float = 0.0) -> None:
        """Keep a JSON text, with the moment `ago` seconds before now."""
        self._loaded.write(
            lambda connection: self._verbs.add_entry(
                connection, kind, text, ago=ago, moment=self._moment()
            )
        )

    def replace_entries(
        self, kind: str, keys: Sequence[int], *, by: str, at: datetime, text: bytes
    ) -> bool:
        """Put one entry in the place of others, if all of these are there."""
        return self._loaded.write(
            lambda connection: self._verbs.replace_entries(
                connection, kind, keys, by=by, at=at, text=text
            )
        )

    def drop_entries(self, kind: str, *, older_than: float, limit: int) -> int:
        """Drop up to `limit` entries of that age, and those of no moment; return how many."""
        moment = self._moment()
        if not self._sql.read(
            lambda connection: self._verbs.any_old_entry(connection, kind, older_than, moment)
        ):
            return 0
        return self._loaded.delete(
            lambda connection: self._verbs.drop_entries(
                connection, kind, older_than=older_than, limit=limit, moment=moment
            )
        )

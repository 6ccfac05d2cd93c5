"""The part of the front door that looks at the whole: numbers, nodes, failures, the audit log.

Every call that touches the store blocks; its twin, whose name begins with `a`, does not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mainspring.model.async_twin import off_loop
from mainspring.model.options import count

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta

    from mainspring.model.diagnosis import Diagnosis
    from mainspring.model.lost_node import LostNode
    from mainspring.model.view import LockRecord
    from mainspring.protocols import JobStore
    from mainspring.queue.audit import AuditPage
    from mainspring.queue.binding import Binding
    from mainspring.queue.client import QueueClient
    from mainspring.queue.failures import RecentFailures
    from mainspring.queue.nodes import NodeInfo
    from mainspring.queue.statistics import StatsPoint

check_failures = count(least=1, most=100_000)


class Views:
    """Views of a store, whatever its tasks. Thread-safe."""

    def __init__(self, binding: Binding) -> None:
        self._binding = binding

    @property
    def _client(self) -> QueueClient:
        return self._binding.client

    @property
    def url(self) -> str:
        """The URL of its store; without one of its own, what the environment says until then."""
        return self._binding.url

    @property
    def store(self) -> JobStore:
        """The store that it stands on, for views and tools of your own: see docs/howto/store.md."""
        return self._binding.client.store

    _store = store

    def paused(self) -> list[str]:
        """Return the names of the paused queues."""
        return self._store.paused()

    apaused = off_loop(paused)

    def nodes(self) -> list[NodeInfo]:
        """Return the processes that drain this store, as values of this moment."""
        from mainspring.queue.nodes import nodes_of, records_of  # noqa: PLC0415  # a lazy door

        return nodes_of(self._store, records_of(self._store))

    anodes = off_loop(nodes)

    def lost_nodes(self) -> list[LostNode]:
        """Return the workers that were lost in the last day, at most 100, the newest first.

        One that is lost and whose jobs nobody has rescued yet is among `nodes`.
        """
        from mainspring.queue.nodes import lost_nodes_of  # noqa: PLC0415  # as above

        return lost_nodes_of(self._store)

    alost_nodes = off_loop(lost_nodes)

    def locks(self) -> list[LockRecord]:
        """Return the named locks that are held, by name: see `Queue.lock` and `singleton=`."""
        from mainspring.queue.nodes import locks_of  # noqa: PLC0415  # a lazy door

        return locks_of(self._store, self._store.locks())

    alocks = off_loop(locks)

    def examine(self) -> list[Diagnosis]:
        """Look whether the store is well: files, versions, locks, clock; most basic first."""
        return self._store.examine()

    aexamine = off_loop(examine)

    def stats(self, *, window: float | timedelta = 900.0) -> Mapping[str, Any]:
        """Return the number of jobs in each state, and how far behind the workers are.

        `ready` and `scheduled` are the pending ones, `oldest_ready` the seconds for which the
        first of the ready ones could have run (None: there is none); all of these also by queue
        under `queues`. `unclaimable` are the pending ones of tasks that no live worker knows,
        `workers` the live ones, `slots` theirs by kind: `size`, and `busy` as of this moment.

        `recent`, of all, of each queue and of each of the `tasks`, is what workers have written of
        the last `window` seconds (or a timedelta, a day at most): jobs that `completed`, `failed`
        or were `cancelled`, attempts `retried`, jobs a second `out` and `in`, `wait` and `run` with
        `p50`, `p95` and `p99` in seconds, and `empty_in`, the seconds until nothing is ready if it
        goes on like that. None: not known, or never.
        """
        from mainspring.queue.nodes import stats_of  # noqa: PLC0415  # as above
        from mainspring.queue.statistics import window_of  # noqa: PLC0415  # as above

        return stats_of(self._store, window_of("Queue.stats()", "window", window, days=1))

    astats = off_loop(stats)

    def stats_history(
        self,
        last: float | timedelta = 3_600.0,
        *,
        queue: str | None = None,
        task: str | None = None,
    ) -> list[StatsPoint]:
        """Return the numbers of the `last` seconds (or a timedelta), by minutes, oldest first.

        By hours for more than a day; the store keeps them for a month. Of one queue or one task
        only, if that is given. A minute in which no worker ran is left out.
        """
        from mainspring.model.statistics import Wanted  # noqa: PLC0415  # as above
        from mainspring.queue.statistics import past_of, window_of  # noqa: PLC0415  # as above

        seconds = window_of("Queue.stats_history()", "last", last, days=31)
        return past_of(self._store, seconds, wanted=Wanted(queue, task)).points()

    astats_history = off_loop(stats_history)

    def audit(self, *, cursor: str | None = None, limit: int = 100) -> AuditPage:
        """Return who has changed what from the dashboard and the command line, newest first.

        A page of at most `limit` entries (1,000) of the last month, after the one whose `cursor`
        is given. What programs do by these methods is not in it.
        """
        from mainspring.queue.audit import audit_page  # noqa: PLC0415  # as above

        return audit_page(self._store, cursor, limit)

    aaudit = off_loop(audit)

    def failures(
        self, *, queue: str | None = None, task: str | None = None, limit: int = 1_000
    ) -> RecentFailures:
        """Return the newest failed jobs in groups of one task and error, the largest first.

        At most `limit` jobs are read (100,000); `whole` says that there are no more, `looked` how
        many there were. Errors are alike whose type is the same and whose messages differ in
        numbers, ids and quoted words only.
        """
        from mainspring.queue.failures import failed_jobs, failure_seen, recent_failures  # noqa: PLC0415  # a lazy door
        from mainspring.queue.listing import filter_of  # noqa: PLC0415  # as above

        filter_of(None, queue, task)
        check_failures("Queue.failures()", "limit", limit)
        return recent_failures(self._store, failed_jobs(queue, task), failure_seen, limit)

    afailures = off_loop(failures)

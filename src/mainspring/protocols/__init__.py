"""The seams of mainspring: read this folder first.

Who calls down through which seam:

    Queue, JobHandle  ->  Store.enqueue_many, Catalog, Controls, Timetable, TimeSeries,
                          Transactional
    engine            ->  Store (claims in, outcomes out), Journal, Timetable,
                          TimeSeries (statistics), Executor (claims to slots)
    supervision       ->  Service (anything with a lifetime), Trigger (when a worker runs),
                          Gate (whether it may)
    Queue.copy_to     ->  Portable (all of one store, as values, into another)
    pool              ->  CacheAdapter (results by key)
    everybody         ->  Subscriber (what happened, as values)

Stores are synchronous and safe to call from any thread. Only durations go into a store, but for the
ticks of schedules, which are instants by nature: each store owns its clock.
"""

from mainspring.protocols.cache import CacheAdapter
from mainspring.protocols.codec import Codec
from mainspring.protocols.executor import (
    Executor,
    ExecutorLoad,
    ListeningExecutor,
    LocatingExecutor,
)
from mainspring.protocols.lifetime import Gate, Schedule, Service, Subscriber, Trigger
from mainspring.protocols.locks import AcquirableLock, LockAcquisition, Locks, LockSource
from mainspring.protocols.portable import Portable
from mainspring.protocols.store import (
    Catalog,
    Controls,
    Examinable,
    JobStore,
    Journal,
    Listener,
    Migratable,
    Store,
    Transactional,
)
from mainspring.protocols.time_series import TimeSeries
from mainspring.protocols.timetable import Timetable

__all__ = [
    "AcquirableLock",
    "CacheAdapter",
    "Catalog",
    "Codec",
    "Controls",
    "Examinable",
    "Executor",
    "ExecutorLoad",
    "Gate",
    "JobStore",
    "Journal",
    "Listener",
    "ListeningExecutor",
    "LocatingExecutor",
    "LockAcquisition",
    "LockSource",
    "Locks",
    "Migratable",
    "Portable",
    "Schedule",
    "Service",
    "Store",
    "Subscriber",
    "TimeSeries",
    "Timetable",
    "Transactional",
    "Trigger",
]

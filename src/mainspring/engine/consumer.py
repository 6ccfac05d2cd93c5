"""The consumer: the ordered group of services that drains queues in one process.

In starting order: heartbeat, rescue, journal, cache, executors, exchange, scheduler, expire, purge,
overlooked. Closing in reverse gives the drain: the exchange claims no more and goes on flushing
until the slots are done, and the heartbeat is the last to go.
"""

from __future__ import annotations

import logging
import signal
import threading
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING, Any

from mainspring.engine.alarm import Alarm
from mainspring.engine.bench import Bench
from mainspring.engine.claims.exchange import Exchange
from mainspring.engine.claims.host import JobHost
from mainspring.engine.claims.pace import ExchangeTrigger, StoreSleeper, listen_together
from mainspring.engine.claims.slots import Slots
from mainspring.engine.journal.journal import Journal
from mainspring.engine.node.heartbeat import Heartbeat, HeartbeatTrigger
from mainspring.engine.node.node import Node
from mainspring.engine.node.report import Reporter, serves_of
from mainspring.engine.node.rescuer import Rescuer
from mainspring.engine.scheduler import Scheduler
from mainspring.engine.upkeep.expirer import Expirer
from mainspring.engine.upkeep.purger import Purger
from mainspring.engine.upkeep.unclaimable import Overlooked
from mainspring.errors import NotRunning
from mainspring.model.duration import seconds_of
from mainspring.model.events import ShutdownAsked
from mainspring.model.task import EXECUTOR_KINDS
from mainspring.supervision.driver import ThreadDriver
from mainspring.supervision.megaphone import Megaphone
from mainspring.supervision.restart import Doubling, Restart
from mainspring.supervision.supervisor import Supervisor
from mainspring.supervision.trigger import Interval
from mainspring.supervision.worker import Worker
from mainspring.telemetry.log import log_event

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mainspring.engine.cache.cache import JobCache
    from mainspring.engine.settings import WorkerSettings
    from mainspring.model.task import ExecutorKind, Registry
    from mainspring.model.timetable import NewSchedule
    from mainspring.protocols import Codec, Executor, JobStore, Service, Subscriber

log = logging.getLogger("mainspring.engine")

RESCUE_SECONDS = 1.0
EXPIRE_SECONDS = 5.0
PURGE_SECONDS = 60.0
OVERLOOKED_SECONDS = 60.0
LAST_SECONDS = 3.0
"""What closing may take beyond the grace: stubborn bodies are disowned, outcomes flushed."""


SIGNAL_SECONDS = 0.5
"""So long at most the main thread sleeps while it waits for the end."""


class Consumer:
    """One lifetime of a worker: start, drain, stop. Thread-safe.

    `schedules` are those whose ticks it makes.
    """

    def __init__(  # noqa: PLR0913  # what it works on, and how
        self,
        store: JobStore,
        tasks: Registry,
        codec: Codec,
        settings: WorkerSettings,
        queues: tuple[str, ...] | None = None,
        *,
        schedules: Sequence[NewSchedule] = (),
        cache: JobCache | None = None,
    ) -> None:
        self._cache = cache
        self._settings = settings
        self._schedules = tuple(schedules)
        self._asked = 0
        self._megaphone = Megaphone()
        self._megaphone.subscribe(log_event)
        kinds = _kinds(tasks)
        slots = sum(self._size(kind) for kind in kinds)
        names = [name for kind in kinds.values() for name in kind]
        self._node = Node(store, slots=slots, lease=settings.lease, serves=serves_of(names, queues))
        self._exchange = Exchange(store, self._node, queues, self._megaphone.tell)
        self._alarm = Alarm()
        self._journal = Journal(store, self._alarm.set)
        self._exchange.precede(self._journal.flush_of)
        self._beats = HeartbeatTrigger(settings.heartbeat)
        self._orders = StoreSleeper(lambda: store.listen("orders"), self._beats.ring)
        executors = self._executors(tasks, codec, kinds)
        self._sleeper = StoreSleeper(
            lambda: listen_together(store, executors, self._exchange.heard), self._exchange.ring
        )
        self._supervisor = Supervisor(
            self._services(store, executors), name="consumer", grace=settings.grace + LAST_SECONDS
        )
        self._supervisor.subscribe(self._megaphone.tell)

    def subscribe(self, subscriber: Subscriber) -> None:
        """Tell `subscriber` what happens here."""
        self._megaphone.subscribe(subscriber)

    def run(self) -> None:
        """Run until asked to stop; in the main thread SIGINT and SIGTERM ask, too."""
        with _signals(self.shutdown):
            self.start()
            self.wait()

    def start(self) -> None:
        """Join the store and start the services; returns when all are ready."""
        self._node.join()
        try:
            self._supervisor.start()
        except BaseException as error:
            # Asked to stop before it began: it has nothing to start, and `wait` leaves.
            if isinstance(error, NotRunning) and self._asked:
                return
            self._leave()
            raise

    def shutdown(self) -> None:
        """Ask to stop, the first time with grace, then at once; returns at once."""
        self._asked += 1
        self._megaphone.tell(ShutdownAsked(self._asked))
        # At once, not when its turn to close has come: no claim follows the question.
        self._exchange.drain(self._settings.grace if self._asked == 1 else 0.0)
        self._supervisor.close(None if self._asked == 1 else LAST_SECONDS)

    def wait(self) -> None:
        """Wait for the end and leave the store; raises what made a service fail for good."""
        # Not for ever in one go: a signal that another thread took, or that came just before the
        # sleep, has its handler run only when the main thread wakes.
        while not self._supervisor.join(SIGNAL_SECONDS):
            pass
        self._leave()
        if self._supervisor.failed is not None:
            raise self._supervisor.failed

    def _leave(self) -> None:
        self._sleeper.close()
        self._orders.close()
        try:
            self._journal.flush()
        except Exception as error:  # noqa: BLE001  # no note is worth the node's leave
            log.warning("what jobs said last is lost: %r", error)
        self._node.leave()

    def _size(self, kind: ExecutorKind) -> int:
        return self._settings.async_slots if kind == "async" else self._settings.workers

    def _executors(
        self, tasks: Registry, codec: Codec, kinds: dict[ExecutorKind, tuple[str, ...]]
    ) -> list[Executor]:
        exchange, journal = self._exchange, self._journal
        host = JobHost(tasks, codec, exchange.completions, lambda: exchange.draining)
        bench = Bench(
            tasks,
            codec,
            journal.before(self._node.note),
            journal.after(exchange.put),
            journal.after(exchange.put_and_turn),
            at=host,
            settings=self._settings,
            hear=journal.hear,
            cache=self._cache,
        )
        executors: list[Executor] = []
        first_slot = 0
        for kind, names in kinds.items():
            size = self._size(kind)
            executor = bench.executor(kind, size, first_slot)
            exchange.serve(Slots(executor, names))
            executors.append(executor)
            first_slot += size
        return executors

    def _services(self, store: JobStore, executors: list[Executor]) -> list[Service]:
        settings, node, exchange = self._settings, self._node, self._exchange
        reporter = Reporter(executors, exchange, lambda: self._supervisor.services())  # noqa: PLW0108  # it is not there yet
        heartbeat = Heartbeat(node, exchange, self._beats, reporter.report)
        rescuer = Rescuer(store, node, self._megaphone.tell, lease=settings.lease)
        purger = Purger(
            store,
            completed_after=seconds_of("Queue", "keep_completed", settings.keep_completed),
            failed_after=seconds_of("Queue", "keep_failed", settings.keep_failed),
        )
        overlooked = Overlooked(store, self._megaphone.tell)
        driver = ThreadDriver(exchange.turn, sleeper=self._sleeper)
        # The triggers of journal and exchange say "soon" as long as something waits to be written:
        # they need a rest of their own.
        patient = Restart(backoff=Doubling(cap=2.0))
        trigger = ExchangeTrigger(exchange, settings.grace)
        return [
            Worker(
                "heartbeat",
                heartbeat.beat,
                self._beats,
                driver=ThreadDriver(heartbeat.beat, sleeper=self._orders),
            ),
            Worker("rescue", rescuer.look, Interval(RESCUE_SECONDS)),
            Worker("journal", self._journal.flush, self._alarm, restart=patient),
            *([] if self._cache is None else [self._cache]),
            *executors,
            Worker("exchange", exchange.turn, trigger, restart=patient, driver=driver),
            *([self._scheduler(store)] if self._schedules else []),
            Worker("expire", Expirer(store).expire, Interval(EXPIRE_SECONDS)),
            Worker("purge", purger.purge, Interval(PURGE_SECONDS)),
            Worker("overlooked", overlooked.look, Interval(OVERLOOKED_SECONDS)),
        ]

    def _scheduler(self, store: JobStore) -> Worker:
        alarm = Alarm(monotonic())
        scheduler = Scheduler(store, self._schedules, self._megaphone.tell, alarm.set)
        return Worker("scheduler", scheduler.turn, alarm, restart=Restart(backoff=Doubling()))


def _kinds(tasks: Registry) -> dict[ExecutorKind, tuple[str, ...]]:
    """Return the tasks' names by the executor they need."""
    kinds: dict[ExecutorKind, tuple[str, ...]] = {}
    for kind in EXECUTOR_KINDS:
        if names := tuple(task.name for task in tasks if task.executor == kind):
            kinds[kind] = names
    return kinds


@contextmanager
def _signals(ask: Callable[[], None]) -> Iterator[None]:
    """Let SIGINT and SIGTERM ask while the block runs, if this is the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def heed(_number: int, _frame: Any) -> None:
        ask()

    before = {number: signal.signal(number, heed) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            # None: it was set by no Python code, and none can set it back.
            if handler is not None:
                signal.signal(number, handler)

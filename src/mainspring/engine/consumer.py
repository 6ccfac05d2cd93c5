"""The consumer: the ordered group of services that drains queues in one process.

In starting order: heartbeat, rescue, journal, statistics, cache, executors, late services,
exchange, scheduler, expire, purge, unclaimable, stacks, orphans. Late services are what tasks and
schedules need that are registered while the consumer runs. Closing in reverse gives the drain: the
exchange claims no more and goes on flushing until the slots are done, and the heartbeat is the last
to go.
"""

from __future__ import annotations

import logging
import random
import threading
from contextlib import suppress
from functools import partial
from time import sleep
from typing import TYPE_CHECKING

from mainspring.clock import monotonic
from mainspring.engine.alarm import Alarm
from mainspring.engine.attempts.current_job import job_records
from mainspring.engine.attempts.resources import Resources
from mainspring.engine.claims.exchange import Exchange
from mainspring.engine.claims.exchange_worker import ExchangeTrigger, StoreSleeper, listen_together
from mainspring.engine.executors_by_kind import ExecutorsByKind, board_size
from mainspring.engine.journal.writer import JournalWriter, PublishingSink
from mainspring.engine.make_executors import ExecutorFactory
from mainspring.engine.node.heartbeat import Heartbeat, HeartbeatTrigger
from mainspring.engine.node.node import Node
from mainspring.engine.node.report import Reporter
from mainspring.engine.node.rescuer import Rescuer
from mainspring.engine.scheduler import Scheduler
from mainspring.engine.statistics import StatisticsWriter
from mainspring.engine.upkeep.orphans import OrphanedJobs
from mainspring.engine.upkeep.retention import Expirer, Purger
from mainspring.engine.upkeep.stack_dumps import StackDumps
from mainspring.engine.upkeep.statistics import StatisticsUpkeep
from mainspring.engine.upkeep.unclaimable import UnclaimableJobs
from mainspring.engine.vitals import Vitals
from mainspring.errors import NotRunning, StoreError, StoreMigrated, StoreUnreachable
from mainspring.faults import ignored_fault
from mainspring.model.capabilities import Capabilities
from mainspring.model.condition import METRICS
from mainspring.model.duration import seconds_of
from mainspring.model.events import NodeJoined, ShutdownAsked
from mainspring.supervision.event_bus import EventBus
from mainspring.supervision.restart import DoublingBackoff, Restart
from mainspring.supervision.run_in_thread import hearing_signals
from mainspring.supervision.stop_signals import StopSignals
from mainspring.supervision.supervisor.policy import TOGETHER
from mainspring.supervision.supervisor.supervisor import Supervisor
from mainspring.supervision.triggers.interval import Interval
from mainspring.supervision.workers.driver import ThreadDriver
from mainspring.supervision.workers.worker import Worker
from mainspring.telemetry.log import log_event

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Future

    from mainspring.engine.consumer_config import ConsumerConfig
    from mainspring.model.timetable import NewSchedule
    from mainspring.protocols import Executor, Service, Subscriber, Trigger
    from mainspring.supervision.workers.driver import Driver

log = logging.getLogger("mainspring.engine")

UNREACHABLE_SECONDS = 0.5
"""Pause between two tries to join a store whose server does not answer; more or less of it."""

STATISTICS_SECONDS = 5.0
RESCUE_SECONDS = 1.0
EXPIRE_SECONDS = 5.0
PURGE_SECONDS = 60.0
UNCLAIMABLE_SECONDS = 60.0
ORPHANS_SECONDS = 60.0
STACK_SECONDS = 2.0
LONGEST_REST = 2.0
"""Seconds that a service rests at most after a failure of the store."""

LAST_SECONDS = 3.0
"""Seconds that closing may take beyond the grace: bodies are disowned, outcomes flushed."""


SIGNAL_SECONDS = 0.5
"""Longest sleep of the main thread while it waits for the end."""


class Consumer:
    """One lifetime of a worker: start, drain, stop. Thread-safe."""

    def __init__(self, config: ConsumerConfig) -> None:
        self._config = config
        self._settings = settings = config.settings
        store, queues = config.store, config.queues
        self._asked = 0
        self._bus = EventBus()
        self._bus.subscribe(log_event)
        self._statistics = StatisticsWriter(store)
        self._bus.subscribe(self._statistics.note)
        self._events = config.events
        self._bus.subscribe(self._events)
        self._node = Node(store, slots=board_size(settings), lease=settings.lease)
        self._node.on_join = lambda name: self._bus.publish(NodeJoined(name))
        self._exchange = Exchange(store, self._node, queues, self._bus.publish)
        self._alarm = Alarm()
        self._journal = JournalWriter(
            PublishingSink(store, self._events, self._exchange.claim_of), self._alarm.set
        )
        self._exchange.before_flush(self._journal.flush_of)
        self._beats = HeartbeatTrigger(settings.heartbeat)
        self._exchange.on_lapse(self._beats.wake)
        self._orders = StoreSleeper(lambda: store.listen("orders"), self._beats.notify)
        self._resources = Resources()
        factory = ExecutorFactory(
            config, self._node, self._exchange, self._journal, resources=self._resources
        )
        self._executors = ExecutorsByKind(config.tasks, settings, factory, self._exchange)
        self._executors.prepare()
        executors = self._executors.all
        self._late = Supervisor(name="late services", policy=TOGETHER)
        self._late.subscribe(self._bus.publish)
        self._failed: BaseException | None = None
        self._is_cached = config.cache is not None and config.cache.is_used
        self._following = threading.RLock()  # a signal handler may register, too
        self._schedules = tuple(config.schedules)
        ticks = Alarm(monotonic())
        self._scheduler = Scheduler(
            store,
            self._schedules,
            config.tasks,
            self._bus.publish,
            ticks.set,
            enqueued=self._events.enqueued,
        )
        self._ticking = _store_worker("scheduler", self._scheduler.turn, ticks)
        self._reporter = Reporter(
            executors,
            self._exchange,
            lambda: self._supervisor.services(),  # noqa: PLW0108  # it is not there yet
            {
                "lease": settings.lease,
                "heartbeat": settings.heartbeat,
                **({METRICS: True} if config.tells_metrics else {}),
            },
        )
        self._sleeper = StoreSleeper(
            lambda: listen_together(store, executors, self._exchange.notify_here),
            self._exchange.notify,
        )
        services = self._services(executors)
        self._supervisor = Supervisor(
            services, name="consumer", grace=settings.grace + LAST_SECONDS
        )
        self._supervisor.subscribe(self._bus.publish)
        beat = settings.heartbeat
        self.vitals = Vitals(
            self._supervisor,
            self._node,
            self._exchange,
            executors,
            loops={one.name: one for one in services if isinstance(one, Worker)},
            heartbeat=beat,
        )

    def subscribe(self, subscriber: Subscriber) -> None:
        """Call `subscriber` with each event of the consumer."""
        self._bus.subscribe(subscriber)

    def run(self) -> None:
        """Run until asked to stop; in the main thread signals ask, too: see `StopSignals`."""
        with StopSignals(self._stop, self._stop_now):
            self._start(partial(hearing_signals, self._node.join, nap=SIGNAL_SECONDS))
            self.wait()

    def start(self) -> None:
        """Join the store and start the services; returns when all are ready."""
        self._start(self._node.join)

    def _start(self, join: Callable[[], None]) -> None:
        self._node.serves = self._serves()
        if ignored := ignored_fault():
            log.warning("MAINSPRING_FAULT=%s is ignored: it is for mainspring's own tests", ignored)
        if not self._joined(join):
            return  # asked to stop before it could begin
        job_records.install()
        try:
            self._supervisor.start()
            with self._following:
                self.follow(self._schedules)
        except BaseException as error:
            # Asked to stop before it began: it has nothing to start, and `wait` leaves.
            if isinstance(error, NotRunning) and self._asked:
                return
            self._leave()
            raise

    def _joined(self, join: Callable[[], None]) -> bool:
        """Join the store, however long its server takes to answer; False if asked to stop."""
        while not self._asked:
            try:
                join()
            except StoreUnreachable:  # told in the log by the store
                sleep(UNREACHABLE_SECONDS * random.uniform(0.5, 1.5))
            except StoreError:
                if not self._asked:
                    raise
            else:
                return True
        return False

    def follow(self, schedules: Sequence[NewSchedule]) -> None:
        """Serve what has been registered since the start, and make the ticks of `schedules`.

        From any thread. Before the consumer runs it is noted for the start; later it does nothing.
        """
        with self._following, suppress(NotRunning):
            self._schedules = tuple(schedules)
            if not self._late.working:
                return
            cache = self._config.cache
            if cache is not None and cache.is_used and not self._is_cached:
                # First: a cache that could not be started is done without, one started twice fails.
                self._is_cached = True
                self._begin(cache)
            self._executors.follow(self._begin)
            self._scheduler.declare(self._schedules)
            self._report_what_it_serves()

    def shutdown(self, *, at_once: bool | None = None) -> None:
        """Ask to stop; returns at once.

        False: with the grace, however often it is asked. True: without. None: the first time with
        the grace, then without.
        """
        hurry = self._asked > 0 if at_once is None else at_once
        self._asked += 1
        again = self._asked > 1
        self._bus.publish(ShutdownAsked(self._asked, at_once=hurry))
        if again and not hurry:
            return
        # At once, not when its turn to close has come: no claim follows the question.
        self._ticking.close()
        self._exchange.drain(0.0 if hurry else self._settings.grace)
        self._supervisor.close(LAST_SECONDS if hurry else None)

    def _stop(self) -> None:
        self.shutdown(at_once=False)

    def _stop_now(self) -> None:
        self.shutdown(at_once=True)

    def wait(self) -> None:
        """Wait for the end and leave the store; raises what made a service fail for good."""
        # Not for ever in one go: a signal that another thread took, or that came just before the
        # sleep, has its handler run only when the main thread wakes.
        while not self._supervisor.join(SIGNAL_SECONDS):
            pass
        self._leave()
        failed = self._supervisor.failed or self._failed
        if failed is not None:
            raise failed

    def _leave(self) -> None:
        self._resources.close()
        job_records.remove()
        self._sleeper.close()
        self._orders.close()
        for last, lost in (
            (self._journal.flush, "what jobs said last is lost: %r"),
            (self._statistics.close, "the last seconds are missing in the statistics: %r"),
        ):
            try:
                last()
            except Exception as error:  # noqa: BLE001  # neither is worth the node's leave
                log.warning(lost, error)
        if self._node.key:
            self._node.leave()

    def _begin(self, service: Service) -> None:
        """Start a service while the consumer runs; its failure for good is the consumer's."""
        self._late.launch(service).ended.add_done_callback(self._note_end)

    def _note_end(self, ended: Future[BaseException | None]) -> None:
        if (error := ended.result()) is not None:
            self._failed = error
            self.shutdown()

    def _serves(self) -> Capabilities:
        by_kind: dict[str, set[str]] = {}
        for task in self._config.tasks:
            by_kind.setdefault(task.executor, set()).add(task.name)
        queues, schedules = self._config.queues, (one.name for one in self._schedules)
        return Capabilities(
            frozenset().union(*by_kind.values()),
            None if queues is None else frozenset(queues),
            frozenset(schedules),
            {kind: frozenset(some) for kind, some in by_kind.items()} if len(by_kind) > 1 else {},
        )

    def _report_what_it_serves(self) -> None:
        serves = self._serves()
        if serves != self._node.serves:
            self._node.serves = self._reporter.serves = serves
            self._beats.wake()

    def _services(self, executors: list[Executor]) -> list[Service]:
        store, cache, settings = self._config.store, self._config.cache, self._settings
        node, exchange = self._node, self._exchange
        heartbeat = Heartbeat(node, exchange, self._beats, self._reporter.report)
        rescuer = Rescuer(store, node, self._bus.publish, lease=settings.lease)
        purger = Purger(
            store,
            completed_after=seconds_of("Queue", "keep_completed", settings.keep_completed),
            failed_after=seconds_of("Queue", "keep_failed", settings.keep_failed),
        )
        expirer = Expirer(store, self._events.expired)
        unclaimable = UnclaimableJobs(store, self._bus.publish, self._statistics.sample)
        kept = StatisticsUpkeep(store)
        orphans = OrphanedJobs(store, exchange.compare, self._bus.publish)
        stacks = StackDumps(store, lambda: self._executors.all)
        driver = ThreadDriver(exchange.turn, sleeper=self._sleeper)
        trigger = ExchangeTrigger(exchange, settings.grace)
        return [
            _store_worker(
                "heartbeat",
                heartbeat.beat,
                self._beats,
                driver=ThreadDriver(heartbeat.beat, sleeper=self._orders),
            ),
            _store_worker("rescue", rescuer.look, Interval(RESCUE_SECONDS)),
            _store_worker("journal", self._journal.flush, self._alarm),
            _store_worker("statistics", self._statistics.flush, Interval(STATISTICS_SECONDS)),
            *([cache] if cache is not None and self._is_cached else []),
            *executors,
            self._late,
            _store_worker("exchange", exchange.turn, trigger, driver=driver),
            self._ticking,
            _store_worker("expire", expirer.expire, Interval(EXPIRE_SECONDS)),
            _store_worker("purge", in_turn(purger.purge, kept.turn), Interval(PURGE_SECONDS)),
            _store_worker("unclaimable", unclaimable.look, Interval(UNCLAIMABLE_SECONDS)),
            _store_worker("stacks", stacks.look, Interval(STACK_SECONDS)),
            _store_worker("orphans", orphans.rescue, Interval(ORPHANS_SECONDS)),
        ]


def in_turn(*targets: Callable[[], None]) -> Callable[[], None]:
    """Return a target that calls others one after the other."""

    def turn() -> None:
        for target in targets:
            target()

    return turn


def _store_worker(
    name: str, target: Callable[[], object], trigger: Trigger, *, driver: Driver | None = None
) -> Worker:
    """Return a worker over the store.

    Not all triggers set a pace: those of journal and exchange say "soon" as long as something waits
    to be written. And when a server is back, not all of its workers come at once.
    """
    restart = Restart(backoff=DoublingBackoff(cap=LONGEST_REST))
    logged = (StoreUnreachable, StoreMigrated)  # by the store
    return Worker(name, target, trigger, restart=restart, driver=driver, unlogged=logged)

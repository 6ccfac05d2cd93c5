"""The consumer: the ordered group of services that drains queues in one process.

In starting order: heartbeat, rescue, executors, exchange, purge. Closing in reverse
gives the drain: the exchange claims no more and goes on flushing until the slots are done, and the
heartbeat is the last to go.
"""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from mainspring.engine.bench import Bench
from mainspring.engine.exchange import Exchange
from mainspring.engine.keeper import Heartbeat, Purger, Rescuer
from mainspring.engine.node import Node
from mainspring.engine.pace import ExchangeTrigger, StoreSleeper
from mainspring.engine.slots import Slots
from mainspring.errors import NotRunning
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

    from mainspring.engine.settings import WorkerSettings
    from mainspring.model.task import ExecutorKind, Registry
    from mainspring.model.timetable import NewSchedule
    from mainspring.protocols import Codec, Executor, JobStore, Service, Subscriber

RESCUE_SECONDS = 1.0
PURGE_SECONDS = 60.0
LAST_SECONDS = 3.0
"""What closing may take beyond the grace: stubborn bodies are disowned, outcomes flushed."""


SIGNAL_SECONDS = 0.5
"""So long at most the main thread sleeps while it waits for the end."""


class Consumer:
    """One lifetime of a worker: start, drain, stop. Thread-safe."""

    def __init__(  # noqa: PLR0913  # all that a queue has to say
        self,
        store: JobStore,
        tasks: Registry,
        codec: Codec,
        settings: WorkerSettings,
        queues: tuple[str, ...] | None = None,
        *,
        schedules: Sequence[NewSchedule] = (),  # noqa: ARG002  # the scheduler's, which comes next
    ) -> None:
        self._settings = settings
        self._asked = 0
        self._megaphone = Megaphone()
        self._megaphone.subscribe(log_event)
        kinds = _kinds(tasks)
        slots = sum(self._size(kind) for kind in kinds)
        self._node = Node(store, slots=slots, lease=settings.lease)
        self._exchange = Exchange(store, self._node, queues, self._megaphone.tell)
        self._sleeper = StoreSleeper(lambda: store.listen("ready"), self._exchange.ring)
        executors = self._executors(tasks, codec, kinds)
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
        self._node.leave()

    def _size(self, kind: ExecutorKind) -> int:
        return self._settings.async_slots if kind == "async" else self._settings.workers

    def _executors(
        self, tasks: Registry, codec: Codec, kinds: dict[ExecutorKind, tuple[str, ...]]
    ) -> list[Executor]:
        bench = Bench(
            tasks, codec, self._node.note, self._exchange.put, self._exchange.put_and_turn
        )
        executors: list[Executor] = []
        first_slot = 0
        for kind, names in kinds.items():
            size = self._size(kind)
            executor = bench.executor(kind, size, first_slot)
            self._exchange.serve(Slots(executor, names))
            executors.append(executor)
            first_slot += size
        return executors

    def _services(self, store: JobStore, executors: list[Executor]) -> list[Service]:
        settings, node, exchange = self._settings, self._node, self._exchange
        heartbeat = Heartbeat(node, exchange.lose)
        rescuer = Rescuer(store, node, self._megaphone.tell, lease=settings.lease)
        purger = Purger(
            store,
            completed_after=settings.keep_completed,
            failed_after=settings.keep_failed,
        )
        driver = ThreadDriver(exchange.turn, sleeper=self._sleeper)
        # The exchange's trigger says "now" as long as outcomes wait: it needs a rest of its own.
        patient = Restart(backoff=Doubling(cap=2.0))
        trigger = ExchangeTrigger(exchange, settings.grace)
        return [
            Worker("heartbeat", heartbeat.beat, Interval(settings.heartbeat)),
            Worker("rescue", rescuer.look, Interval(RESCUE_SECONDS)),
            *executors,
            Worker("exchange", exchange.turn, trigger, restart=patient, driver=driver),
            Worker("purge", purger.purge, Interval(PURGE_SECONDS)),
        ]


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

"""The lifecycle contract, over every service of the supervision floor."""

import asyncio

from mainspring import Restart
from mainspring.supervision.loops.event_loop import EventLoopThread
from mainspring.supervision.supervisor.supervisor import Supervisor
from mainspring.supervision.triggers.backlog import Backlog, Items
from mainspring.supervision.triggers.continuous import Continuous
from mainspring.supervision.triggers.event import Event
from mainspring.supervision.triggers.interval import Interval
from mainspring.supervision.workers.worker import Worker
from mainspring.testing.contracts.service import ServiceContract


def fail():
    raise OSError("the sensor is gone")


def work(*_):
    pass


async def rest(*_):
    await asyncio.sleep(0.001)


class TestIntervalWorkerInItsThread(ServiceContract):
    def make(self):
        return Worker("blink", work, Interval(0.001))

    def make_failing(self):
        return Worker("blink", fail, Interval(0.001), restart=Restart(max_failures=0))


class TestContinuousWorkerOnTheLoop(ServiceContract):
    def make(self):
        return Worker("poll", rest, Continuous())

    def make_failing(self):
        async def fail_there():
            fail()

        return Worker("poll", fail_there, Continuous(), restart=Restart(max_failures=2))


class TestSleepingEventWorker(ServiceContract):
    def make(self):
        return Worker("alarm", work, Event())


class TestSleepingQueueWorker(ServiceContract):
    def make(self):
        return Worker("mail", rest, Items(Backlog()))


class TestEventLoopThread(ServiceContract):
    def make(self):
        return EventLoopThread("io")


class TestSupervisor(ServiceContract):
    def make(self):
        workers = [Worker(f"w{number}", work, Interval(0.001)) for number in range(3)]
        return Supervisor([EventLoopThread("io"), *workers])

    def make_failing(self):
        failing = Worker("w", fail, Interval(0.001), restart=Restart(max_failures=0))
        return Supervisor([EventLoopThread("io"), failing])

"""The targets of background workers, and what they are called with."""

import copy
import functools
import pickle
import threading

import pytest

from mainspring import (
    BackgroundAsyncWorker,
    BackgroundEventWorker,
    BackgroundIntervalWorker,
    BackgroundQueueWorker,
    BackgroundWorker,
    Restart,
    background_worker,
    task_supervisor,
)
from mainspring.errors import (
    InvalidOption,
)


def gives(*args, **kwargs):
    yield


async def gives_later(*args, **kwargs):
    yield


class Giving:
    def __call__(self, *args, **kwargs):
        yield


@pytest.mark.parametrize("target", [gives, gives_later, functools.partial(gives, 1), Giving()])
def test_a_target_with_a_yield_is_refused_since_calling_it_does_nothing(of_kind, target):
    with pytest.raises(InvalidOption, match="yield"):
        background_worker(**of_kind)(target)


def test_a_method_run_with_a_yield_is_refused():
    mine = type("Mine", (BackgroundWorker,), {"run": lambda self, **kwargs: (yield)})
    with pytest.raises(InvalidOption, match="yield"):
        mine()


def test_a_plain_target_that_returns_a_coroutine_has_failed(supervisor, of_kind, feed, until):
    async def work():
        pass

    def target(*args, **kwargs):
        return work()

    worker = background_worker(supervisor=supervisor, **of_kind)(target)
    worker.start()
    feed(worker)
    until(lambda: worker.status().errors)
    assert "make it `async def`" in worker.status().error


class Callables:
    """A target of each shape that Python knows, which all note what they are given."""

    def __init__(self, note):
        self.note = note

    def __call__(self, *args, **kwargs):
        self.note(args, kwargs)

    def method(self, *args, **kwargs):
        self.note(args, kwargs)

    def static(self):
        note = self.note

        class Static:
            @staticmethod
            def run(*args, **kwargs):
                note(args, kwargs)

        return Static.run

    async def coroutine(self, *args, **kwargs):
        self.note(args, kwargs)

    def awaitable_object(self):
        note = self.note

        class Awaited:
            async def __call__(self, *args, **kwargs):
                note(args, kwargs)

        return Awaited()


@pytest.mark.parametrize(
    "shape",
    [
        lambda one: one,
        lambda one: one.method,
        lambda one: one.static(),
        lambda one: one.coroutine,
        lambda one: one.awaitable_object(),
        lambda one: functools.partial(one.method),
        lambda one: functools.partial(one.coroutine),
        lambda one: functools.partial(functools.partial(one.awaitable_object())),
        lambda one: lambda *args, **kwargs: one(*args, **kwargs),  # noqa: PLW0108  a shape of its own
        lambda one: functools.lru_cache(lambda *args, **kwargs: one(*args, **kwargs)),  # noqa: PLW0108  a shape of its own
    ],
)
def test_a_target_may_be_anything_that_can_be_called(supervisor, kind, of_kind, feed, until, shape):
    calls = []
    one = Callables(lambda args, kwargs: calls.append((args, kwargs)))
    worker = background_worker(supervisor=supervisor, **of_kind)(shape(one))
    worker.start("more", x=1)
    feed(worker)
    until(lambda: calls)
    assert worker.stop()
    assert worker.status().errors == 0
    args, kwargs = calls[0]
    assert args == (("item", "more") if kind == "queue" else ("more",))
    assert kwargs["x"] == 1
    assert kwargs["_worker"] is worker


def test_a_worker_without_a_target_is_refused_at_its_start(supervisor):
    worker = BackgroundWorker("w", supervisor=supervisor)
    with pytest.raises(TypeError, match="target"):
        worker.start()
    assert not worker.is_started()


@pytest.mark.parametrize("target", [5, None])
def test_what_can_not_be_called_is_refused_as_a_target(target):
    with pytest.raises(TypeError, match="target"):
        BackgroundWorker("w").run = target


def test_a_target_may_be_given_after_the_construction(supervisor, kind, of_kind, feed, until):
    ran, maker = [], type(background_worker(**of_kind)(print))
    options = {} if kind in ("queue", "event") else of_kind
    worker = maker("later", supervisor=supervisor, **options)

    async def target(*_, **__):
        ran.append(threading.current_thread().name)

    worker.run = lambda *_, **__: False
    worker.run = target
    worker.start()
    feed(worker)
    until(lambda: ran)
    assert ran[0] == "test_loop"


def test_a_target_that_is_set_later_is_checked_as_one_that_is_given():
    worker = BackgroundWorker("w", executor="thread")

    async def target():
        pass

    with pytest.raises(InvalidOption, match="executor"):
        worker.run = target


def test_a_decorated_function_stays_what_it_was():
    @background_worker
    def measure(depth: int) -> int:
        """Measure it."""
        return depth + 1

    assert measure(1) == measure.run(1) == 2
    assert measure.__name__ == measure.name == "measure"
    assert measure.__doc__ == "Measure it."
    assert measure.__wrapped__.__annotations__ == {"depth": int, "return": int}


def poll_from_outside(**kwargs):
    return kwargs["_worker"].seen.append("outside")


class Station:
    """Has decorated methods, and a worker that is none."""

    outside = background_worker(interval=0.001)(poll_from_outside)

    def __init__(self, name):
        self.name = name
        self.seen = []

    @background_worker(interval=0.001)
    def read(self, **kwargs):
        """Read it."""
        self.seen.append(self.name)
        return self.name

    @background_worker(interval=0.001)
    async def aread(self, **kwargs):
        self.seen.append(self.name)

    @background_worker(queue=True)
    def note(self, item, **kwargs):
        return self.name, item

    @staticmethod
    @background_worker(interval=60)
    def plain(x, **kwargs):
        return x

    @classmethod
    @background_worker(interval=60)
    def of_class(cls, x):
        return cls, x


def test_a_decorated_method_is_a_worker_of_its_own_for_each_instance(until):
    north, south = Station("north"), Station("south")
    assert north.read() == "north"
    assert (north.read.__name__, north.read.__doc__) == ("read", "Read it.")
    assert north.read is north.read is not south.read
    for method in ("read", "aread"):
        one, two = getattr(north, method), getattr(south, method)
        north.seen.clear()
        assert one.start()
        assert two.start(_name="of the south")
        until(lambda: north.seen and south.seen)
        assert one.stop()
        assert two.stop()
        assert set(north.seen) == {"north"}
        assert one.status().errors == two.status().errors == 0
    assert north.note.start()
    assert north.note.put_threadsafe(1).result(10) == ("north", 1)
    assert north.note.stop()
    task_supervisor.stop()


def test_a_worker_in_a_class_that_is_no_method_of_it_stays_what_it_is():
    station = Station("north")
    assert station.outside is Station.outside
    assert station.plain is Station.plain
    assert station.plain(1) == 1
    assert Station.of_class(2) == (Station, 2)
    assert Station.read(station) == "north"


def test_the_decorator_chooses_the_kind():
    async def target():
        pass

    assert type(background_worker(print)) is BackgroundWorker
    assert type(background_worker(target)) is BackgroundAsyncWorker
    assert type(background_worker(q=True)(print)) is BackgroundQueueWorker
    assert type(background_worker(e=True)(print)) is BackgroundEventWorker
    assert type(background_worker(delay_before=1)(print)) is BackgroundIntervalWorker
    assert type(background_worker(interval=1, queue=False)(print)) is BackgroundIntervalWorker


def test_the_target_gets_what_it_declares(supervisor, until):
    got = []

    def target(first, *, _worker, _name, o, second):
        got.append((first, _worker, _name, o, second))

    worker = background_worker(interval=60, o="thing", supervisor=supervisor)(target)
    worker.start(1, second=2, _name="m")
    until(lambda: got)
    assert got == [(1, worker, "m", "thing", 2)]
    assert worker.name == "m"


def test_a_target_with_keywords_gets_everything(make, until):
    got = []
    worker = make(lambda *a, **k: got.append((a, k)), interval=60, o="thing")
    worker.start(1, x=2)
    until(lambda: got)
    args, kwargs = got[0]
    assert args == (1,)
    assert set(kwargs) == {"_worker", "_name", "_task_id", "o", "x"}


def test_the_task_id_in_the_thread_pool_is_the_threads_name(supervisor, until):
    got = []

    def target(_task_id):
        got.append((_task_id, threading.current_thread().name))

    background_worker(interval=60, supervisor=supervisor)(target).start()
    until(lambda: got)
    assert got[0][0] == got[0][1]


def given(function):
    """Give a function an argument, as a decorator of a session or a connection does."""

    @functools.wraps(function)
    def wrapper():
        return function("session")

    return wrapper


def handed_on(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        return function(*args, **kwargs)

    return wrapper


@pytest.mark.parametrize("options", [{}, {"event": True}, {"interval": 0.002}])
def test_a_target_gets_what_its_decorator_takes_and_not_what_is_wrapped(supervisor, until, options):
    got = []

    @background_worker(supervisor=supervisor, **options)
    @given
    def target(session, **kwargs):
        got.append((session, kwargs))

    target.start()
    if "event" in options:
        target.trigger_threadsafe()
    until(lambda: got or target.status().errors)
    target.stop()
    assert got[0] == ("session", {})
    assert target.status().errors == 0


def test_a_decorator_that_hands_everything_on_changes_nothing(supervisor, until):
    got = []

    @background_worker(interval=60, o="thing", supervisor=supervisor)
    @handed_on
    def target(first, *, _name, o):
        got.append((first, _name, o))

    target.start(1)
    until(lambda: got or target.status().errors)
    assert got == [(1, "target", "thing")]


class Private:
    def __init__(self):
        self.seen = []

    @background_worker(interval=0.001)
    def __read(self):
        self.seen.append(self)

    def reader(self):
        return self.__read


class _Hidden(Private):
    @background_worker(interval=0.001)
    def __read(self):
        self.seen.append("hidden")

    def reader(self):
        return self.__read


@pytest.mark.parametrize(("kind_", "what"), [(Private, None), (_Hidden, "hidden")])
def test_a_private_method_is_a_worker_of_its_own_for_each_instance(until, kind_, what):
    one, two = kind_(), kind_()
    assert one.reader() is one.reader() is not two.reader()
    one.reader().start()
    until(lambda: one.seen or one.reader().status().errors)
    one.reader().stop()
    assert one.seen[0] == (what or one)
    assert two.seen == []
    task_supervisor.stop()


def test_a_worker_of_a_worker_has_its_target_and_nothing_else_of_it(supervisor):
    async def look():
        pass

    first = background_worker(interval=1, name="first", o=1, supervisor=supervisor)(look)
    first.start()
    second = background_worker(interval=5, supervisor=supervisor)(first)
    assert (second.name, second.interval, second.o, second.awaited) == ("look", 5, None, True)
    assert not second.is_started()
    assert second.start_stop_lock is not first.start_stop_lock
    assert second.start()
    assert [one.name for one in supervisor.workers.active()] == ["first", "look"]


def test_attributes_of_a_callable_object_take_no_place_of_the_workers_own():
    class Meter:
        def __init__(self):
            self.run = self.unit = "volt"

        def __call__(self):
            return 7

    worker = background_worker(interval=1)(Meter())
    assert (worker(), worker.run(), worker.unit) == (7, 7, "volt")


def test_a_class_may_have_a_restart_of_its_own(supervisor):
    class Mine(BackgroundEventWorker):
        restarts = 0

        def run(self):
            pass

        def restart(self, *args, **kwargs):
            self.restarts += 1
            return super().restart(*args, **kwargs)

    worker = Mine(supervisor=supervisor)
    worker.start()
    assert worker.restart()
    assert worker.restarts == 1
    with pytest.raises(TypeError, match="restart of class"):
        type("Other", (BackgroundWorker,), {"restart": Restart()})


@pytest.mark.parametrize("again", [copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
def test_an_instance_that_is_copied_or_pickled_has_workers_of_its_own(again):
    north = Station("north")
    assert north.read() == "north"
    other = again(north)
    assert other.read is not north.read
    other.name = "other"
    assert (other.read(), north.read()) == ("other", "north")
    assert other.seen == ["north", "other"]

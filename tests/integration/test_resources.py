"""Resources are made once a worker, given to the bodies that ask, and closed at its end."""

from __future__ import annotations

import asyncio
import signal
import threading
from typing import TYPE_CHECKING, Annotated, Optional

import pytest

from mainspring import Cache, Queue, injected
from mainspring.clock import monotonic
from mainspring.errors import InvalidArguments, InvalidOption, JobFailed

if TYPE_CHECKING:
    # As linters want it: these words are known all the same.
    from collections.abc import AsyncIterator, Iterator


class Database:
    made = 0

    def __init__(self, name="real"):
        self.name = name
        self.open = True

    def close(self):
        self.open = False


class Other(Database):
    pass


class Session:
    def __init__(self):
        self.loop = asyncio.get_running_loop()
        self.open = True


@pytest.fixture
def queue():
    queue = Queue("memory://", workers=2)
    yield queue
    queue.close()


@pytest.fixture
def made():
    """Every object that the resources below have made."""
    return []


def database(queue, made):
    @queue.resource
    def database() -> Iterator[Database]:
        made.append(Database())
        yield made[-1]
        made[-1].close()

    return database


def session(queue, made):
    @queue.resource
    async def session() -> AsyncIterator[Session]:
        made.append(Session())
        await asyncio.sleep(0)
        yield made[-1]
        assert asyncio.get_running_loop() is made[-1].loop
        made[-1].open = False

    return session


def test_one_is_made_for_all_bodies_of_a_worker_and_closed_at_its_end(queue, made):
    database(queue, made)

    @queue.task(name="plain")
    def plain(number: int, db: Database):
        return [number, db.name, db.open]

    @queue.task(name="awaited")
    async def awaited(number: int, db: Database):
        return [number, db.name, db.open]

    with queue.worker():
        assert made == []
        jobs = [*plain.map([(n,) for n in range(5)]), *awaited.map([(n,) for n in range(5)])]
        assert [job.result(timeout=20) for job in jobs] == [[n, "real", True] for n in range(5)] * 2
    (one,) = made
    assert not one.open


def test_two_workers_one_after_the_other_make_one_each(queue, made):
    database(queue, made)

    @queue.task(name="plain")
    def plain(db: Database):
        return db.open

    for _ in range(2):
        with queue.worker():
            assert plain.delay().result(timeout=20)
    assert [one.open for one in made] == [False, False]


def test_threads_that_ask_at_once_get_the_same(queue, made):
    both = threading.Barrier(2, timeout=20)

    @queue.resource
    def slow() -> Database:
        made.append(Database())
        return made[-1]

    @queue.task(name="plain")
    def plain(db: Database):
        both.wait()
        return id(db)

    with queue.worker():
        jobs = plain.map([(), ()])
        assert {job.result(timeout=20) for job in jobs} == {id(made[0])}
    assert len(made) == 1


def test_an_async_resource_lives_on_the_loop_of_the_bodies(queue, made):
    session(queue, made)

    @queue.task(name="awaited")
    async def awaited(one: Session):
        return one.open and asyncio.get_running_loop() is one.loop

    with queue.worker():
        assert [job.result(timeout=20) for job in awaited.map([(), (), ()])] == [True] * 3
    (one,) = made
    assert not one.open


def test_an_async_function_that_returns_is_one_too(queue):
    @queue.resource
    async def session() -> Session:
        return Session()

    @queue.task(name="awaited")
    async def awaited(*, one: Session):
        return one.open

    with queue.testing() as t:
        job = awaited.delay()
        t.run()
        assert job.result()


def test_a_body_that_is_cancelled_takes_no_resource_along(queue, made):
    go = asyncio.Event()

    @queue.resource
    async def session() -> AsyncIterator[Session]:
        await go.wait()
        yield Session()

    @queue.task(name="first", timeout=1, retries=0)
    async def first(one: Session):
        pass

    @queue.task(name="second")
    async def second(one: Session):
        return one.open

    @queue.task(name="opens")
    async def opens():
        go.set()

    with queue.testing(suppress=TimeoutError) as t:
        failed = first.delay()
        t.run(seconds=5)
        assert failed.status == "failed"
        jobs = [opens.delay(), second.delay()]
        t.run()
        assert jobs[1].result()


def test_the_last_made_is_closed_first(queue):
    closed = []

    @queue.resource
    def first() -> Iterator[Database]:
        yield Database()
        closed.append("first")

    @queue.resource
    def second() -> Iterator[Other]:
        yield Other()
        closed.append("second")
        raise OSError("the others are closed all the same")

    @queue.task(name="both")
    def both(one: Database, other: Other):
        pass

    with queue.testing() as t:
        both.delay()
        t.run()
        assert closed == []
    assert closed == ["second", "first"]


def test_one_that_exits_as_it_is_closed_keeps_no_other_from_it(queue):
    closed = []

    @queue.resource
    def first() -> Iterator[Database]:
        yield Database()
        closed.append("first")

    @queue.resource
    def second() -> Iterator[Other]:
        yield Other()
        raise SystemExit(3)

    @queue.task(name="both")
    def both(one: Database, other: Other):
        pass

    with queue.worker():
        both.delay().result(timeout=20)
    assert closed == ["first"]


@pytest.mark.parametrize("kind", [SystemExit, asyncio.CancelledError])
def test_an_async_one_that_raises_no_exception_proper_fails_the_attempt_by_its_name(queue, kind):
    @queue.resource
    async def session() -> AsyncIterator[Session]:
        raise kind("no session")
        yield Session()

    @queue.task(name="use", retries=0)
    async def use(one: Session):
        pass

    with queue.worker():
        job = use.delay()
        with pytest.raises(JobFailed, match=r"no session; raised as resource .*session was made"):
            job.result(timeout=20)


@pytest.mark.parametrize("is_async", [False, True])
def test_one_that_is_never_made_holds_up_no_end_of_a_worker(queue, is_async):
    enough = threading.Event()

    @queue.resource
    def database() -> Iterator[Database]:
        assert enough.wait(60)
        yield Database()

    @queue.resource
    async def session() -> AsyncIterator[Session]:
        await asyncio.Event().wait()
        yield Session()

    @queue.task(name="use", retries=0, timeout=0.1)
    async def use(one: Session if is_async else Database):
        pass

    with queue.worker():
        with pytest.raises(JobFailed, match="timed out"):
            use.delay().result(timeout=20)
        began = monotonic()
    assert monotonic() - began < 20  # a worker's grace is 30 s
    left = [one for one in threading.enumerate() if one.name == "mainspring-resource"]
    assert all(one.daemon for one in left)
    assert bool(left) is not is_async
    enough.set()
    for one in left:
        one.join(20)


def test_an_async_one_that_does_not_close_is_left_behind(queue, monkeypatch, caplog):
    monkeypatch.setattr("mainspring.engine.attempts.resources.CLOSE_SECONDS", 0.1)

    @queue.resource
    async def session() -> AsyncIterator[Session]:
        yield Session()
        await asyncio.Event().wait()

    @queue.task(name="use")
    async def use(one: Session):
        pass

    with queue.worker():
        use.delay().result(timeout=20)
        began = monotonic()
    assert monotonic() - began < 20
    assert "session has not closed in time, and is left behind" in caplog.text


def test_what_is_injected_is_no_argument_of_a_job(queue, made):
    database(queue, made)

    @queue.task(name="add", cache=Cache(ttl=60))
    def add(a, b=1, *, db: Annotated[Database, "anything"] = injected):
        made.append("ran")
        return a + b

    with queue.testing() as t:
        jobs = [add.delay(1), add.delay(a=1, b=1)]
        t.run()
        t.assert_enqueued(add, 1)
        assert [job.result() for job in jobs] == [2, 2]
        with pytest.raises(InvalidArguments, match="unexpected keyword argument 'db'"):
            add.delay(1, db=None)
    assert add(1, db=None) == 2


def optional(a, db: Database | None = None):
    return a, db and db.name


def old_style(a, db: Optional[Database] = None):  # noqa: UP045  # as older code has it
    return a, db and db.name


def annotated(a, db: Annotated[Database, "anything"] | None = injected):
    return a, db and db.name


@pytest.mark.parametrize("function", [optional, old_style, annotated])
def test_an_annotation_of_a_resource_or_none_asks_for_it(queue, made, function):
    database(queue, made)
    task = queue.task(function)
    with queue.testing() as t:
        job = task.delay(1)
        t.run()
        assert job.result() == (1, "real")
        with pytest.raises(InvalidArguments, match="unexpected keyword argument 'db'"):
            task.delay(1, db=None)
    assert task(1, db=None) == (1, None)


def test_one_or_none_without_a_resource_is_an_argument_of_a_job(queue):
    task = queue.task(name="plain")(optional)
    with queue.testing() as t:
        job = task.delay(1, db=None)
        t.run()
        assert job.result() == (1, None)


def test_a_choice_of_two_classes_asks_for_neither(queue, made):
    database(queue, made)

    @queue.task(name="choice")
    def choice(db: Database | Session | None = None):
        return db

    with queue.testing() as t:
        job = choice.delay(db=None)
        t.run()
        assert job.result() is None


def test_the_cache_of_a_task_does_not_look_at_what_is_injected(queue, made):
    database(queue, made)

    @queue.task(name="add", cache=Cache(ttl=60))
    def add(a, db: Database):
        made.append("ran")
        return a

    with queue.worker():
        assert [add.delay(1).result(timeout=20) for _ in range(3)] == [1, 1, 1]
    assert made.count("ran") == 1


def test_an_override_stands_in_for_a_resource(queue, made):
    source = database(queue, made)
    pool = session(queue, made)

    @queue.task(name="plain")
    async def plain(db: Database, one: Session):
        return [db.name, one]

    with queue.testing() as t:
        t.override(source, Database("fake"))
        t.override(pool, "fake, too")
        job = plain.delay()
        t.run()
        assert job.result() == ["fake", "fake, too"]
    assert made == []
    with queue.testing() as t:
        with pytest.raises(InvalidOption, match="is no resource of this queue"):
            t.override(plain, 1)
        job = plain.using(delay=1).delay()
        t.override(pool, "only this")
        t.run(seconds=1)
        assert job.result() == ["real", "only this"]


def test_a_resource_on_the_loop_of_a_test_is_closed_there(queue, made):
    session(queue, made)

    @queue.task(name="awaited")
    async def awaited(one: Session):
        return asyncio.get_running_loop() is one.loop

    async def main():
        async with queue.testing() as t:
            job = await awaited.adelay()
            await t.arun()
            assert await job
            assert made[0].loop is asyncio.get_running_loop()
            assert not made[0].open

    asyncio.run(main())


@pytest.mark.parametrize("on_the_tests_loop", [False, True])
@pytest.mark.parametrize("eager", [False, True])
def test_a_body_that_has_another_job_run_keeps_its_resource(queue, made, eager, on_the_tests_loop):
    session(queue, made)

    @queue.task(name="inner")
    async def inner(one: Session):
        return one.open

    @queue.task(name="outer")
    async def outer(one: Session):
        return [await (await inner.adelay()), one.open]

    async def main():
        async with queue.testing(eager=eager) as t:
            if on_the_tests_loop:
                job = await outer.adelay()
                await t.arun()
            else:
                job = outer.delay()
                t.run()
            assert await job == [True, True]
        assert [one.open for one in made] == [False]

    asyncio.run(main())


def test_a_resource_that_cannot_be_made_fails_the_attempt_and_is_tried_again(queue, made):
    @queue.resource
    def database() -> Database:
        made.append(1)
        if len(made) < 3:
            raise ConnectionError("no database")
        return Database()

    @queue.task(name="plain", retry_on=ConnectionError, retries=2, backoff=[0])
    def plain(db: Database):
        return db.name

    with queue.testing() as t:
        job = plain.delay()
        t.run(seconds=1)
        assert job.result() == "real"
        said = str(job.history[0].failure)
    assert "ConnectionError: no database; raised as resource" in said


def test_a_marker_says_so_when_a_body_is_called_by_hand(queue, made):
    database(queue, made)

    @queue.task(name="plain")
    def plain(db: Database = injected):
        return db.name

    with pytest.raises(AttributeError, match="a worker fills this parameter in"):
        plain()


def test_a_resource_that_is_defined_anew_takes_the_place_of_the_old_one(queue):
    names = {"__name__": "notebook", "Database": Database}
    text = "def database() -> Database:\n    return Database('{}')\n"
    exec(text.format("old"), names)
    queue.resource(names["database"])

    @queue.task(name="plain")
    def plain(db: Database):
        return db.name

    exec(text.format("new"), names)
    queue.resource(names["database"])
    with queue.testing() as t:
        job = plain.delay()
        t.run()
        assert job.result() == "new"


def no_annotation():
    yield


def of_python() -> dict:
    return {}


def unknown() -> Elsewhere:  # noqa: F821  # as if imported for type checkers only
    pass


def yields_what() -> Database:
    yield Database()


def takes_one(number: int) -> Database:
    return Database()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (no_annotation, "does not tell the class"),
        (of_python, "does not tell the class"),
        (unknown, "does not tell the class"),
        (yields_what, "annotate it, as in -> Iterator"),
        (takes_one, "expected a function without parameters"),
        (Database, "expected a function without parameters"),
        ("text", "expected a function without parameters"),
    ],
)
def test_what_is_no_resource_is_refused(queue, wrong, said):
    with pytest.raises(InvalidOption, match=said):
        queue.resource(wrong)


def test_two_whose_classes_have_one_name_are_told_apart(queue):
    here, there = type("Client", (), {}), type("Client", (), {})

    @queue.resource
    def first() -> here:
        return here()

    @queue.resource
    def second() -> there:
        return there()

    @queue.task(name="use")
    def use(one: here, other: there = injected):
        return [type(one) is here, type(other) is there]

    with queue.testing() as t:
        job = use.delay()
        t.run()
        assert job.result() == [True, True]


def test_two_of_one_class_are_refused(queue, made):
    database(queue, made)
    with pytest.raises(InvalidOption, match="gives a Database, as .*database does"):

        @queue.resource
        def another() -> Database:
            return Database()


def before(db: Database, number):
    pass


def positional(db: Database, /):
    pass


def several(*db: Database):
    pass


def unmatched(db: Session = injected):
    pass


def waits(one: Session):
    pass


def not_there(db: elsewhere.Database):  # noqa: F821  # as if imported for type checkers only
    pass


def maybe_not_there(db: elsewhere.Database | None = None):  # noqa: F821  # as above
    pass


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (before, "'db' comes before 'number'"),
        (positional, "can't be given by its name"),
        (several, "can't be given by its name"),
        (unmatched, "no resource of the queue is of its class; .* there are: Database"),
        (not_there, "import its class outside of `if TYPE_CHECKING`"),
        (maybe_not_there, "import its class outside of `if TYPE_CHECKING`"),
    ],
)
def test_a_parameter_that_cannot_be_filled_in_is_refused_at_its_decoration(
    queue, made, wrong, said
):
    database(queue, made)
    with pytest.raises(InvalidOption, match=said):
        queue.task(wrong)


def test_what_no_body_could_await_or_import_is_refused(queue, made):
    session(queue, made)
    with pytest.raises(InvalidOption, match="is async, and nothing in the task can await it"):
        queue.task(waits)
    database(queue, made)
    with pytest.raises(InvalidOption, match="a child process can't import"):
        queue.task(executor="process")(before)


def test_a_resource_after_a_task_that_asks_for_it_is_refused(queue, made):
    queue.task(name="early")(before)
    with pytest.raises(InvalidOption, match="comes after task 'early', which asks for it"):
        database(queue, made)


CHILDREN = """
    import asyncio
    import os
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from mainspring import Queue

    queue = Queue(db_path="jobs.db", workers=1, grace=10)

    class Database:
        pass

    class Session:
        pass

    def note(text):
        with Path("notes").open("a") as file:
            file.write(f"{text}\\n")

    @queue.resource
    def database() -> Iterator[Database]:
        note("database made")
        yield Database()
        note("database closed")

    @queue.resource
    async def session() -> AsyncIterator[Session]:
        note("session made")
        one = Session()
        one.loop = asyncio.get_running_loop()
        yield one
        assert asyncio.get_running_loop() is one.loop
        note("session closed")

    @queue.task(executor="process", retries=0)
    def plain(db: Database):
        return os.getpid()

    @queue.task(executor="process", retries=0)
    async def awaited(one: Session):
        asyncio.create_task(asyncio.sleep(600))
        assert asyncio.get_running_loop() is one.loop
        return os.getpid()

    @queue.task(retries=0)
    def here(db: Database):
        return os.getpid()
"""


def test_a_child_makes_its_own_once_and_closes_it_when_a_worker_is_told_to_stop(
    make_app, start_worker, tmp_path
):
    app = make_app(CHILDREN)
    worker = start_worker()
    jobs = [app.plain.delay(), app.plain.delay(), app.awaited.delay(), app.awaited.delay()]
    assert len({job.result(timeout=60) for job in jobs}) == 1
    assert app.here.delay().result(timeout=60) == worker.process.pid
    worker.send(signal.SIGTERM)
    assert worker.wait() == 0
    notes = (tmp_path / "notes").read_text().splitlines()
    assert notes[:3] == ["database made", "session made", "database made"]
    assert sorted(notes[3:]) == ["database closed", "database closed", "session closed"]

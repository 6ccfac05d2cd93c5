"""A task is what was registered: under a stable name, and in a child under no other function."""

from __future__ import annotations

import asyncio
import functools
import importlib
import subprocess
import sys
import threading
from contextlib import closing
from textwrap import dedent
from unittest import mock

import pytest

from mainspring import JobFailed, Queue
from mainspring.errors import DuplicateName, InvalidArguments, InvalidOption, TaskNotImportable


@pytest.fixture
def queue():
    queue = Queue("memory://", workers=1)
    yield queue
    queue.close()


@pytest.fixture
def load(tmp_path, monkeypatch):
    """Return a function that imports a module of the given text."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def load(text, name="registered_app"):
        (tmp_path / f"{name}.py").write_text(dedent(text))
        monkeypatch.delitem(sys.modules, name, raising=False)
        importlib.invalidate_caches()
        return importlib.import_module(name)

    yield load
    sys.modules.pop("registered_app", None)


def run(folder, *args, **options):
    done = subprocess.run(
        [sys.executable, *args],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        **options,
    )
    return done.stdout.splitlines(), done.stderr


class TestNames:
    def test_a_task_inside_a_function_is_named_as_at_the_top_level(self, queue):
        @queue.task
        def hello(name):
            return f"hello {name}"

        class Mailer:
            @staticmethod
            @queue.task
            def send(to):
                return to

        assert hello.name == f"{__name__}.hello"
        assert Mailer.send.name == f"{__name__}.Mailer.send"
        with queue.worker():
            assert hello.delay("you").result(timeout=10) == "hello you"
            assert Mailer.send.delay("you").result(timeout=10) == "you"

    def test_two_functions_of_one_derived_name_are_told_apart_by_name(self, queue):
        def one():
            @queue.task
            def hello():
                return 1

        def two():
            @queue.task
            def hello():
                return 2

        one()
        with pytest.raises(DuplicateName, match=r"(?s)hello.*test_registered.*another name"):
            two()

    def test_a_factory_that_is_called_again_registers_the_same_tasks(self, queue):
        def create_app(greeting):
            @queue.task
            def hello(name, times=2):
                return f"{greeting} {name}" * times if times else hello(name)

            return hello

        create_app("hello")
        assert create_app("hello")("you", 1) == "hello you"
        with pytest.raises(DuplicateName):
            create_app("good day")

    def test_a_method_of_two_objects_is_two_tasks(self, queue):
        first, second = threading.Event(), threading.Event()
        assert queue.task(first.set).name == "threading.Event.set"
        queue.task(first.set)
        with pytest.raises(DuplicateName, match=r"threading\.Event\.set"):
            queue.task(second.set)
        one, two = functools.partial(print, 1), functools.partial(print, 2)
        for each in (one, two):
            functools.update_wrapper(each, print)
        queue.task(one)
        with pytest.raises(DuplicateName):
            queue.task(two)

    def test_a_cell_that_is_run_again_replaces_its_task(self, queue):
        cell = "@queue.task\ndef hello():\n    return {}"
        names = {"queue": queue, "__name__": "__main__"}
        with mock.patch.dict(sys.modules, {"__main__": mock.Mock(spec=[])}):
            exec(compile(cell.format(1), "<cell 1>", "exec"), names)
            exec(compile(cell.format(2), "<cell 2>", "exec"), names)
        assert names["hello"].name == "__main__.hello"
        with queue.worker():
            assert names["hello"].delay().result(timeout=10) == 2

    def test_a_module_that_defines_a_task_twice_is_told(self, load):
        with pytest.warns(UserWarning, match="'registered_app.price' is defined twice") as told:
            load("""
                from mainspring import Queue
                queue = Queue("memory://")
                @queue.task
                def price(): return 1
                @queue.task
                def price(): return 2
            """)
        assert "registered_app.py:6 replaces" in str(told[0].message)
        assert told[0].filename.endswith("registered_app.py")

    def test_a_lambda_needs_a_name(self, queue):
        with pytest.raises(TaskNotImportable, match="it is a lambda, and has no name; give it a"):
            queue.task(lambda: None)

    @pytest.mark.parametrize("option", ["name", "queue"])
    @pytest.mark.parametrize("text", ["", "\udc80", 3])
    def test_a_text_that_no_store_can_keep_is_refused(self, queue, option, text):
        with pytest.raises(InvalidOption, match=option):
            queue.task(**{"name": "n", option: text})(lambda: None)


class TestScripts:
    SCRIPT = """
        from mainspring import Queue
        class Oops(Exception): pass
        queue = Queue("memory://", workers=1)
        @queue.task(executor="process", retries=0, retry_on=Oops)
        def add(a, b): return a + b
        if __name__ == "__main__":
            with queue.worker(): print(add.name, add.delay(1, 2).result(timeout=30))
    """
    NAMED = """
        from mainspring import Queue
        @Queue("memory://").task
        def add(): pass
        print(add.name)
    """

    @pytest.mark.parametrize("how", [(), ("-m", "cProfile"), ("-m", "trace", "--count", "-C", ".")])
    def test_a_script_is_named_by_its_file_and_its_child_agrees(self, tmp_path, how):
        (tmp_path / "prof.py").write_text(dedent(self.SCRIPT))
        out, err = run(tmp_path, *how, "prof.py")
        assert out[:1] == ["prof.add 3"], err

    @pytest.mark.parametrize(
        ("how", "name"),
        [
            (("app/tasks.py",), "app.tasks.add"),
            (("-m", "cProfile", "app/tasks.py"), "app.tasks.add"),
            (("-m", "app.tasks"), "app.tasks.add"),
            (("-c", "import app.tasks"), "app.tasks.add"),
        ],
    )
    def test_a_script_in_a_package_is_named_as_from_outside(self, tmp_path, how, name):
        (tmp_path / "app").mkdir()
        (tmp_path / "app" / "__init__.py").touch()
        (tmp_path / "app" / "tasks.py").write_text(dedent(self.NAMED))
        assert run(tmp_path, *how)[0][:1] == [name]

    def test_a_child_of_a_script_in_a_package_finds_it(self, tmp_path):
        (tmp_path / "app").mkdir()
        (tmp_path / "app" / "__init__.py").touch()
        (tmp_path / "app" / "tasks.py").write_text(dedent(self.SCRIPT))
        out, err = run(tmp_path, "app/tasks.py")
        assert out == ["app.tasks.add 3"], err

    VALUES = """
        import dataclasses, enum, sys
        import msgspec
        from mainspring import JobFailed, Queue
        class Colour(enum.Enum): RED = 1
        @dataclasses.dataclass
        class Order: number: int
        class Item(msgspec.Struct): name: str
        class Money:
            def __init__(self, cents): self.cents = cents
        class Oops(Exception): pass
        queue = Queue(db_path="jobs.db", workers=1)
        queue.register(Money, lambda money: money.cents, Money)
        queue.register(Oops)
        def told(order, colour, item, money):
            assert type(order) is Order and colour is Colour.RED and type(item) is Item
            return order, colour, item, money
        thread = queue.task(name="thread")(told)
        @queue.task(name="child", executor="process")
        def child(*args): return told(*args)
        @queue.task(name="fails", retries=0)
        def fails(): raise Oops("no")
        def enqueue():
            values = Order(1), Colour.RED, Item("a"), Money(5)
            jobs = thread.delay(*values), child.delay(*values), fails.delay()
            return [job.id for job in jobs]
        def show(ids):
            for id in ids[:2]:
                order, colour, item, money = queue.get_job(id).result(timeout=30)
                assert type(order) is Order and colour is Colour.RED and type(item) is Item
                print(order.number, colour.name, item.name, money.cents)
            try: queue.get_job(ids[2]).result(timeout=30)
            except JobFailed as error: print(type(error.__cause__) is Oops)
        def work(ids):
            with queue.worker(): show(ids)
        if __name__ == "__main__":
            match sys.argv[1:]:
                case []: work(enqueue())
                case ["enqueue"]: print(*enqueue())
                case ["show", *ids]: show(ids)
                case ["work", *ids]: work(ids)
    """

    @pytest.mark.parametrize("how", [(), ("-m", "cProfile"), ("-m", "trace", "--count", "-C", ".")])
    def test_values_of_a_scripts_own_classes_come_back(self, tmp_path, how):
        (tmp_path / "shop.py").write_text(dedent(self.VALUES))
        out, err = run(tmp_path, *how, "shop.py")
        assert out[:3] == ["1 RED a 5", "1 RED a 5", "True"], err

    @pytest.mark.parametrize(
        ("script", "module"), [("shop.py", "shop"), ("app/tasks.py", "app.tasks")]
    )
    def test_what_a_script_enqueues_is_read_by_a_worker_that_imports_it(
        self, tmp_path, script, module
    ):
        (tmp_path / "app").mkdir()
        (tmp_path / "app" / "__init__.py").touch()
        (tmp_path / script).write_text(dedent(self.VALUES))
        out, err = run(tmp_path, script, "enqueue")
        ids = out[0].split()
        out, err = run(tmp_path, "-c", f"import {module} as one; one.work({ids})")
        assert out == ["1 RED a 5", "1 RED a 5", "True"], err
        out, err = run(tmp_path, script, "show", *ids)
        assert out == ["1 RED a 5", "1 RED a 5", "True"], err

    @pytest.mark.parametrize(
        ("script", "module"), [("shop.py", "shop"), ("app/tasks.py", "app.tasks")]
    )
    def test_what_a_program_enqueues_is_read_by_a_script(self, tmp_path, script, module):
        (tmp_path / "app").mkdir()
        (tmp_path / "app" / "__init__.py").touch()
        (tmp_path / script).write_text(dedent(self.VALUES))
        out, err = run(tmp_path, "-c", f"import {module} as one; print(*one.enqueue())")
        out, err = run(tmp_path, script, "work", *out[0].split())
        assert out == ["1 RED a 5", "1 RED a 5", "True"], err

    def test_what_is_typed_in_is_no_task_of_a_child(self, tmp_path):
        text = dedent(self.NAMED)
        assert run(tmp_path, "-", input=text)[0] == ["__main__.add"]
        _, err = run(tmp_path, "-", input=text.replace(".task", ".task(executor='process')"))
        assert "TaskNotImportable: task '__main__.add'" in err
        assert "typed in" in err


class TestChildren:
    APP = """
        import functools
        from mainspring import Queue
        queue = Queue("memory://", workers=1)

        def doubled(function):
            @functools.wraps(function)
            def inner(x): return 2 * function(x)
            return inner

        def price(x): return x

        class Mailer:
            def send(self, to): return to
            @classmethod
            def send_all(cls, to): return [cls.__name__, to]
            @staticmethod
            def send_one(to): return to

        def register(function, **options):
            return queue.task(name="n", executor="process", retries=0)(function)
    """

    @pytest.mark.parametrize(
        "wrong",
        [
            "doubled(price)",
            "functools.update_wrapper(functools.partial(price, 1), price)",
            "Mailer().send",
            "lambda x: x",
            "doubled(queue.task(price))",
        ],
    )
    def test_what_leads_to_another_function_is_refused_where_it_is_registered(self, load, wrong):
        with pytest.raises(TaskNotImportable, match="task 'n' can't be imported"):
            load(f"{dedent(self.APP)}\nregister({wrong})\n")

    def test_a_second_function_of_the_same_name_is_refused_when_the_first_is_used(self, load):
        text = f"{dedent(self.APP)}\n@register\ndef cost(x): return x\ntask = cost\n"
        app = load(f"{text}\ndef cost(x): return -x\n")
        with pytest.raises(TaskNotImportable, match=r"registered_app\.cost leads to another"):
            app.task.delay(1)
        with pytest.raises(TaskNotImportable, match=r"registered_app\.cost"), app.queue.worker():
            pass
        assert app.queue.stats()["pending"] == 0

    def test_a_name_that_changes_while_the_worker_runs_never_runs_another(self, load):
        app = load(f"{dedent(self.APP)}\n@register\ndef cost(x): return x\n")
        job = app.cost.delay(1)
        task = app.cost
        app.cost = app.price
        try:
            with pytest.raises(TaskNotImportable):
                app.queue.get_task(task.name).delay(1)
            app.cost = task
            with app.queue.worker():
                app.cost = app.price
                waiting = task.delay(1)
                with pytest.raises(JobFailed, match="TaskNotImportable"):
                    waiting.result(timeout=30)
                assert job.result(timeout=30) == 1 or job.status
        except JobFailed as error:
            assert "TaskNotImportable" in str(error)  # noqa: PT017  # the first was as late

    def test_what_leads_back_runs_in_a_child(self, load):
        app = load(
            f"{dedent(self.APP)}\n"
            "@queue.task(executor='process')\n@doubled\ndef cost(x): return x\n"
            "all_ = queue.task(name='all', executor='process')(Mailer.send_all)\n"
            "one = queue.task(name='one', executor='process')(Mailer.send_one)\n"
            "again = queue.task(name='again', executor='process')(price)\n"
            "class Shop:\n    @staticmethod\n    @queue.task(executor='process')\n"
            "    def sell(x): return x + 1\n"
        )
        with app.queue.worker():
            jobs = [app.cost, app.all_, app.one, app.again, app.Shop.sell]
            got = [task.delay(3) for task in jobs]
            assert [job.result(timeout=60) for job in got] == [6, ["Mailer", 3], 3, 3, 4]

    def test_what_the_child_does_not_find_is_named(self, load):
        app = load(f"""{dedent(self.APP)}
import os
if not os.environ.get("IN_CHILD"):
    os.environ["IN_CHILD"] = "1"
    @register
    def cost(x): return x
""")
        try:
            with app.queue.worker(), pytest.raises(JobFailed, match=r"no registered_app\.cost"):
                app.cost.delay(1).result(timeout=60)
        finally:
            app.os.environ.pop("IN_CHILD")


class TestArguments:
    def test_a_wrapper_may_supply_what_its_function_lacks(self, queue):
        def with_session(function):
            @functools.wraps(function)
            def inner(*args, **kwargs):
                return function("session", *args, **kwargs)

            return inner

        @queue.task(name="charge")
        @with_session
        def charge(session, user):
            return [session, user]

        @queue.task(name="patched")
        @mock.patch("asyncio.run", new_callable=mock.Mock)
        def patched(x, run):
            return x if asyncio.run is run else None

        @queue.task(name="coroutine")
        @with_session
        async def coroutine(session, user="all"):
            return [session, user]

        with queue.worker():
            assert charge.delay("ann").result(timeout=10) == ["session", "ann"]
            assert charge.delay(user="ann").result(timeout=10) == ["session", "ann"]
            assert patched.delay(3).result(timeout=10) == 3

    def test_a_wrapper_with_parameters_of_its_own_is_judged_by_them(self, queue):
        def with_session(function):
            @functools.wraps(function)
            def inner(user):
                return function("session", user)

            return inner

        @queue.task(name="charge")
        @with_session
        def charge(session, user):
            return [session, user]

        with pytest.raises(InvalidArguments, match=r"too many.*\(user\)"):
            charge.delay("session", "ann")
        with queue.worker():
            assert charge.delay("ann").result(timeout=10) == ["session", "ann"]

    def test_a_call_that_does_not_fit_inside_a_wrapper_fails_as_a_call(self, queue):
        @queue.task(name="charge", retries=0)
        @functools.lru_cache
        def charge(user):
            return user

        with queue.worker(), pytest.raises(JobFailed, match="TypeError"):
            charge.delay().result(timeout=10)

    def test_calls_of_a_wrapped_function_are_equal_however_they_are_written(self, queue):
        from mainspring import Unique  # noqa: PLC0415  # one test needs it

        def logged(function):
            @functools.wraps(function)
            def inner(*args, **kwargs):
                return function(*args, **kwargs)

            return inner

        @queue.task(name="charge", unique=Unique(by="args"))
        @logged
        def charge(user, times=1):
            return user

        assert charge.delay("ann") == charge.delay(times=1, user="ann")
        assert charge.delay("ann") != charge.delay("bob")

    def test_a_plain_wrapper_of_a_coroutine_function_is_told_what_is_missing(self, queue):
        async def hello():
            return "hello"

        @queue.task(name="timed", retries=0)
        @functools.wraps(hello)
        def timed():
            return made

        made = hello()
        with (
            closing(made),
            queue.worker(),
            pytest.raises(JobFailed, match="of which nothing has run: await it"),
        ):
            timed.delay().result(timeout=10)

    def test_a_builtin_that_tells_no_signature_is_refused_with_what_to_do(self, queue):
        with pytest.raises(InvalidOption, match=r"built-in function max.*from a def of yours"):
            queue.task(name="max")(max)

    def test_a_function_with_a_yield_is_refused_with_what_to_do(self, queue):
        def parts(count):
            yield from range(count)

        async def aparts(count):
            yield count

        for register in (queue.task, queue.every(60), queue.cron("* * * * *")):
            for function in (parts, aparts):
                with pytest.raises(InvalidOption, match=r"parts.*has a yield.*return a list"):
                    register(function)
        assert not queue.schedules

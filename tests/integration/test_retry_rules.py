"""Which errors are tried again, and what a body may say of that itself: the same everywhere."""

from __future__ import annotations

import pytest

from histories import attempts, outcomes
from mainspring import Fixed, JobFailed, JobState, Queue
from mainspring.errors import InvalidOption
from mainspring.model.retry import RetryRules

APP = """
    import asyncio
    from datetime import timedelta

    from mainspring import Exponential, GiveUp, Queue, Retry, Snooze, current_job

    queue = Queue("{url}", workers=2, durability="normal", grace=1)
    options = dict(retries=2, retry_on=(OSError, KeyError), give_up_on=FileNotFoundError)

    class Ours(OSError):
        pass

    ERRORS = {{
        "os": OSError("no route"), "ours": Ours("no route"), "lost": FileNotFoundError("gone"),
        "value": ValueError("no number"), "exit": SystemExit(3), "memory": MemoryError("full"),
        "interrupt": KeyboardInterrupt("ctrl"), "cancelled": asyncio.CancelledError("nobody"),
    }}

    def body(what):
        if what in ERRORS:
            raise ERRORS[what]
        if what == "at once":
            raise Retry(delay=0)
        if what == "at once, of":
            raise Retry(delay=timedelta(0)) from OSError("no route")
        if what == "backoff":
            raise Retry
        if what == "give up":
            raise GiveUp("no such customer")
        if what == "give up, of":
            raise GiveUp("no such customer") from OSError("no route")
        if what == "snooze" and current_job.attempt == 1:
            import pathlib
            mark = pathlib.Path(__file__).with_name("snoozed")
            with mark.open("a") as file:
                file.write("z")
            if len(mark.read_text()) < 4:
                raise Snooze(0)
        return current_job.attempt

    async def abody(what):
        await asyncio.sleep(0)
        return body(what)

    def pbody(what):
        return body(what)

    quick = dict(backoff=Exponential(base=0.0))
    slow = dict(backoff=Exponential(base=1e6, cap=1e6))
    tasks = {{
        "thread": queue.task(name="thread", **options, **quick)(body),
        "async": queue.task(name="async", **options, **quick)(abody),
        "process": queue.task(name="process", executor="process", **options, **quick)(pbody),
    }}
    patient = {{
        "thread": queue.task(name="pthread", **options, **slow)(body),
        "async": queue.task(name="pasync", **options, **slow)(abody),
        "process": queue.task(name="pprocess", executor="process", **options, **slow)(pbody),
    }}
"""


@pytest.fixture
def app(make_app, url):
    return make_app(APP.format(url=url))


executors = pytest.mark.parametrize("executor", ["thread", "async", "process"])


def run(app, executor, what, *, of="tasks"):
    """Run a job to its end; returns it with what it raised or gave."""
    job = getattr(app, of)[executor].delay(what)
    with app.queue.worker():
        try:
            return job, job.result(timeout=20)
        except JobFailed as error:
            return job, str(error)


@executors
@pytest.mark.parametrize(
    ("what", "tries"), [("os", 3), ("ours", 3), ("lost", 1), ("value", 1), ("exit", 1)]
)
def test_only_errors_of_retry_on_are_tried_again_and_give_up_on_wins(app, executor, what, tries):
    job, _ = run(app, executor, what)
    assert outcomes(job) == ["retry"] * (tries - 1) + ["failed"]


@executors
def test_a_retry_with_a_delay_of_its_own_ignores_the_backoff(app, executor):
    job, error = run(app, executor, "at once", of="patient")
    assert outcomes(job) == ["retry", "retry", "failed"]
    assert "asked to be tried again" in error


@executors
def test_a_retry_keeps_the_error_that_led_to_it_as_its_evidence(app, executor):
    job, error = run(app, executor, "at once, of", of="patient")
    assert "OSError: no route" in error
    failures = [one.failure for one in attempts(job)]
    assert [failure.type for failure in failures] == ["builtins.OSError"] * 3
    assert "Retry" in failures[0].traceback


@executors
def test_a_retry_without_a_delay_waits_as_the_task_says(app, executor, eventually):
    quick, _ = run(app, executor, "backoff")
    assert outcomes(quick) == ["retry", "retry", "failed"]
    patient = app.patient[executor].delay("backoff")
    with app.queue.worker():
        eventually(lambda: outcomes(patient) == ["retry"])
    assert patient.status == JobState.PENDING
    assert (patient.run_at - patient.created_at).total_seconds() > 1


@executors
def test_who_gives_up_fails_at_once_with_the_reason(app, executor):
    for what in ("give up", "give up, of"):
        job, error = run(app, executor, what)
        assert outcomes(job) == ["failed"]
        assert error.endswith("GiveUp: no such customer")
    assert "no route" in attempts(job)[0].failure.traceback


@executors
def test_a_snooze_charges_no_attempt_and_is_no_failure(app, executor):
    job, result = run(app, executor, "snooze")
    assert outcomes(job) == ["snoozed", "snoozed", "snoozed", "completed"]
    assert result == 1
    assert [one.failure for one in attempts(job)] == [None] * 4


@executors
@pytest.mark.parametrize("what", ["exit", "interrupt", "memory", "cancelled"])
def test_what_would_end_a_program_is_a_failed_attempt(app, executor, what):
    job = app.tasks[executor].delay(what)
    with app.queue.worker():
        with pytest.raises(JobFailed, match=type(app.ERRORS[what]).__name__):
            job.result(timeout=20)
        assert app.tasks[executor].delay("well").result(timeout=20) == 1
    assert outcomes(job) == ["failed"]
    assert app.queue._store.get(job.id).crashes == 0


@pytest.mark.parametrize("url", ["memory://"])
class TestOptions:
    @pytest.mark.parametrize(
        "options",
        [
            {"retry_on": "OSError"},
            {"retry_on": (OSError, 3)},
            {"give_up_on": int},
            {"give_up_on": ValueError("an instance")},
            {"keep_result": -1},
            {"keep_result": "a day"},
        ],
    )
    def test_what_makes_no_sense_is_told_at_the_decoration(self, app, options):
        with pytest.raises(InvalidOption, match=next(iter(options))):
            app.queue.task(name="wrong", **options)(lambda: None)

    def test_a_class_that_a_child_can_not_find_is_told_at_the_decoration(self, app):
        class Local(Exception):
            pass

        app.queue.task(name="fine", retry_on=Local)(app.pbody)
        with pytest.raises(InvalidOption, match="child process"):
            app.queue.task(name="wrong", retry_on=Local, executor="process")(app.pbody)

    @pytest.mark.parametrize("delay", [-1, "1", float("nan")])
    def test_a_delay_that_makes_no_sense_is_told(self, app, delay):
        for kind in (app.Retry, app.Snooze):
            with pytest.raises(InvalidOption, match="delay"):
                kind(delay)


def test_rules_are_an_isinstance_away():
    rules = RetryRules((OSError,), (FileNotFoundError,))
    assert rules.again(ConnectionError())
    assert not rules.again(FileNotFoundError())
    assert not rules.again(ValueError())
    assert RetryRules().again(KeyboardInterrupt())
    assert not RetryRules((), ()).again(OSError())


def test_the_first_class_that_fits_gives_its_backoff():
    class Busy(ConnectionError):
        pass

    queue = Queue("memory://")

    @queue.task(
        name="body",
        backoff=Fixed(7),
        retry_on={Busy: [3, 4], ConnectionError: None, OSError: Fixed(20)},
        give_up_on=FileNotFoundError,
    )
    def body(number):
        raise (Busy, ConnectionError, PermissionError, FileNotFoundError, ValueError)[number]("no")

    with queue.testing(suppress=Exception) as t:
        jobs = [body.delay(number) for number in range(5)]
        t.run()
        waits = [(t.jobs()[number].run_at - t.now).total_seconds() for number in range(3)]
        assert waits == [3, 7, 20]
        assert [job.status for job in jobs] == ["pending"] * 3 + ["failed"] * 2


FREE = """
    from pathlib import Path
    from mainspring import Fixed, Queue

    queue = Queue("{url}", workers=2, durability="normal")

    class Locked(Exception):
        pass

    def body(tries):
        with Path(__file__).with_name(f"tries").open("a") as file:
            file.write("x")
        if len(Path(__file__).with_name("tries").read_text()) <= tries:
            raise Locked("by the audit")
        raise OSError("disk")

    async def abody(tries):
        return body(tries)

    def pbody(tries):
        return body(tries)

    rules = dict(retries=0, retry_on={{Locked: Fixed(0.01, charge=False), OSError: Fixed(0)}})
    tasks = {{
        "thread": queue.task(name="thread", **rules)(body),
        "async": queue.task(name="async", **rules)(abody),
        "process": queue.task(name="process", executor="process", **rules)(pbody),
    }}
"""


@executors
def test_an_error_that_charges_no_attempt_is_on_record_and_tried_again(make_app, executor):
    app = make_app(FREE.format(url="memory://"))
    job, error = run(app, executor, 3)
    assert outcomes(job) == ["snoozed"] * 3 + ["failed"]
    said = [one.failure.message for one in attempts(job)]
    assert said == ["by the audit"] * 3 + ["disk"]
    assert job.record.attempts == 1
    assert "OSError: disk" in error


@pytest.mark.parametrize(
    "wrong",
    [{"OSError": Fixed(1)}, {OSError: "soon"}, {OSError: -1}, {int: Fixed(1)}, {OSError: Fixed}],
)
def test_a_wrong_dict_of_rules_is_refused(wrong):
    with pytest.raises(InvalidOption, match="retry_on"):
        Queue("memory://").task(retry_on=wrong)(print_nothing)


def test_a_backoff_for_every_error_charges_attempts():
    with pytest.raises(InvalidOption, match=r"say for which, as in retry_on=\{Locked"):
        Queue("memory://").task(backoff=Fixed(1, charge=False))(print_nothing)
    with pytest.raises(InvalidOption, match="charge"):
        Fixed(1, charge="no")


def print_nothing():
    pass

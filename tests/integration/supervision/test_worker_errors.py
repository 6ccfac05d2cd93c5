"""Background workers whose target raises."""

import asyncio
import functools
import time
from contextlib import suppress

import pytest

from mainspring import Restart
from mainspring.errors import (
    NotRunning,
)


@pytest.mark.parametrize("with_on_error", [False, True])
def test_a_target_that_raises_is_logged_and_counted_and_goes_on(
    make, of_kind, feed, until, caplog, with_on_error
):
    told = []

    def on_error(error, worker, why):
        told.append((error, worker, why))
        raise ValueError("on_error is broken, too")

    options = {"on_error": on_error, "on_error_kwargs": {"why": "test"}} if with_on_error else {}

    def fail(*args, **kwargs):
        raise OSError("no sensor")

    worker = make(fail, **of_kind, **options)
    worker.start()

    def failed_three_times():
        feed(worker)
        return worker.status().errors >= 3

    until(failed_three_times)
    assert worker.is_active()
    worker.stop()
    assert "Traceback" in caplog.text
    assert "no sensor" in caplog.text
    if with_on_error:
        assert len(told) == worker.status().errors
        assert isinstance(told[0][0], OSError)
        assert told[0][1:] == (worker, "test")
        assert "on_error is broken, too" in caplog.text


def test_too_many_failures_end_it_and_the_supervisor_is_told(
    make, of_kind, feed, until, supervisor
):
    told = []
    supervisor.on_worker_failed = lambda worker, error: told.append((worker, error))

    def fail(*args, **kwargs):
        raise OSError("no sensor")

    worker = make(fail, **of_kind, restart=Restart(max_failures=2, within=30))
    worker.start()

    def ended():
        if worker.is_active():
            with suppress(NotRunning):
                feed(worker)
        return told

    until(ended)
    assert not worker.is_active()
    assert worker.status().state == "failed"
    assert "no sensor" in worker.status().error
    assert told[0][0] is worker
    assert worker.start()


@pytest.mark.parametrize(
    ("on_error", "kwargs", "told"),
    [
        (lambda note: lambda: note("nothing"), {}, "nothing"),
        (lambda note: lambda error: note(error), {}, "error"),  # noqa: PLW0108  it must declare it
        (lambda note: lambda worker: note(worker), {}, "worker"),  # noqa: PLW0108  it must declare it
        (lambda note: lambda error, worker: note((error, worker)), {}, "both"),
        (lambda note: lambda **all_of_it: note(set(all_of_it)), {}, {"error", "worker"}),
        (lambda note: lambda *args: note(args), {}, ()),
        (lambda note: lambda x, error: note((x, error)), {"x": 1}, "x"),
        (lambda note: lambda error: note(error), {"error": "mine"}, "mine"),  # noqa: PLW0108  it must declare it
        (lambda note: functools.partial(lambda x, error: note((x, error)), 1), {}, "x"),
    ],
)
def test_on_error_gets_what_it_declares_once_a_failure(
    make, of_kind, feed, until, on_error, kwargs, told
):
    heard = []

    def fail(*args, **_):
        raise OSError("no sensor")

    worker = make(
        fail,
        on_error=on_error(heard.append),
        on_error_kwargs=kwargs,
        restart=Restart(max_failures=0),
        **of_kind,
    )
    worker.start()
    feed(worker)
    until(worker.is_stopped)
    [one] = heard
    error = worker._worker_run.core.counts.last_error
    known = {"error": error, "worker": worker, "both": (error, worker), "x": (1, error)}
    assert one == (known.get(told, told) if isinstance(told, str) else told)


def test_an_on_error_that_raises_is_logged_and_the_worker_goes_on(
    make, of_kind, feed, until, caplog
):
    def fail(*args, **_):
        raise OSError("no sensor")

    def on_error():
        raise ZeroDivisionError("on_error is broken")

    worker = make(fail, on_error=on_error, **of_kind)
    worker.start()
    feed(worker)
    until(lambda: worker.status().errors)
    assert worker.is_active()
    until(lambda: "on_error is broken" in caplog.text)
    assert "on_error of worker 'fail' raised" in caplog.text


def test_an_async_on_error_that_raises_is_logged(make, until, caplog):
    def fail(*args, **_):
        raise OSError("no sensor")

    async def on_error(error):
        raise ZeroDivisionError(f"on_error is broken by {error}")

    worker = make(fail, on_error=on_error, interval=60)
    worker.start()
    until(lambda: "on_error is broken by no sensor" in caplog.text)
    assert worker.is_active()


def test_an_on_error_that_exits_ends_its_worker(make, of_kind, feed, until):
    def leave():
        raise SystemExit(2)

    def fail(*args, **kwargs):
        raise OSError("no sensor")

    worker = make(fail, **of_kind, on_error=leave)
    worker.start()
    feed(worker)
    until(worker.is_stopped)
    assert worker.status().errors == 1


def test_a_worker_that_gave_up_can_be_started_again_by_who_is_told(make, until, supervisor):
    told = []

    def start_again(worker, error):
        told.append(error)
        if len(told) < 3:
            worker.start()

    def fail(**kwargs):
        raise OSError("no sensor")

    supervisor.on_worker_failed = start_again
    make(fail, interval=0.001, restart=Restart(max_failures=1)).start()
    until(lambda: len(told) == 3)


def test_a_target_that_raises_on_a_later_run_is_counted_and_goes_on(make, of_kind, feed, until):
    answers = [None, OSError("later"), None, OSError("again"), None]
    ran = []

    def work(*args, **kwargs):
        answer = answers.pop(0) if answers else None
        ran.append(answer)
        if isinstance(answer, Exception):
            raise answer

    worker = make(work, **of_kind)
    worker.start()

    def ran_on():
        feed(worker)
        return len(ran) >= 6

    until(ran_on)
    worker.stop()
    assert worker.status().errors == 2
    assert not worker.status().failing


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
def test_a_target_that_exits_ends_its_worker_and_is_no_error(make, of_kind, feed, until, error):
    def leave(*args, **kwargs):
        raise error

    other = make(lambda **k: None, interval=0.001, name="other")
    other.start()
    worker = make(leave, **of_kind)
    worker.start()
    feed(worker)
    until(worker.is_stopped)
    assert worker.status().errors == 0
    runs = other.status().runs
    until(lambda: other.status().runs > runs + 3)


def test_a_run_that_is_cancelled_from_within_is_no_error_and_it_goes_on(make, of_kind, feed, until):
    ran = []

    def cancel(*args, **kwargs):
        ran.append(1)
        raise asyncio.CancelledError

    worker = make(cancel, **of_kind)
    worker.start()

    def ran_three_times():
        feed(worker)
        return len(ran) >= 3

    until(ran_three_times)
    assert worker.is_active()
    assert worker.status().errors == 0


def test_a_continuous_worker_that_always_fails_does_not_spin(make, until):
    def fail(**kwargs):
        raise OSError("no sensor")

    worker = make(fail)
    worker.start()
    until(lambda: worker.status().errors >= 3)
    since = time.monotonic()
    until(lambda: worker.status().errors >= 5)
    # After the third failure it rests for 0.1 s at least, then twice as long.
    assert time.monotonic() - since > 0.25
    assert worker.stop(2)

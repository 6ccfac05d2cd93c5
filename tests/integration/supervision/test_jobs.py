"""The jobs of a task supervisor, and their schedulers."""

import asyncio
import time

import pytest

from mainspring.errors import DuplicateName, InvalidOption


@pytest.mark.parametrize("colour", ["sync", "async"])
def test_jobs_run_so_many_times_and_never_overlap(supervisor, until, colour):
    runs = []

    def note(word):
        runs.append(word)

    async def anote(word):
        runs.append(word)

    supervisor.create_async_job_scheduler("jobs")
    target = note if colour == "sync" else anote
    job = supervisor.create_async_job(target, args=("tick",), interval=0.001, number=3)
    until(lambda: len(runs) == 3 and not job.active)
    endless = supervisor.create_async_job(target, kwargs={"word": "tock"}, interval=0.001)
    until(lambda: runs.count("tock") > 3)
    assert supervisor.cancel_async_job(endless)
    assert not supervisor.cancel_async_job(endless)
    assert not endless.active


def test_jobs_of_a_scheduler_that_is_not_started_wait(supervisor, until):
    runs = []
    scheduler = supervisor.create_async_job_scheduler("later", start=False)
    supervisor.create_async_job(lambda: runs.append(1), interval=60, scheduler="later")
    assert runs == []
    supervisor.start_job_scheduler(scheduler)
    until(lambda: runs)
    with pytest.raises(InvalidOption, match="nowhere"):
        supervisor.create_async_job(print, scheduler="nowhere")
    with pytest.raises(InvalidOption, match="number"):
        supervisor.create_async_job(print, number=0)


def test_a_job_whose_runs_raise_ends_after_as_many(supervisor, until, colour):
    runs = []
    supervisor.create_async_job_scheduler("main")
    job = supervisor.create_async_job(coloured(failing(runs), colour), interval=0.001, number=3)
    until(lambda: not job.active)
    assert job.runs == len(runs) == 3


def test_a_job_runs_on_after_a_run_that_raised(supervisor, until, colour):
    runs = []
    supervisor.create_async_job_scheduler("main")
    job = supervisor.create_async_job(coloured(failing(runs), colour), interval=0.001)
    until(lambda: len(runs) > 3)
    assert job.active
    assert supervisor.cancel_async_job(job)
    assert not supervisor.cancel_async_job(job)


@pytest.fixture(params=["sync", "async"])
def colour(request):
    return request.param


def coloured(target, colour):
    if colour == "sync":
        return target

    async def later():
        await asyncio.sleep(0)
        target()

    return later


def failing(runs):
    def target():
        runs.append(1)
        raise ValueError("no")

    return target


def test_the_first_run_of_a_job_comes_after_its_timer_and_the_next_after_the_interval(
    supervisor, until
):
    moments = []
    supervisor.create_async_job_scheduler("main")
    since = time.monotonic()
    target = lambda *args, **kwargs: moments.append((time.monotonic(), args, kwargs))  # noqa: E731
    job = supervisor.create_async_job(target, (1,), {"two": 2}, timer=0.2, interval=0.05, number=3)
    until(lambda: not job.active)
    times = [moment for moment, *_ in moments]
    assert times[0] - since >= 0.2
    assert times[2] - since >= 0.2 + 2 * 0.05
    assert {(args, *kwargs) for _, args, kwargs in moments} == {((1,), "two")}


def test_a_scheduler_of_jobs_keeps_none_that_has_ended(supervisor, until):
    scheduler = supervisor.create_async_job_scheduler("main")
    for _ in range(50):
        supervisor.create_async_job(time.monotonic, number=1)
    until(lambda: not scheduler.jobs)


def test_a_scheduler_of_jobs_that_is_started_twice_runs_each_job_once(supervisor, until):
    runs = []
    scheduler = supervisor.create_async_job_scheduler("main")
    job = supervisor.create_async_job(lambda: runs.append(1), interval=0.05, number=3)
    supervisor.start_job_scheduler(scheduler)
    until(lambda: not job.active)
    assert len(runs) == 3


@pytest.mark.parametrize("named", [True, False])
def test_a_loop_that_is_stopped_ends_its_jobs_also_as_the_default_one(supervisor, until, named):
    runs = []

    async def note():
        runs.append(1)

    supervisor.create_aloop("io", default=True)
    scheduler = supervisor.create_async_job_scheduler("main", aloop="io" if named else None)
    job = supervisor.create_async_job(note, interval=0.01)
    until(lambda: runs)
    assert supervisor.stop_aloop("io", wait=10)
    assert not job.active
    assert not scheduler.active
    assert scheduler.jobs == []


def test_two_schedulers_of_jobs_of_one_name_are_refused(supervisor):
    supervisor.create_async_job_scheduler("main")
    with pytest.raises(DuplicateName, match="two job schedulers are named 'main'"):
        supervisor.create_async_job_scheduler("main")


@pytest.mark.parametrize("stop_schedulers", [True, False])
def test_jobs_run_again_after_their_supervisor_was_stopped_and_started(
    supervisor, until, stop_schedulers
):
    first, second, third = [], [], []
    supervisor.create_async_job_scheduler("main")
    supervisor.create_async_job(lambda: first.append(1), interval=0.001)
    until(lambda: first)
    supervisor.stop(stop_schedulers=stop_schedulers)
    supervisor.create_async_job(lambda: second.append(1), number=1)
    count = len(first)
    supervisor.start()
    supervisor.create_async_job(lambda: third.append(1), number=1)
    until(lambda: second and third)
    assert len(first) == count


def parts():
    yield


@pytest.mark.parametrize(
    "options",
    [
        {"interval": 0},
        {"interval": "1"},
        {"interval": float("inf")},
        {"number": 0},
        {"number": 1.5},
        {"timer": -1},
        {"timer": float("nan")},
        {"scheduler": "nowhere"},
        {"target": 5},
        {"target": parts},
    ],
)
def test_options_of_a_job_that_make_no_sense_are_named(supervisor, options):
    supervisor.create_async_job_scheduler("main")
    with pytest.raises(InvalidOption, match=next(iter(options))):
        supervisor.create_async_job(**{"target": time.monotonic, **options})


@pytest.mark.parametrize("option", ["target", "interval", "timer"])
def test_an_option_of_a_job_that_would_do_nothing_can_not_be_set(supervisor, option):
    supervisor.create_async_job_scheduler("jobs", start=False)
    job = supervisor.create_async_job(print, interval=3, timer=2)
    assert getattr(job, option) in (print, 3, 2)
    with pytest.raises(AttributeError):
        setattr(job, option, 1)

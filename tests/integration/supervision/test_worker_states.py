"""The states of a worker's life, and the table that says how it goes from one to the next."""

import asyncio
import itertools
import threading

import pytest

from mainspring import background_worker
from mainspring.background.workers.worker_run import TRANSITIONS, RunState


@pytest.fixture
def states(monkeypatch):
    """Note each change of state."""
    seen = []

    def note(run, name, value):
        if name == "state":
            seen.append((run, value))
        object.__setattr__(run, name, value)

    monkeypatch.setattr("mainspring.background.workers.worker_run.WorkerRun.__setattr__", note)
    return seen


def walk(states):
    """Return the states of each life, and check each step against the table."""
    lives = {}
    for run, state in states:
        lives.setdefault(run, []).append(state)
    for life in lives.values():
        assert life[0] is RunState.IDLE
        for one, other in itertools.pairwise(life):
            assert other in TRANSITIONS[one], (one, other)
    return list(lives.values())


WHOLE = [RunState.IDLE, RunState.STARTING, RunState.RUNNING, RunState.STOPPING, RunState.DONE]


def test_every_state_but_the_last_leads_on_and_none_leads_back():
    assert set(TRANSITIONS) == set(RunState)
    order = list(RunState)
    for state, others in TRANSITIONS.items():
        assert all(order.index(other) > order.index(state) for other in others)
        assert bool(others) is (state is not RunState.DONE)


def test_a_life_from_a_start_to_a_stop(make, of_kind, states, until):
    worker = make(lambda *_, **__: None, **of_kind)
    for _ in range(2):
        worker.start()
        until(lambda: worker._worker_run.state is RunState.RUNNING)
        worker.stop()
    assert walk(states) == [WHOLE, WHOLE]


def test_a_life_that_ends_by_itself(make, of_kind, feed, states, until):
    worker = make(lambda *_, **__: False, **of_kind)
    worker.start()
    feed(worker)
    until(worker.is_stopped)
    worker.stop()
    assert walk(states) == [WHOLE]


def test_a_life_whose_start_fails_goes_nowhere(supervisor, states):
    worker = background_worker(event=True, supervisor=supervisor)(print)
    supervisor.start()
    supervisor.running_pools.workers.close()
    with pytest.raises(RuntimeError):
        worker.start()
    assert not worker.is_started()
    assert walk(states) == [[RunState.IDLE, RunState.STARTING]]


def test_lives_of_many_threads_go_by_the_table(make, of_kind, states):
    worker = make(lambda *_, **__: None, **of_kind)

    def toggle():
        for _ in range(20):
            worker.start()
            worker.stop(wait=0.5)

    threads = [threading.Thread(target=toggle) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert worker.stop()
    assert all(life[-1] is RunState.DONE for life in walk(states))


@pytest.mark.parametrize("way", ["a thread", "a task", "wait_for"])
def test_what_a_target_waits_for_is_inside_of_it_and_does_not_wait_for_its_end(
    supervisor, until, way
):
    answers = []

    async def target():
        if way == "a thread":
            answers.append(await asyncio.to_thread(worker.stop))
        elif way == "a task":
            answers.append(await asyncio.create_task(worker.astop()))
        else:
            answers.append(await asyncio.wait_for(worker.astop(), 60))

    worker = background_worker(interval=60, supervisor=supervisor)(target)
    worker.start()
    until(worker.is_stopped)
    assert answers == [False]


def test_what_outlives_the_run_that_started_it_waits_for_the_end(supervisor, until):
    gate, answers = asyncio.Event(), []

    async def stop_later():
        await gate.wait()
        answers.append(await worker.astop())

    async def target():
        tasks.append(asyncio.create_task(stop_later()))

    tasks = []
    worker = background_worker(interval=60, supervisor=supervisor)(target)
    worker.start()
    until(lambda: worker.status().runs == 1)
    supervisor.get_loop().call_soon_threadsafe(gate.set)
    until(lambda: answers)
    assert answers == [True]


def test_an_async_on_error_is_outside_of_the_run_and_may_restart_its_worker(supervisor, until):
    starts = []

    async def start_again():
        await worker.astop()
        starts.append(await worker.astart())

    async def fail():
        if not starts:
            raise OSError("no sensor")

    worker = background_worker(interval=60, on_error=start_again, supervisor=supervisor)(fail)
    worker.start()
    until(lambda: starts)
    until(lambda: worker.status().runs == 1 and worker.status().errors == 0)
    assert starts == [True]

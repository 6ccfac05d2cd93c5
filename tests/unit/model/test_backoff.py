"""The wait between attempts, by each of the rules that a task may name."""

from __future__ import annotations

from datetime import timedelta

import pytest

from mainspring import Exponential, Fixed, Queue, current_job
from mainspring.errors import InvalidOption
from mainspring.model.backoff import backoff_of


def print_nothing():
    pass


RULES = [
    (Fixed(30), [30, 30, 30]),
    (Fixed(timedelta(minutes=1)), [60, 60, 60]),
    ([1, timedelta(seconds=10)], [1, 10, 10]),
    (lambda attempt: 5 * attempt, [5, 10, 15]),
    (lambda attempt: timedelta(minutes=attempt), [60, 120, 180]),
    (Exponential(base=3, jitter=False), [3, 6, 12]),
]


@pytest.mark.parametrize(("rule", "delays"), RULES)
def test_each_rule_says_its_delays(rule, delays):
    backoff = backoff_of("task", rule)
    assert [backoff.delay(attempt) for attempt in (1, 2, 3)] == delays


def test_jitter_is_on_unless_it_is_switched_off():
    delays = {Exponential(base=100).delay(1) for _ in range(10)}
    assert len(delays) > 1
    assert max(delays) <= 100


@pytest.mark.parametrize("rule", [[], "5", 5, [-1], ["x"], dict, [None]])
def test_what_makes_no_sense_is_refused_when_the_task_is_defined(rule):
    queue = Queue("memory://")
    with pytest.raises(InvalidOption, match="backoff"):
        queue.task(backoff=rule)(print_nothing)
    with pytest.raises(InvalidOption):
        Fixed(-1)
    with pytest.raises(InvalidOption, match="jitter"):
        Exponential(jitter=1)


@pytest.mark.parametrize(("rule", "delays"), RULES)
def test_the_engine_waits_so_long(rule, delays):
    queue = Queue("memory://")

    @queue.task(backoff=rule)
    def fail():
        raise OSError

    with queue.testing(suppress=OSError) as t:
        fail.delay()
        for delay in delays:
            before = t.now
            t.run()
            assert (t.jobs()[0].run_at - before).total_seconds() == delay
            t.advance(delay)


@pytest.mark.parametrize("broken", [lambda attempt: 1 / 0, lambda attempt: -1, lambda: 1])
def test_a_rule_that_goes_wrong_costs_no_attempt(broken, caplog):
    queue = Queue("memory://")

    @queue.task(backoff=broken)
    def fail():
        if current_job.attempt == 1:
            raise OSError
        return "done"

    with queue.testing() as t:
        fail.delay()
        t.run(seconds=1)
        assert t.last.result == "done"
    assert "the backoff of task" in caplog.text

"""Statistics of a real worker, as a user reads them."""

from datetime import timedelta

import pytest

from mainspring import Queue
from mainspring.errors import InvalidOption


@pytest.fixture
def queue(monkeypatch):
    monkeypatch.setattr("mainspring.engine.consumer.STATISTICS_SECONDS", 0.05)
    queue = Queue("memory://", workers=2)
    yield queue
    queue.close()


def test_a_worker_keeps_statistics_that_outlive_it(queue):
    done = queue.task(name="done", queue="fast")(lambda: None)

    @queue.task(name="broken", retries=1, backoff=[0.01])
    def broken():
        raise ValueError

    with queue.worker():
        jobs = [done.delay() for _ in range(20)]
        failing = broken.delay()
        queue.gather([*jobs, failing], timeout=20, return_exceptions=True)
    stats = queue.stats()
    assert (stats["recent"]["completed"], stats["recent"]["failed"]) == (20, 1)
    assert stats["recent"]["retried"] == 1
    fast = stats["queues"]["fast"]["recent"]
    assert (fast["completed"], fast["failed"]) == (20, 0)
    assert 0 < fast["run"]["p50"] <= fast["run"]["p95"] <= fast["run"]["p99"] < 10
    assert fast["wait"]["p99"] < 20
    assert fast["out"] > 0
    assert [one["task"] for one in stats["tasks"]] == ["broken", "done"]
    assert sum(point.completed for point in queue.stats_history(queue="fast")) == 20
    assert sum(point.failed for point in queue.stats_history(timedelta(days=30))) == 1
    assert queue.stats_history(task="unknown")[0].completed == 0


def test_statistics_are_written_while_the_worker_runs(queue, eventually):
    done = queue.task(name="done")(lambda: None)
    with queue.worker():
        done.delay().result(timeout=10)
        eventually(lambda: queue.stats()["recent"]["completed"] == 1)
        eventually(lambda: queue.stats_history()[-1].ready is not None)


@pytest.mark.parametrize("window", [0, -1, float("nan"), 32 * 86_400, "hour"])
def test_a_window_that_is_none_is_refused(queue, window):
    with pytest.raises(InvalidOption, match="window"):
        queue.stats(window=window)
    with pytest.raises(InvalidOption, match="a day at most"):
        queue.stats(window=timedelta(days=2))
    with pytest.raises(InvalidOption, match="last"):
        queue.stats_history(window)

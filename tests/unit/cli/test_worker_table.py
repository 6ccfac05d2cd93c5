from datetime import UTC, datetime, timedelta

import pytest

from mainspring.cli.daemon.table import table_of

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


def worker(**values):
    plain = {
        "name": "tick",
        "kind": "interval",
        "state": "idle",
        "runs": 0,
        "errors": 0,
        "error": None,
        "last_run": None,
        "next_run": None,
        "queued": None,
        "restarts": 0,
        "failing": False,
    }
    return {**plain, **values}


def test_the_columns_stand_below_their_heads():
    lines = table_of([worker(runs=7), worker(name="a longer name", kind="queue", queued=12)], NOW)
    head = lines[0]
    assert lines[1].startswith("tick          ")
    assert lines[1][head.index("RUNS") : head.index("RUNS") + 4] == "   7"
    assert lines[2][head.index("QUEUED") : head.index("QUEUED") + 6] == "    12"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-3, "now"),
        (0.5, "in 0.5 s"),
        (-120, "now"),
        (7200, "in 2 h"),
        (864_000, "in 10 days"),
    ],
)
def test_moments_are_told_by_their_distance(seconds, text):
    moment = (NOW + timedelta(seconds=seconds)).isoformat()
    assert table_of([worker(next_run=moment)], NOW)[1].endswith(text)


def test_a_failing_worker_says_so_and_why():
    line = table_of([worker(state="running", failing=True, error="OSError('no sensor')")], NOW)[1]
    assert "running, failing" in line
    assert line.endswith("OSError('no sensor')")


def test_a_worker_that_gave_up_is_failed_and_no_more():
    assert "failing" not in table_of([worker(state="failed", failing=True)], NOW)[1]


def test_no_text_of_a_worker_moves_the_cursor():
    line = table_of([worker(name="\x1b[2Jevil\n", error="a\rb")], NOW)[1]
    assert line.isprintable()

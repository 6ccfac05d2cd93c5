"""Pages of `mainspring top`, and what its keys do; the command itself runs under a terminal."""

from __future__ import annotations

import json
import sqlite3
import threading
from dataclasses import replace as with_fields
from datetime import timedelta

import pytest
from msgspec.structs import replace

from mainspring import Queue
from mainspring.cli.top import reader
from mainspring.cli.top.navigator import LOOK, QUIT, Navigator
from mainspring.cli.top.reader import StoreReader
from mainspring.cli.top.screen import screen
from mainspring.cli.top.snapshot import read_snapshot
from mainspring.model.job import Rescued, Want
from mainspring.model.lost_node import LOST, loss_text
from mainspring.model.view import NodeRecord

WIDTH, HEIGHT = 80, 24
REPORT = {
    "slots": {"thread": {"size": 4, "running": 1, "waiting": 0, "abandoned": 0}},
    "loop_lag": 0.012,
    "draining": False,
    "at": "2026-01-01T00:00:00+00:00",
}


def charge(amount, card="visa"):
    if amount < 0:
        raise ValueError(f"no \x1b[2J negative amount [bold]{amount}[/bold]")


@pytest.fixture
def queue():
    made = Queue("memory://", workers=1)
    task = made.task(name="shop.charge", retries=0)(charge)
    with made.worker():
        jobs = task.map([(-1,), (-1,), (1,)])
        # The first worker of a process imports the engine: ten seconds, on a machine with no time.
        made.gather(jobs, timeout=60, return_exceptions=True)
    yield made
    made.close()


@pytest.fixture
def now(queue):
    """A queue in which two jobs have failed, one runs, one waits, and one queue is paused."""
    store = queue._store
    task = queue.get_task("shop.charge")
    node = store.join("web-1", host="web", pid=77, lease=60, serves=b'{"tasks": null}')
    store.renew(node, lease=60, report=json.dumps(REPORT).encode())
    running = task.delay(5)
    (claim,) = store.claim(node, [Want(("shop.charge",), None, 1)])
    assert claim.id == running.id
    task.using(queue="mail").delay(6)
    queue.pause("mail")
    return read_snapshot(queue, None, None)


def text(now, at, *, width=WIDTH, height=HEIGHT, trouble=""):
    return screen(now, at, width, height, trouble).plain


def press(at, now, *keys):
    return [at.press(key, now) for key in keys][-1]


def test_the_overview_says_what_there_is(now):
    shown = text(now, Navigator())
    assert "1 ready, 0 scheduled, 1 running, 2 failed, 1 completed" in shown
    assert "1 worker; busy slots: thread 1/4" in shown
    assert "mail" in shown
    assert "paused" in shown
    assert "shop.charge" in shown
    assert "ValueError: no" in shown


@pytest.mark.parametrize("page", "12345")
@pytest.mark.parametrize(("width", "height"), [(80, 24), (40, 10), (200, 60), (10, 3)])
def test_every_page_fits_its_terminal(now, page, width, height):
    at = Navigator()
    at.press(page, now)
    lines = text(now, at, width=width, height=height).split("\n")
    assert len(lines) == height
    assert all(len(line) <= width for line in lines)


def test_no_text_of_a_job_reaches_the_terminal_as_anything_but_text(now):
    at = Navigator()
    at.press("4", now)
    drawn = screen(now, at, 200, HEIGHT, "")
    assert "\x1b" not in drawn.plain
    assert "\\x1b[2J" in drawn.plain
    assert "[bold]" in drawn.plain  # as it stands: it is no markup


def test_nodes_show_slots_and_lag(now):
    at = Navigator()
    at.press("3", now)
    shown = text(now, at, width=120)
    assert all(word in shown for word in ("web-1", "77", "thread 1/4", "12 ms", "live"))


def test_a_node_that_was_lost_is_told_of(queue, now):
    record = NodeRecord(1, "web-2", "web", 78, 0.0, 2)
    queue.store.add_entry(LOST, loss_text(record, Rescued([1, 2], [])), ago=1000)
    at, then = Navigator(), read_snapshot(queue, None, None)
    assert "1 worker; busy" in text(then, at)
    at.press("3", then)
    shown = text(then, at, width=120)
    assert "lost 17 min ago: 2 jobs rescued" in shown
    queue.store.add_entry(LOST, loss_text(record, Rescued([1], [2])), ago=60)
    shown = text(read_snapshot(queue, None, None), Navigator(), width=120)
    assert "1 worker lost 1 min ago" in shown


def test_a_chosen_queue_is_paused_and_goes_on(now):
    at = Navigator()
    press(at, now, "2")
    order = press(at, now, "p")
    assert (order.verb, order.names) == ("pause", ("default",))
    order = press(at, now, "down", "p")
    assert (order.verb, order.names) == ("resume", ("mail",))
    press(at, now, "down", "j", "down")
    assert at.chosen(now) == 1
    press(at, now, "up", "k", "k")
    assert at.chosen(now) == 0


def test_a_group_of_failed_jobs_is_retried_after_a_count_and_a_yes(now):
    at = Navigator()
    assert press(at, now, "4", "r") is None
    assert "y: run 2 failed jobs of shop.charge again" in at.message
    assert press(at, now, "n") is None
    order = press(at, now, "r", "y")
    assert (order.verb, len(order.names)) == ("retry", 2)


def test_errors_that_differ_in_a_number_are_of_one_group(queue):
    queue.task(name="order", retries=0)(lambda number: 1 / 0 if number == 3 else {}[number])
    with queue.worker():
        jobs = [queue.get_task("order").delay(number) for number in (7_001, 3, 7_002)]
        queue.gather(jobs, timeout=10, return_exceptions=True)
    found = {
        (one.task, one.error): len(one.job_ids) for one in read_snapshot(queue, None, None).failing
    }
    assert found["order", "KeyError: 7002"] == 2
    assert found["order", "ZeroDivisionError: division by zero"] == 1


def test_a_job_is_looked_into_and_left(queue, now):
    at = Navigator()
    assert press(at, now, "5", "enter") is LOOK
    seen = read_snapshot(queue, at.job_id, now)
    shown = text(seen, at, width=120, height=40)
    assert f"id          {at.job_id}" in shown
    assert "status      running" in shown
    assert "why         " in shown
    assert press(at, seen, "r") is None
    assert "only a job that has failed" in at.message
    assert press(at, seen, "escape") is LOOK
    assert at.job_id is None
    press(at, now, "4", "enter")
    failed = read_snapshot(queue, at.job_id, now)
    assert press(at, failed, "c") is None
    assert "only a job that waits or runs" in at.message
    assert press(at, failed, "r") is None
    assert f"y: run job {at.job_id} again" in at.message
    assert press(at, failed, "y").names == (at.job_id,)
    assert "raise ValueError" in text(failed, at, height=60)
    press(at, failed, *["down"] * 3, "up")
    assert text(failed, at).split("\n")[3].startswith("queue  ")
    press(at, failed, *["down"] * 500)
    assert "ValueError: no" in text(failed, at)  # the last line stays
    gone = replace(failed, job=None)
    assert "not there any more" in text(gone, at)


def test_a_job_that_runs_is_cancelled_after_a_yes_from_its_row_or_its_page(queue, now):
    at = Navigator()
    assert press(at, now, "c") is None
    assert "page 5" in at.message
    assert press(at, now, "5", "c", "n") is None
    order = press(at, now, "c", "y")
    assert (order.verb, order.names) == ("cancel", (now.running[0].id,))
    press(at, now, "enter")
    assert press(at, read_snapshot(queue, at.job_id, now), "c", "y") == order


def test_a_long_field_of_a_job_is_wrapped_so_that_its_end_is_seen(queue, now):
    at = Navigator()
    press(at, now, "5", "enter")
    seen = read_snapshot(queue, at.job_id, now)
    why = "all slots are busy: " + "w" * 60 + "; 3 jobs wait in queue default"
    seen = replace(seen, job=replace(seen.job, reasons=(why,)))
    shown = text(seen, at)
    assert "3 jobs wait in queue default" in " ".join(shown.split())
    assert all(len(line) <= WIDTH for line in shown.split("\n"))


def test_the_overview_gives_the_queues_what_room_the_others_leave(queue, now):
    for name in "abcd":
        queue.get_task("shop.charge").using(queue=name).delay(1)
    shown = text(read_snapshot(queue, None, None), Navigator())
    assert "Queues (6)" not in shown
    assert all(f"\n{name}  " in shown for name in ("a", "b", "c", "d", "mail"))


def test_a_key_that_means_nothing_here_says_what_would(now):
    at = Navigator()
    press(at, now, "3", "p")
    assert "page 2" in text(now, at)
    press(at, now, "r")
    assert "page 4" in text(now, at)
    press(at, now, "x")
    assert "q quit" in text(now, at)


def test_before_the_first_reading_it_says_so_and_can_be_left():
    at = Navigator()
    assert "reading..." in text(None, at)
    assert press(at, None, "down", "enter", "p") is None
    assert press(at, None, "tab", "q") is QUIT
    assert at.page == "2"


def test_trouble_with_the_store_stands_above_what_was_read_last(now):
    shown = text(now, Navigator(), trouble="postgres can't be used")
    assert "postgres can't be used" in shown
    assert "shop.charge" in shown


def test_whatever_the_store_raises_is_trouble_and_the_next_look_goes_on(
    queue, monkeypatch, eventually
):
    def fail(**_options):
        raise sqlite3.DatabaseError("file is not a database")

    asking = StoreReader(queue, 0.05)
    with monkeypatch.context() as patched:
        patched.setattr(queue, "stats", fail)
        asking.start()
        eventually(lambda: "file is not a database" in asking.trouble)
    eventually(lambda: asking.now is not None and not asking.trouble)
    asking.close()


def test_a_store_that_does_not_answer_is_trouble(queue, monkeypatch, eventually):
    answer, stats = threading.Event(), queue.stats

    def hang(**options):
        answer.wait(30)
        return stats(**options)

    monkeypatch.setattr(reader, "SILENT_SECONDS", 0.05)
    monkeypatch.setattr(queue, "stats", hang)
    asking = StoreReader(queue, 0.05)
    asking.start()
    eventually(lambda: "has not answered" in asking.trouble)
    answer.set()
    eventually(lambda: asking.now is not None and not asking.trouble)
    asking.close()


def test_the_rate_is_of_what_was_completed_and_never_negative(queue, now):
    later = replace(now, at=now.at - timedelta(seconds=10), stats={**now.stats, "completed": 0})
    assert 0.05 < read_snapshot(queue, None, later).rate <= 0.1
    purged = replace(now, stats={**now.stats, "completed": 10})
    assert read_snapshot(queue, None, purged).rate == 0


def test_a_list_longer_than_the_screen_shows_the_rows_around_the_chosen_one(now):
    (group,) = now.failing
    many = replace(
        now, failing=tuple(replace(group, task=f"task{number:03}") for number in range(100))
    )
    at = Navigator()
    press(at, many, "4", *["down"] * 60)
    shown = text(many, at)
    assert "task060" in shown
    assert "task000" not in shown
    assert "Failing tasks (100)" in shown


def test_a_node_without_a_readable_report_is_shown_all_the_same(now):
    odd = with_fields(now.nodes[0], report={"slots": 3, "loop_lag": "x"}, unreadable=("report",))
    at = Navigator()
    press(at, now, "3")
    assert "web-1" in text(replace(now, nodes=(odd,)), at)

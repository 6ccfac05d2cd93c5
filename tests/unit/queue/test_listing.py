"""Pages of jobs, and what is done to many at once."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from mainspring import JobHandle, JobState
from mainspring.engine.upkeep.batches import FIRST, MOST
from mainspring.errors import InvalidOption
from mainspring.model.duration import seconds_of
from mainspring.model.job import Failure, Outcome, OutcomeKind, Want
from mainspring.queue import listing


@pytest.fixture
def mail(queue):
    return queue.task(name="mail", queue="mail")(lambda to="you": to)


def sizes_of(store, name, monkeypatch):
    """Return a list that gets the length of each batch."""
    sizes = []
    act = getattr(store, name)

    def counted(ids, **options):
        sizes.append(len(ids))
        return act(ids, **options)

    monkeypatch.setattr(store, name, counted)
    return sizes


class TestPages:
    def test_cursors_lead_from_the_newest_to_the_oldest_and_end(self, queue, add):
        jobs = add.map([(n,) for n in range(10)])
        seen, cursor, sizes = [], None, []
        while True:
            page = queue.jobs(cursor=cursor, limit=4)
            seen += page
            sizes.append(len(page))
            cursor = page.cursor
            if cursor is None:
                break
        assert seen == jobs[::-1]
        assert sizes == [4, 4, 2]

    def test_pages_by_number_are_those_by_cursor_in_either_order(self, queue, add):
        jobs = add.map([(n,) for n in range(10)])
        for order, expected in (("newest", jobs[::-1]), ("oldest", jobs)):
            pages = [list(queue.jobs(order=order, page=number, limit=4)) for number in (1, 2, 3, 4)]
            assert pages == [expected[:4], expected[4:8], expected[8:], []]
            first = queue.jobs(order=order, limit=4)
            assert list(queue.jobs(order=order, limit=4, cursor=first.cursor)) == pages[1]
            assert queue.jobs(order=order, page=3, limit=4).cursor is None
            second = queue.jobs(order=order, page=2, limit=4)
            assert list(queue.jobs(order=order, limit=4, cursor=second.cursor)) == pages[2]

    def test_dead_letters_have_pages_by_number_too(self, queue, add):
        assert list(queue.dead_letters(page=2, order="oldest")) == []

    def test_all_fields_of_a_page_cost_one_read(self, queue, monkeypatch):
        @queue.task(name="add")
        def add(a, b=0):
            return a + b

        jobs = add.map([(n,) for n in range(100)])
        with queue.worker():
            queue.gather(jobs, timeout=20)
        page = queue.jobs(order="oldest")
        monkeypatch.setattr(queue._client, "store", None)  # whoever asks it now fails
        assert [job.args for job in page] == [(n,) for n in range(100)]
        assert [job.kwargs for job in page] == [{}] * 100
        assert [job.result() for job in page] == list(range(100))
        first = page[0]
        assert (first.status, first.queue, first.priority, first.attempt) == (
            *("completed", "default", 0, 1),
        )
        assert (first.progress, first.message, first.error) == (1.0, "", None)
        assert first.created_at <= first.started_at <= first.completed_at
        assert first.record is page.records[0]

    def test_a_job_of_a_page_is_read_anew_after_an_action_or_when_asked(self, queue, add):
        one, other = add.map([(1,), (2,)])
        page = queue.jobs(order="oldest")
        queue.cancel([other])
        assert [job.status for job in page] == ["pending", "pending"]
        assert page[0].cancel()
        assert [job.status for job in page] == ["cancelled", "pending"]
        assert page[1].refresh() is page[1]
        assert page[1].status == "cancelled"
        assert (one.attempt, other.attempt) == (0, 0)

    def test_a_live_job_of_a_page_is_waited_for(self, queue, add):
        job = add.delay(1)
        (same,) = queue.jobs()
        with queue.worker():
            assert same.result(timeout=20) == job.result(timeout=20)
        assert same.status == "completed"

    @pytest.mark.parametrize(
        ("wrong", "said"),
        [
            ({"page": 0}, "page=0"),
            ({"page": True}, "page=True"),
            ({"page": "2"}, "page='2'"),
            ({"order": "up"}, 'expected "newest" or "oldest"'),
            ({"page": 2, "cursor": "before-3"}, "both say where the page begins"),
            ({"order": "oldest", "cursor": "before-3"}, "a page in the same order"),
            ({"order": "oldest", "search": "x"}, "order='oldest' is not possible with search="),
            ({"page": 2, "search": "x"}, "page=2 is not possible with search="),
        ],
    )
    def test_a_page_that_makes_no_sense_is_refused(self, queue, wrong, said):
        with pytest.raises(InvalidOption, match=said):
            queue.jobs(**wrong)

    def test_a_search_says_how_far_it_looked_and_goes_on(self, queue, add, monkeypatch):
        monkeypatch.setattr(listing, "LOOKED_AT", 4)
        jobs = add.map([(n,) for n in range(10)])
        first = queue.jobs(search=jobs[3].id)
        assert (list(first), first.looked) == ([], 4)
        second = queue.jobs(search=jobs[3].id, cursor=first.cursor)
        assert (list(second), second.looked) == ([jobs[3]], 4)
        last = queue.jobs(search=jobs[3].id, cursor=second.cursor)
        assert (list(last), last.looked, last.cursor) == ([], 2, None)
        assert queue.jobs().looked is None

    def test_a_full_last_page_has_no_cursor(self, queue, add):
        add.map([(n,) for n in range(4)])
        assert queue.jobs(limit=4).cursor is None
        assert queue.jobs(limit=3).cursor is not None

    def test_jobs_that_come_meanwhile_do_not_shift_the_pages(self, queue, add):
        jobs = add.map([(n,) for n in range(4)])
        page = queue.jobs(limit=2)
        add.map([(n,) for n in range(5)])
        assert list(queue.jobs(limit=2, cursor=page.cursor)) == [jobs[1], jobs[0]]

    def test_a_page_is_a_sequence_of_handles_with_their_records(self, queue, add):
        jobs = add.map([(1,), (2,), (3,)])
        page = queue.jobs()
        assert (len(page), page[0], page[-1], page[1:]) == (3, jobs[2], jobs[0], jobs[1::-1])
        assert jobs[1] in page
        assert [record.id for record in page.records] == [job.id for job in page]
        assert [record.state for record in page.records] == [JobState.PENDING] * 3
        assert (len(queue.jobs(task="none")), queue.jobs(task="none").cursor) == (0, None)

    def test_each_field_of_the_filter_narrows(self, queue, add, mail):
        one, two = add.delay(1), mail.delay("Somebody")
        far = mail.using(queue="far").delay("else")
        one.cancel()
        assert list(queue.jobs(status="cancelled")) == [one]
        assert list(queue.jobs(status=JobState.PENDING, task="mail")) == [far, two]
        assert list(queue.jobs(queue="mail")) == [two]
        assert list(queue.jobs(search="somebody")) == [two]
        assert list(queue.jobs(search="")) == [far, two, one]
        assert list(queue.jobs(search=one.id)) == [one]

    def test_dead_letters_are_the_failed_jobs(self, queue, add, failed):
        job = failed()
        add.delay(1).cancel()
        assert list(queue.dead_letters()) == [job]
        assert list(queue.dead_letters(task="add")) == []
        assert list(queue.dead_letters(queue="default", task="fail", limit=1)) == [job]

    @pytest.mark.parametrize(
        ("option", "value"),
        [
            ("cursor", "nonsense"),
            ("cursor", ""),
            ("cursor", "before-"),
            ("cursor", "before-x; DROP TABLE jobs"),
            ("cursor", "before-" + "f" * 16),
            ("cursor", "before-٣"),
            ("cursor", 3),
            ("limit", 0),
            ("limit", 1001),
            ("limit", True),
            ("limit", "5"),
            ("status", "done"),
            ("status", 3),
            ("queue", 3),
            ("task", b"add"),
            ("search", 3),
        ],
    )
    def test_what_makes_no_sense_is_named(self, queue, option, value):
        with pytest.raises(InvalidOption, match=rf"jobs\(\): {option}="):
            queue.jobs(**{option: value})


class TestBulk:
    def test_one_or_many_are_given_by_id_or_handle(self, queue, add):
        one, two, three, four = add.map([(n,) for n in range(4)])
        assert queue.cancel(one) is True
        assert queue.cancel(two.id) is True
        assert queue.cancel([one, three.id, "7-unknown"]) == [False, True, False]
        assert queue.cancel(job for job in (four,)) == [True]
        assert queue.cancel([]) == []
        again = queue.retry(one)
        assert (type(again), again, again.task) == (JobHandle, one, "add")
        assert queue.retry(two.id) == two
        assert queue.retry([one, three, "7-unknown"]) == [None, three, None]
        assert queue.retry("nonsense") is None
        assert queue.drop([one, four.id, "nonsense"]) == 1
        assert queue.get_job(four.id) is None

    def test_a_dead_letter_page_can_be_retried(self, queue, failed):
        job = failed()
        assert queue.retry(queue.dead_letters()) == [job]
        assert job.status == "pending"

    def test_many_are_done_in_batches(self, queue, add, monkeypatch):
        jobs = add.map([(1,)] * (2 * MOST))
        for name in ("cancel", "retry", "drop"):
            sizes = sizes_of(queue._store, name, monkeypatch)
            if name == "drop":
                queue.cancel(jobs)
            done = getattr(queue, name)(jobs)
            assert done == len(jobs) if name == "drop" else all(done)
            assert sum(sizes) == len(jobs)
            assert 0 < max(sizes) <= MOST
            assert sizes[0] == FIRST

    def test_a_purge_takes_small_batches_and_looks_at_no_job_that_stays(
        self, queue, add, monkeypatch
    ):
        queue.cancel(add.map([(1,)] * MOST))
        add.map([(1,)] * MOST)
        limits = []
        drop_ended = queue._store.drop_ended
        monkeypatch.setattr(queue._store, "jobs", None)
        monkeypatch.setattr(
            queue._store,
            "drop_ended",
            lambda wanted, *, older_than, limit: (
                limits.append(limit) or drop_ended(wanted, older_than=older_than, limit=limit)
            ),
        )
        assert queue.purge() == MOST
        assert limits[0] == FIRST
        assert max(limits) <= MOST

    @pytest.mark.parametrize("jobs", [None, 3, [None], [3], {"a": 1}.values()])
    def test_what_is_neither_id_nor_handle_is_refused(self, queue, jobs):
        for act in (queue.cancel, queue.retry, queue.drop):
            with pytest.raises((InvalidOption, TypeError)):
                act(jobs)


class TestPurge:
    @pytest.fixture
    def ended(self, queue, add, mail, failed):
        """One job of each final state, a completed one of another queue, and a live one."""
        done, sent = add.delay(1), mail.delay()
        job = failed()
        with queue.worker():
            done.result(timeout=10)
            sent.result(timeout=10)
        gone, live = add.using(delay=90).map([(3,), (4,)])
        gone.cancel()
        return {"completed": done, "failed": job, "cancelled": gone, "sent": sent, "live": live}

    @pytest.mark.parametrize(
        ("options", "dropped"),
        [
            ({}, {"completed", "failed", "cancelled", "sent"}),
            ({"status": "completed"}, {"completed", "sent"}),
            ({"status": "failed"}, {"failed"}),
            ({"queue": "mail"}, {"sent"}),
            ({"task": "add"}, {"completed", "cancelled"}),
            ({"task": "add", "status": "cancelled"}, {"cancelled"}),
            ({"older_than": 60}, set()),
            ({"older_than": timedelta(days=1), "task": "add"}, set()),
        ],
    )
    def test_it_drops_what_fits_and_has_ended(self, queue, ended, options, dropped):
        assert queue.purge(**options) == len(dropped)
        gone = {name for name, job in ended.items() if queue.get_job(job.id) is None}
        assert gone == dropped

    def test_what_ended_since_then_stays(self, queue, add, eventually):
        old = add.delay(1)
        old.cancel()
        eventually(lambda: queue._store.schedules().now - old.completed_at > timedelta(seconds=0.3))
        young = add.delay(1)
        young.cancel()
        assert queue.purge(older_than=0.3) == 1
        assert queue.get_job(old.id) is None
        assert young.status == "cancelled"

    @pytest.mark.parametrize(
        ("option", "value"),
        [("status", "pending"), ("status", "running"), ("status", "x"), ("older_than", -1)],
    )
    def test_what_makes_no_sense_is_named(self, queue, option, value):
        with pytest.raises(InvalidOption, match=option):
            queue.purge(**{option: value})


class TestPauses:
    def test_a_paused_queue_starts_nothing_until_it_is_resumed(self, queue, add, mail):
        assert (queue.pause("mail"), queue.pause("mail")) == (True, False)
        assert queue.paused() == ["mail"]
        job = mail.delay()
        with queue.worker():
            assert add.delay(1).result(timeout=10) == 3
            assert job.status == "pending"
            assert (queue.resume("mail"), queue.resume("mail")) == (True, False)
            assert job.result(timeout=10) == "you"
        assert queue.paused() == []

    @pytest.mark.parametrize("name", ["", None, 3])
    def test_a_name_that_is_none_is_refused(self, queue, name):
        for act in (queue.pause, queue.resume):
            with pytest.raises(InvalidOption, match="queue="):
                act(name)


class TestStatsAndNodes:
    def test_each_state_is_counted(self, queue, add, failed):
        failed()
        add.delay(1).cancel()
        add.delay(1)
        add.using(queue="far").delay(1)
        told = queue.stats()
        assert {state: told[state] for state in JobState} == {
            "pending": 2,
            "running": 0,
            "completed": 0,
            "failed": 1,
            "cancelled": 1,
        }
        assert told["queues"]["far"]["pending"] == 1

    @pytest.mark.parametrize(
        ("serves", "unclaimable"),
        [
            (b'{"tasks": ["add", "mail"], "queues": null}', 0),
            (b'{"tasks": ["add", "mail"]}', 0),
            (b'{"tasks": ["add"], "queues": null}', 1),
            (b'{"tasks": ["add", "mail"], "queues": ["default"]}', 1),
            (b'{"tasks": [], "queues": null}', 3),
            # It may take them: that nobody does would be a false alarm.
            (b"{}", 0),
            (b'"nonsense"', 0),
        ],
    )
    def test_jobs_that_no_node_takes_are_unclaimable(self, queue, add, mail, serves, unclaimable):
        add.map([(1,), (2,)])
        mail.delay()
        assert queue.stats()["unclaimable"] == 3
        node = queue._store.join("n", host="h", pid=1, lease=60, serves=serves)
        assert queue.stats()["unclaimable"] == unclaimable
        queue._store.leave(node)
        assert queue.stats()["unclaimable"] == 3

    def test_a_node_whose_lease_has_run_out_takes_nothing(self, queue, add, eventually):
        serves = b'{"tasks": ["add"]}'
        queue._store.join("n", host="h", pid=1, lease=0.2, serves=serves)
        add.delay(1)
        eventually(lambda: queue.stats()["unclaimable"] == 1)
        (node,) = queue.nodes()
        assert not node.live

    def test_nodes_tell_what_they_serve_and_how_they_are(self, queue, add):
        serves = b'{"tasks": ["add"], "queues": ["q"], "more": 1}'
        key = queue._store.join("n", host="h", pid=7, lease=60, serves=serves)
        queue._store.renew(key, lease=60, report=b'{"slots": 4}')
        add.using(queue="q").delay(1)
        queue._store.claim(key, [Want(("add",), None, 1)])
        (node,) = queue.nodes()
        assert (node.name, node.host, node.pid, node.live, node.running) == ("n", "h", 7, True, 1)
        assert (node.serves.tasks, node.serves.queues) == ({"add"}, {"q"})
        assert node.report == {"slots": 4}
        with pytest.raises(AttributeError):
            node.pid = 8

    def test_a_worker_is_a_node_while_it_runs(self, queue, add):
        with queue.worker():
            assert [node.live for node in queue.nodes()] == [True]
        assert queue.nodes() == []


def test_a_report_that_cannot_be_read_is_empty(queue):
    key = queue._store.join("n", host="h", pid=7, lease=60)
    queue._store.renew(key, lease=60, report=b"[1]")
    assert queue.nodes()[0].report == {}


class TestOptionsOfTheQueue:
    @pytest.mark.parametrize("option", ["keep_completed", "keep_failed"])
    def test_how_long_final_jobs_are_kept_is_passed_on(self, make_queue, option):
        queue = make_queue(**{option: timedelta(hours=1)})
        assert seconds_of("Queue", option, getattr(queue.settings, option)) == 3600
        for value in (-1, "1", float("nan"), True):
            with pytest.raises(InvalidOption, match=f"Queue: {option}="):
                make_queue(**{option: value})

    @pytest.mark.parametrize(
        ("option", "value"),
        [("limit_bytes", 0), ("limit_bytes", "1"), ("codec", "pickle"), ("codec", object())],
    )
    def test_what_makes_no_sense_is_named(self, make_queue, option, value):
        with pytest.raises(InvalidOption, match=f"Queue: {option}="):
            make_queue(**{option: value})


def test_a_shutdown_reaches_all_workers_of_the_queue(queue):
    with queue._consumers.consumer(None) as one, queue._consumers.consumer(["mail"]) as other:
        assert (one._asked, other._asked) == (0, 0)
        queue.shutdown()
        assert (one._asked, other._asked) == (1, 1)
    queue.shutdown()
    assert (one._asked, other._asked) == (1, 1)


class TestNarrowing:
    def fail(self, queue, ended_by):
        """End the jobs that wait in that error, without a worker."""
        store = queue.store
        node = store.join("other", host="host", pid=1, lease=15)
        tasks = tuple({lane.task for lane in store.lanes()})
        claims = store.claim(node, [Want(tasks=tasks, queues=None, limit=1_000)])
        failed = OutcomeKind.FAILED
        store.finish_many(
            node,
            [Outcome(key=c.key, fence=c.fence, kind=failed, failure=ended_by) for c in claims],
        )
        store.leave(node)

    def test_a_text_of_the_last_error_and_no_other_text_is_looked_for(self, queue, mail):
        first = mail.delay("declined")
        self.fail(queue, Failure("builtins.OSError", "no route"))
        second = mail.delay("to you")
        self.fail(queue, Failure("app.Declined", "by the bank"))
        assert list(queue.jobs(error="DECLINED")) == [second]
        assert list(queue.dead_letters(error="route")) == [first]
        assert list(queue.jobs(search="declined")) == [second, first]
        assert list(queue.jobs(search="declined", error="oserror")) == [first]

    def test_times_are_those_of_the_end_or_of_the_making(self, queue, mail):
        job = mail.delay()
        hour = timedelta(hours=1)
        now = job.record.created_at
        assert list(queue.jobs(since=hour)) == [job]
        assert list(queue.jobs(until=hour)) == []
        assert list(queue.jobs(since=now, until=now + hour)) == [job]
        assert list(queue.jobs(until=now)) == []

    @pytest.mark.parametrize(
        "wrong",
        [
            {"error": 1},
            {"error": "\ud800"},
            {"since": datetime(2020, 1, 1)},  # noqa: DTZ001  # the case
            {"until": "today"},
            {"since": timedelta.max},
            {"since": timedelta(1), "order": "oldest"},
            {"error": "x", "page": 2},
        ],
    )
    def test_what_can_not_be_looked_for_is_an_error_that_names_it(self, queue, wrong):
        with pytest.raises(InvalidOption):
            queue.jobs(**wrong)

    def test_pages_lead_on_to_the_end_and_none_is_left_out(self, queue, add, monkeypatch):
        monkeypatch.setattr(listing, "STEP", 3)
        monkeypatch.setattr(listing, "LOOKED_AT", 6)
        jobs = add.map([(n,) for n in range(20)])
        for limit in (1, 2, 3, 7, 20):
            seen, cursor = [], None
            while True:
                page = queue.jobs(since=timedelta(hours=1), cursor=cursor, limit=limit)
                seen += page
                assert page.looked <= 6
                cursor = page.cursor
                if cursor is None:
                    break
            assert seen == jobs[::-1]
        assert queue.find_jobs() == jobs[::-1]
        assert queue.find_jobs(until=timedelta(hours=1)) == []

    def test_all_that_fit_are_moved_at_once(self, queue, mail, add):
        jobs = mail.using(delay=900).map([("a",), ("b",)])
        add.delay(1)
        found = queue.find_jobs(queue="mail", status="pending")
        assert len(found) == 2
        assert queue.reprioritize(found, -7) == [True, True]
        assert queue.reschedule(found, delay=1800) == [True, True]
        assert {job.refresh().record.priority for job in jobs} == {-7}
        assert queue.run_now([*found, "9-00000000"]) == [True, True, False]
        assert queue.stats()["ready"] == 3

    def test_failures_are_grouped_largest_first(self, queue, mail):
        for error in ("order 1", "order 2", "other"):
            mail.delay()
            self.fail(queue, Failure("builtins.ValueError", error))
        found = queue.failures()
        assert [(one.count, one.error, one.message) for one in found.groups] == [
            (2, "ValueError", "order <n>"),
            (1, "ValueError", "other"),
        ]
        assert (found.looked, found.whole) == (3, True)
        assert (queue.failures(limit=1).looked, queue.failures(limit=1).whole) == (1, False)
        assert queue.failures(task="mail", queue="other").groups == ()
        with pytest.raises(InvalidOption, match="limit"):
            queue.failures(limit=0)

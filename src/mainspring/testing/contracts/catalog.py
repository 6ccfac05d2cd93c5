"""Contract of a store's catalog: lists, pages, searches, lanes, pauses. Needs pytest."""
# ruff: noqa: S101, D102
# A contract is made of asserts and of example numbers, and a test's name is its docstring.

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from mainspring.model.job import Failure, JobState, OutcomeKind
from mainspring.model.view import JobFilter
from mainspring.testing.contracts.cases import (
    BROKEN,
    LEASE,
    end,
    enqueue,
    found,
    join,
    new_job,
    outcome,
    start,
    want,
)

if TYPE_CHECKING:
    from mainspring.protocols import JobStore
    from mainspring.testing.clock import FrozenClock


def listed(store: JobStore, **wanted: object) -> list[str]:
    """Return the ids of the jobs that fit."""
    return [job.id for job in store.jobs(JobFilter(**wanted))]  # type: ignore[arg-type]  # of JobFilter


def waits(store: JobStore) -> dict[str, tuple[int, int, float | None]]:
    """Return what waits of each task: jobs, those scheduled, age of the oldest that is ready."""
    return {lane.task: (lane.pending, lane.scheduled, lane.oldest_ready) for lane in store.lanes()}


class CatalogContract:
    """Jobs in lists, as `get` shows them one by one."""

    def test_jobs_are_listed_newest_first_in_every_state(self, store: JobStore) -> None:
        job_ids = [enqueue(store, f"task{number}", priority=number) for number in range(5)]
        node = join(store)
        claims = store.claim(node, [want("task0", "task1", "task2")])
        store.finish_many(
            node, [outcome(claims[0]), outcome(claims[1], OutcomeKind.FAILED, failure=BROKEN)]
        )
        store.cancel([job_ids[3]])
        assert listed(store) == job_ids[::-1]
        assert store.jobs(JobFilter()) == [store.get(job_id) for job_id in job_ids[::-1]]

    @pytest.mark.parametrize("state", list(JobState))
    def test_jobs_of_one_state(self, store: JobStore, state: JobState) -> None:
        job_ids = {
            JobState.COMPLETED: enqueue(store),
            JobState.FAILED: enqueue(store),
            JobState.CANCELLED: enqueue(store),
            JobState.RUNNING: enqueue(store),
            JobState.PENDING: enqueue(store),
        }
        end(store, job_ids[JobState.COMPLETED])
        end(store, job_ids[JobState.FAILED], OutcomeKind.FAILED)
        store.cancel([job_ids[JobState.CANCELLED]])
        start(store, job_ids[JobState.RUNNING])
        assert listed(store, status=state) == [job_ids[state]]

    def test_delayed_jobs_are_pending_jobs(self, store: JobStore) -> None:
        ready, delayed = store.enqueue_many([new_job(), new_job(delay=60.0)])
        assert listed(store, status=JobState.PENDING) == [delayed, ready]

    def test_jobs_of_a_queue_and_of_a_task(self, store: JobStore) -> None:
        names = [("a", "x"), ("a", "y"), ("b", "x"), ("b", "y")]
        job_ids = store.enqueue_many([new_job(task, queue) for task, queue in names])
        assert listed(store, task="a") == [job_ids[1], job_ids[0]]
        assert listed(store, queue="x") == [job_ids[2], job_ids[0]]
        assert listed(store, task="b", queue="y") == [job_ids[3]]
        assert listed(store, task="b", queue="y", status=JobState.FAILED) == []
        assert listed(store, queue="unknown") == listed(store, task="unknown") == []

    def test_pages_follow_each_other_without_gap(self, store: JobStore) -> None:
        job_ids = store.enqueue_many([new_job(f"task{n % 2}") for n in range(25)])
        for job_id in job_ids[:5]:
            store.cancel([job_id])
        pages: list[list[str]] = []
        before: int | None = None
        while page := store.jobs(JobFilter(), before=before, limit=10):
            pages.append([job.id for job in page])
            before = page[-1].key
            enqueue(store)  # what comes in between is on no later page
        assert [len(page) for page in pages] == [10, 10, 5]
        assert [job_id for page in pages for job_id in page] == job_ids[::-1]
        of_one = store.jobs(JobFilter(task="task0"), before=before, limit=3)
        assert of_one == []

    @pytest.mark.parametrize("order", ["newest", "oldest"])
    @pytest.mark.parametrize("wanted", [{}, {"task": "task0"}, {"status": JobState.CANCELLED}])
    def test_pages_go_either_way_by_key_and_by_number(
        self, store: JobStore, wanted: dict[str, Any], order: str
    ) -> None:
        """Jobs of both kinds stand among each other, what waits and what has ended."""
        job_ids = store.enqueue_many([new_job(f"task{n % 2}") for n in range(24)])
        store.cancel(job_ids[::3])
        fit = {"task": job_ids[::2], "status": job_ids[::3]}.get(next(iter(wanted), ""), job_ids)
        oldest_first = order == "oldest"
        expected = fit if oldest_first else fit[::-1]
        filter_ = JobFilter(**wanted)
        by_key: list[str] = []
        before: int | None = None
        while page := store.jobs(filter_, before=before, limit=5, oldest_first=oldest_first):
            by_key += [job.id for job in page]
            before = page[-1].key
        assert by_key == expected
        for skip in range(0, 30, 5):
            page = store.jobs(filter_, limit=5, skip=skip, oldest_first=oldest_first)
            assert [job.id for job in page] == expected[skip : skip + 5]
        third = found(store, expected[2]).key
        after = store.jobs(filter_, before=third, skip=1, limit=2, oldest_first=oldest_first)
        assert [job.id for job in after] == expected[4:6]

    def test_a_page_holds_all_that_the_store_has_of_each_job(self, store: JobStore) -> None:
        job_ids = store.enqueue_many([new_job() for _ in range(4)])
        end(store, job_ids[0], result=b"[1]")
        end(store, job_ids[1], OutcomeKind.FAILED, failure=Failure("OSError", "disk", "trace"))
        start(store, job_ids[2])
        page = store.jobs(JobFilter(), oldest_first=True)
        assert page == [found(store, job_id) for job_id in job_ids]
        assert (page[0].result, page[1].failure and page[1].failure.message) == (b"[1]", "disk")

    def test_a_page_of_a_filter_is_full(self, store: JobStore) -> None:
        job_ids = store.enqueue_many([new_job(f"task{n % 3}") for n in range(30)])
        page = store.jobs(JobFilter(task="task0"), limit=4)
        assert [job.id for job in page] == job_ids[27::-3][:4]
        rest = store.jobs(JobFilter(task="task0"), before=page[-1].key, limit=100)
        assert [job.id for job in rest] == job_ids[15::-3]

    @pytest.mark.parametrize(
        "text",
        ["mail.send", "MAIL.", "ann@example", "Straße 5", "100%", "a_b", '"quoted"', "eRROR:"],
    )
    def test_a_search_finds_id_task_arguments_and_error(self, store: JobStore, text: str) -> None:
        other = enqueue(store, "mailXsend", payload=b'[["axb 100 ann"],{}]')
        payload = '[["ann@example.org","Straße 5","100%","a_b"],{}]'.encode()
        job_id = enqueue(store, "mail.send", payload=payload)
        node = join(store)
        (claim,) = store.claim(node, [want("mail.send")])
        store.finish_many(node, [outcome(claim, OutcomeKind.FAILED, failure=BROKEN)])
        assert listed(store, search=text) == [job_id]
        assert listed(store, search=other) == [other]
        assert listed(store, search=text, status=JobState.PENDING) == []

    @pytest.mark.parametrize("field", ["queue", "task", "tag", "search"])
    def test_a_text_that_no_job_can_have_finds_none(self, store: JobStore, field: str) -> None:
        end(store, enqueue(store))
        wanted = JobFilter(**{field: "a\x00b"})  # type: ignore[arg-type]  # a text of it
        assert store.jobs(wanted) == []
        assert store.search(wanted, most=10).records == []
        if field in {"queue", "task"}:
            assert store.drop_ended(wanted, older_than=0.0, limit=5) == 0

    def test_a_search_looks_through_all_jobs(self, store: JobStore) -> None:
        (rare,) = store.enqueue_many([new_job("rare")])
        store.enqueue_many([new_job("common")] * 1500)
        (found_job,) = store.jobs(JobFilter(search="rare"), limit=1)
        assert found_job.id == rare
        assert listed(store, search="nowhere") == []

    @pytest.mark.parametrize("fields", [{}, {"queue": "queue"}, {"task": "rare"}])
    def test_a_search_stops_after_so_many_jobs_and_goes_on(
        self, store: JobStore, fields: dict[str, str]
    ) -> None:
        ids = store.enqueue_many([new_job("rare")] * 25)
        for job_id in ids[::2]:
            store.cancel([job_id])
        wanted = JobFilter(search=ids[3], **fields)  # type: ignore[arg-type]  # queue or task
        before: int | None = None
        seen: list[list[str]] = []
        looked = 0
        while not seen or before is not None:
            page = store.search(wanted, before=before, most=10)
            seen.append([job.id for job in page.records])
            before, looked = page.before, looked + page.looked
            enqueue(store, "rare")  # what comes in between is on no later page
        assert (seen, looked) == ([[], [], [ids[3]]], 25)

    def test_a_full_page_of_a_search_says_how_far_it_came(self, store: JobStore) -> None:
        ids = store.enqueue_many([new_job("rare"), new_job(), new_job("rare"), new_job("rare")])
        page = store.search(JobFilter(search="rare"), limit=2, most=100)
        assert ([job.id for job in page.records], page.looked) == (ids[:1:-1], 2)
        page = store.search(JobFilter(search="rare"), before=page.before, limit=2, most=100)
        assert ([job.id for job in page.records], page.looked) == (ids[:1], 2)
        assert page.before is None

    def test_the_error_of_a_waiting_job_is_found(self, store: JobStore) -> None:
        job_id = enqueue(store)
        end(store, job_id, OutcomeKind.RETRY, failure=Failure("builtins.OSError", "no route"))
        assert found(store, job_id).failure == Failure("builtins.OSError", "no route")
        assert listed(store, search="No Route") == [job_id]

    def test_lanes_tell_what_waits_of_each_task_in_each_queue(self, store: JobStore) -> None:
        assert store.lanes() == []
        store.enqueue_many(
            [new_job("b"), new_job("a"), new_job("a", "other"), new_job("a", delay=60.0)]
        )
        store.claim(join(store), [want("b")])
        lanes = sorted(store.lanes(), key=lambda lane: (lane.queue, lane.task))
        assert [(lane.queue, lane.task, lane.pending, lane.scheduled) for lane in lanes] == [
            ("other", "a", 1, 0),
            ("queue", "a", 2, 1),
            ("queue", "b", 0, 0),
        ]

    def test_lanes_tell_for_how_long_the_oldest_job_could_have_run(
        self, store: JobStore, clock: FrozenClock
    ) -> None:
        store.enqueue_many([new_job("a", priority=1), new_job("a", delay=60.0), new_job("b")])
        store.claim(join(store), [want("b")])
        clock.advance(30)
        store.enqueue_many([new_job("a", priority=-1)])
        assert waits(store) == {"a": (3, 1, 30.0), "b": (0, 0, None)}
        clock.advance(40)
        # It is due, though nobody has claimed since.
        assert waits(store) == {"a": (3, 0, 70.0), "b": (0, 0, None)}
        store.claim(join(store, "other"), [want("a", limit=2)])
        assert waits(store)["a"] == (1, 0, 70.0)

    def test_paused_queues_are_listed_by_name(self, store: JobStore) -> None:
        assert store.paused() == []
        for queue in ("b", "a", "c"):
            store.pause(queue)
        store.resume("b")
        assert store.paused() == ["a", "c"]

    def test_a_node_tells_what_it_serves_and_how_it_is(self, store: JobStore) -> None:
        serves, report = b'{"queues":["mail"],"slots":4}', '{"load":0.5,"word":"größer"}'.encode()
        node = store.join("node", host="host", pid=7, lease=LEASE, serves=serves)
        (record,) = store.nodes()
        assert (record.serves, record.report) == (serves, b"{}")
        store.renew(node, lease=LEASE, report=report)
        store.renew(node, lease=LEASE)
        (record,) = store.nodes()
        assert (record.serves, record.report) == (serves, report)

    def test_the_jobs_that_a_node_holds_are_counted_by_task(self, store: JobStore) -> None:
        assert store.running_by_node() == {}
        names = ["a", "a", "b", 'größer "x"']
        store.enqueue_many([*map(new_job, names), new_job("a", "other"), new_job("a", delay=60.0)])
        idle, one, other = (join(store, name) for name in ("idle", "one", "other"))
        (claim,) = store.claim(other, [want("b")])
        store.claim(one, [want("a", names[-1], limit=10)])
        held = store.running_by_node()
        assert held.pop(idle, {}) == {}
        assert held == {one: {"a": 3, names[-1]: 1}, other: {"b": 1}}
        store.finish_many(other, [outcome(claim)])
        assert store.running_by_node().get(other, {}) == {}

    def test_a_waiting_jobs_failure_is_that_of_its_last_attempt(
        self, store: JobStore, clock: FrozenClock
    ) -> None:
        job_id = enqueue(store)
        end(store, job_id, OutcomeKind.RETRY, failure=BROKEN)
        end(store, job_id, OutcomeKind.FAILED, failure=BROKEN)
        clock.advance(1)
        store.retry([job_id])
        assert (found(store, job_id).failure, found(store, job_id).state) == (BROKEN, "pending")

    def test_keep_is_of_one_job_and_counts_from_its_end(
        self, store: JobStore, clock: FrozenClock
    ) -> None:
        job_ids = [enqueue(store) for _ in range(5)]
        node = join(store)
        claims = store.claim(node, [want()])
        store.finish_many(
            node,
            [
                outcome(claims[0], keep=5.0),
                outcome(claims[1], keep=500.0),
                outcome(claims[2]),
                outcome(claims[3], OutcomeKind.FAILED, failure=BROKEN, keep=5.0),
                outcome(claims[4], keep=0.0),
            ],
        )
        dropped = []
        for seconds in (4, 1, 95, 400):
            clock.advance(seconds)
            dropped.append(store.purge(completed_after=100, failed_after=1000, limit=10))
        assert dropped == [1, 1, 1, 1]
        assert [store.get(job_id) is not None for job_id in job_ids] == [False] * 3 + [True, False]

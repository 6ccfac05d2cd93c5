"""Lists of jobs out of a SQLite file: what they read, and that no text becomes SQL."""

import pytest

from mainspring.model.job import JobState, OutcomeKind
from mainspring.model.view import JobFilter
from mainspring.stores.sqlite import SqliteStore, controls
from mainspring.stores.sqlite.catalog import listing
from mainspring.testing.contracts.cases import end, enqueue, join, new_job, outcome, want

MANY = 20_000


@pytest.fixture(scope="module")
def crowded(tmp_path_factory):
    """Return a store with few jobs of each kind among, and before, many completed ones."""
    store = SqliteStore(tmp_path_factory.mktemp("listing") / "jobs.db", durability="normal")
    failed = enqueue(store, "rare", "quiet")
    end_as(store, OutcomeKind.FAILED)
    cancelled = enqueue(store, "rare", "quiet")
    store.cancel([cancelled])
    store.enqueue_many([new_job("rare", payload=b"[[],{}]")] * MANY)
    end_as(store, OutcomeKind.COMPLETED)
    running = enqueue(store, "rare", "busy")
    assert len(store.claim(join(store), [want("rare")])) == 1
    waiting = store.enqueue_many([new_job("rare", "busy")] * MANY)[-1]
    ids = {
        JobState.FAILED: failed,
        JobState.CANCELLED: cancelled,
        JobState.RUNNING: running,
        JobState.PENDING: waiting,
    }
    yield store, ids
    store.close()


def end_as(store, kind):
    node = join(store)
    while claims := store.claim(node, [want("rare", limit=1000)]):
        store.finish_many(node, [outcome(claim, kind) for claim in claims])
    store.leave(node)


def steps_of(store, wanted, **options):
    """Return the jobs found, and how many hundred steps of SQLite's machine that took."""
    with store._session.readers.lend() as connection:
        steps = []
        connection.set_progress_handler(lambda: steps.append(1) and None, 100)
    found = store.jobs(wanted, **options)
    connection.set_progress_handler(None, 0)
    return [job.id for job in found], len(steps)


@pytest.mark.parametrize("state", [JobState.FAILED, JobState.CANCELLED, JobState.RUNNING])
def test_what_is_rare_is_found_without_reading_what_is_common(crowded, state):
    store, ids = crowded
    assert steps_of(store, JobFilter(status=state)) == ([ids[state]], pytest.approx(10, abs=10))


def test_a_page_of_what_is_common_reads_a_page(crowded):
    store, ids = crowded
    for wanted in (JobFilter(), JobFilter(status=JobState.PENDING)):
        found, steps = steps_of(store, wanted, limit=50)
        assert (found[0], len(found)) == (ids[JobState.PENDING], 50)
        assert steps < 200
    found, steps = steps_of(store, JobFilter(status=JobState.COMPLETED), limit=50)
    assert len(found) == 50
    assert steps < 200


def test_a_page_of_a_crowded_queue_reads_the_newest(crowded):
    store, _ = crowded
    for wanted in (JobFilter(queue="busy"), JobFilter(task="rare", status=JobState.COMPLETED)):
        found, steps = steps_of(store, wanted, limit=50)
        assert len(found) == 50
        assert steps < 3_000


def test_a_page_that_the_newest_do_not_fill_is_full(store, monkeypatch):
    old = [enqueue(store, "old") for _ in range(5)]
    monkeypatch.setattr(listing, "GLANCE", 3)
    enqueue(store)
    recent = [enqueue(store, "old") for _ in range(2)]
    store.cancel([recent[1]])
    page = store.jobs(JobFilter(task="old"), limit=4)
    assert [job.id for job in page] == [*recent[::-1], *old[:2:-1]]


def test_a_queue_is_found_without_reading_the_others(crowded):
    store, ids = crowded
    found, steps = steps_of(store, JobFilter(queue="quiet"))
    assert found == [ids[JobState.CANCELLED], ids[JobState.FAILED]]
    # A glance at the newest of both tables, and no more: all would be four times that.
    assert steps < 3_000


def test_a_search_among_few_reads_few(crowded):
    store, ids = crowded
    wanted = JobFilter(status=JobState.FAILED, search=ids[JobState.FAILED])
    assert steps_of(store, wanted) == ([ids[JobState.FAILED]], pytest.approx(10, abs=10))


@pytest.mark.parametrize(
    "fields",
    [{}, {"queue": "busy"}, {"task": "rare"}, {"status": JobState.PENDING, "queue": "busy"}],
)
def test_a_search_that_finds_nothing_reads_so_many_jobs(crowded, fields):
    store, _ = crowded
    wanted = JobFilter(search="nowhere", **fields)
    few, many = (search_steps(store, wanted, most) for most in (500, 5_000))
    assert few < 2_000
    assert many < 12 * few


def search_steps(store, wanted, most):
    with store._session.readers.lend() as connection:
        steps = []
        connection.set_progress_handler(lambda: steps.append(1) and None, 100)
    page = store.search(wanted, most=most)
    connection.set_progress_handler(None, 0)
    assert (page.records, page.looked) == ([], most)
    return len(steps)


def test_a_search_in_a_small_queue_is_at_its_end_at_once(crowded):
    store, ids = crowded
    page = store.search(JobFilter(queue="quiet", search="rare"), most=100)
    assert [job.id for job in page.records] == [ids[JobState.CANCELLED], ids[JobState.FAILED]]
    assert (page.looked, page.before) == (2, None)


def test_a_purge_by_age_finds_what_is_due_by_an_index(store):
    lanes = {"lanes": "[1]", "before": 0, "limit": 10}
    for states in controls.states_to_drop(None):
        statement = controls.ENDED.replace("{states}", states)
        with store._session.readers.lend() as connection:
            plan = connection.execute(f"EXPLAIN QUERY PLAN {statement}", lanes).fetchall()
        found = [detail for *_, detail in plan if "job" in detail]
        assert all(
            "USING COVERING INDEX mainspring_finished_by_end" in detail for detail in found
        ), plan


@pytest.mark.parametrize("text", ["'", '"', "' OR 1=1 --", "%", "_", "*", "?", ":text", "{lower}"])
def test_a_text_is_only_a_text(store, text):
    other = enqueue(store, payload=b"[[],{}]")
    assert store.jobs(JobFilter(search=text)) == []
    assert store.jobs(JobFilter(queue=text)) == store.jobs(JobFilter(task=text)) == []
    job_id = enqueue(store, f"task {text}", f"queue {text}", payload=b"[[],{}]")
    for wanted in (
        JobFilter(search=text),
        JobFilter(queue=f"queue {text}"),
        JobFilter(task=f"task {text}", search=text.upper()),
    ):
        assert [job.id for job in store.jobs(wanted)] == [job_id]
    assert [job.id for job in store.jobs(JobFilter())] == [job_id, other]


@pytest.mark.parametrize("text", ["GRÖSSER", "größer", "ÅNGSTRÖM"])
def test_letters_that_sqlite_does_not_know_are_found_whatever_their_case(store, text):
    job_id = enqueue(store, payload=f'[["{text.lower()}"],{{}}]'.encode())
    enqueue(store, payload=b'[["gr sser"],{}]')
    assert [job.id for job in store.jobs(JobFilter(search=text))] == [job_id]
    end(store, job_id)
    assert [job.id for job in store.jobs(JobFilter(search=text))] == [job_id]


def test_a_list_holds_the_log_no_longer_than_it_takes(store):
    enqueue(store)
    for wanted in (JobFilter(), JobFilter(search="x"), JobFilter(search="ä")):
        store.jobs(wanted)
        with store._session.readers.lend() as connection:
            assert not connection.in_transaction

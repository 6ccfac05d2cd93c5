"""Rows that somebody else wrote into the file: each harms itself and no other."""

import sqlite3
from contextlib import closing

import pytest

from mainspring.model.codec import JsonCodec, Undecodable
from mainspring.model.job import Failure, JobState, NewJob, Outcome, OutcomeKind, Want
from mainspring.model.view import JobFilter
from mainspring.stores.sqlite import SqliteStore

CALL = b"[[],{}]"
ANY = JobFilter()

TEXTS = {
    "a pickle": "'cos\nsystem\n(S''true''\ntR.'",
    "nothing": "''",
    "no UTF-8": r"CAST(x'5b5b22ff225d2c7b7d5d' AS TEXT)",
    "bytes": "x'80049503000000000000004b012e'",
    "a NUL": "'[[],{}]' || char(0) || 'more'",
    "a NUL as bytes": "x'5b5b5d2c7b7d5d006d6f7265'",
    "two": "'[[],{}],[[],{}]'",
    "the end of its row": "'[[],{}]],[0,0,1,0,1,1,1,0,0,7,[[],{}]'",
    "the start of a text": """'["'""",
    "too deep": "printf('%.*c', 100000, '[') || printf('%.*c', 100000, ']')",
    "a surrogate": "CAST(x'5b5b22eda080225d2c7b7d5d' AS TEXT)",
}


@pytest.fixture(params=TEXTS)
def text(request):
    return TEXTS[request.param]


@pytest.fixture
def forge(path):
    """Write as somebody else does."""

    def write(statement):
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute(statement)

    return write


@pytest.fixture
def node(store):
    return store.join("n", host="h", pid=1, lease=60)


def enqueued(store, count=5, task="task"):
    return store.enqueue_many([NewJob(task, "queue", CALL)] * count)


def wants(*tasks, limit=100):
    return [Want((task,), None, limit) for task in tasks]


def completed(store, node, count=5):
    ids = enqueued(store, count)
    claims = store.claim(node, wants("task"))
    outcomes = [Outcome(one.key, one.fence, OutcomeKind.COMPLETED, result=b"1") for one in claims]
    assert all(store.finish_many(node, outcomes))
    return ids


def readable(decode, told):
    try:
        decode(told)
    except Undecodable:
        return False
    return True


@pytest.mark.parametrize("asked", [["task"], ["task", "other"]], ids=["one want", "more wants"])
def test_a_payload_that_is_no_call_is_claimed_as_it_stands_with_the_others(
    store, node, forge, text, asked
):
    ids = enqueued(store)
    forge(f"UPDATE mainspring_jobs SET payload = {text} WHERE key = 3")
    claims = store.claim(node, wants(*asked))
    assert [claim.id for claim in claims] == ids
    assert [claim.fence for claim in claims] == [1] * len(ids)
    told = [readable(JsonCodec().decode_call, claim.payload) for claim in claims]
    assert told == [True, True, False, True, True]
    assert {claim.payload for claim in claims if claim.key != 3} == {CALL}


def test_no_more_are_claimed_than_asked_for_whatever_a_payload_forges(store, node, forge):
    ids = enqueued(store)
    forge(f"UPDATE mainspring_jobs SET payload = {TEXTS['the end of its row']} WHERE key = 2")
    assert [claim.id for claim in store.claim(node, wants("task", limit=2))] == ids[:2]
    assert [claim.id for claim in store.claim(node, wants("task", limit=9))] == ids[2:]


def test_two_payloads_that_swallow_what_stands_between_them_swallow_nothing(store, node, forge):
    ids = enqueued(store)
    forge("""UPDATE mainspring_jobs SET payload = '["x' WHERE key = 2""")
    forge("""UPDATE mainspring_jobs SET payload = '"]' WHERE key = 4""")
    claims = store.claim(node, wants("task"))
    assert [claim.id for claim in claims] == ids
    assert [claim.payload for claim in claims] == [CALL, b'["x', CALL, b'"]', CALL]


def test_a_job_that_cannot_be_read_can_be_failed_and_seen(store, node, forge, text):
    (job_id,) = enqueued(store, 1)
    forge(f"UPDATE mainspring_jobs SET payload = {text}")
    assert [record.id for record in store.jobs(ANY)] == [job_id]
    (claim,) = store.claim(node, wants("task"))
    failed = Outcome(claim.key, 1, OutcomeKind.FAILED, failure=Failure("E", "why"))
    assert store.finish_many(node, [failed]) == [True]
    record = store.get(job_id)
    assert record.state is JobState.FAILED
    assert record.payload == claim.payload
    (again,) = store.retry([job_id])
    assert store.claim(node, wants("task"))[0].id == again


@pytest.mark.parametrize("count", [1, 5], ids=["asked for alone", "asked for with others"])
def test_a_result_that_cannot_be_read_refuses_itself_only(store, node, forge, text, count):
    ids = completed(store, node, count)
    forge(f"UPDATE mainspring_finished SET result = {text} WHERE key = {count}")
    told = store.ended(ids)
    assert set(told) == set(ids)
    read = [readable(JsonCodec().decode_result, told[job_id].result) for job_id in ids]
    assert read == [True] * (count - 1) + [False]
    assert [record.id for record in store.jobs(ANY)] == ids[::-1]
    assert store.get(ids[-1]).result == told[ids[-1]].result


@pytest.mark.parametrize("count", [1, 5], ids=["asked for alone", "asked for with others"])
def test_a_failure_that_cannot_be_read_says_so_itself(store, node, forge, text, count):
    ids = completed(store, node, count)
    forge(f"UPDATE mainspring_finished SET state = 4, failure = {text} WHERE key = {count}")
    told = store.ended(ids)
    assert [told[job_id].failure for job_id in ids[:-1]] == [None] * (count - 1)
    for failure in (
        told[ids[-1]].failure,
        store.get(ids[-1]).failure,
        store.jobs(ANY)[0].failure,
        store.history(ids[-1])[0].failure,
    ):
        assert failure.type.endswith(".Undecodable")
        assert "the stored failure can't be read" in failure.message


def test_names_that_are_no_text_stop_nobody(store, path, node, forge):
    ids = enqueued(store, 1)
    forge(
        "INSERT INTO mainspring_lanes (queue, task) VALUES ('queue', CAST(x'7461736bff' AS TEXT))"
    )
    forge("INSERT INTO mainspring_lanes (queue, task) VALUES (x'ff', x'7461736b')")
    other = SqliteStore(path)
    assert [claim.id for claim in other.claim(node, wants("task"))] == ids
    assert len(other.lanes()) == 3
    other.close()


def test_words_of_a_body_that_are_no_text_are_seen_with_what_is(store, node, forge):
    (job_id,) = enqueued(store, 1)
    forge("INSERT INTO mainspring_progress VALUES (1, 0.5, CAST(x'61ff' AS TEXT))")
    forge("INSERT INTO mainspring_log VALUES (1, 1, 1, 0, CAST(x'62ff' AS TEXT))")
    assert store.get(job_id).message == r"a\xff"
    assert [line.text for line in store.log(job_id)] == [r"b\xff"]


@pytest.mark.parametrize("search", ["no", "naïve"])
@pytest.mark.parametrize("column", ["payload", "failure"])
def test_a_search_passes_over_what_cannot_be_read(store, node, forge, text, column, search):
    ids = completed(store, node, 2)
    forge(f"UPDATE mainspring_finished SET {column} = {text} WHERE key = 1")
    failure = '{"type":"E","message":"no NAÏVE one","traceback":""}'
    forge(f"UPDATE mainspring_finished SET state = 4, failure = '{failure}' WHERE key = 2")
    found = [record.id for record in store.jobs(JobFilter(search=search))]
    assert found == [ids[1]]


NO_STATES = [-1, 3, 7, 2**40]
NO_FINAL_STATES = [-1, 0, 2, 7, 2**40]


def listed(store, **fields):
    return [record.id for record in store.jobs(JobFilter(**fields))]


@pytest.mark.parametrize("number", NO_STATES)
def test_a_live_job_of_no_known_state_is_pending_and_spoils_no_list(store, node, forge, number):
    ids = enqueued(store, 3)
    forge(f"UPDATE mainspring_jobs SET state = {number} WHERE key = 2")
    for fields in ({}, {"status": JobState.PENDING}, {"queue": "queue"}, {"search": "task"}):
        assert listed(store, **fields) == ids[::-1]
    assert store.stats()["queue"]["pending"] == 3
    record = store.get(ids[1])
    assert record.state is JobState.PENDING
    assert record.failure.message == f"the stored state {number} is no live job's"
    assert store.get(ids[0]).failure is None


@pytest.mark.parametrize("number", NO_STATES)
def test_a_job_of_no_known_state_is_never_claimed_and_can_be_cancelled(store, node, forge, number):
    first, odd, last = enqueued(store, 3)
    forge(f"UPDATE mainspring_jobs SET state = {number} WHERE key = 2")
    assert [claim.id for claim in store.claim(node, wants("task"))] == [first, last]
    assert [claim.id for claim in store.claim(node, wants("task", "other"))] == []
    assert store.cancel([odd]) == [True]
    assert store.get(odd).state is JobState.CANCELLED


def test_a_job_of_no_known_state_can_be_replaced_by_its_unique_key(store, node, forge):
    new = NewJob("task", "queue", CALL, unique="k", on_conflict="replace")
    ids = store.enqueue_many([new])
    forge("UPDATE mainspring_jobs SET state = 7")
    assert store.enqueue_many([new]) == ids
    assert [claim.id for claim in store.claim(node, wants("task"))] == ids


@pytest.mark.parametrize("number", NO_FINAL_STATES)
def test_a_final_job_of_no_known_state_has_failed_and_spoils_no_list(store, node, forge, number):
    ids = completed(store, node, 3)
    forge(f"UPDATE mainspring_finished SET state = {number} WHERE key = 2")
    for fields in ({}, {"queue": "queue"}, {"task": "task"}, {"search": "task"}):
        assert listed(store, **fields) == ids[::-1]
    for fields in ({}, {"queue": "queue"}, {"search": "task"}):
        assert listed(store, status=JobState.FAILED, **fields) == [ids[1]]
    assert store.stats()["queue"] | {"completed": 2, "failed": 1} == store.stats()["queue"]
    told = f"the stored state {number} is no final job's"
    assert store.get(ids[1]).failure.message == told
    assert store.history(ids[1])[-1].outcome == "failed"
    for asked in (ids, ids[1:2]):
        ended = store.ended(asked)
        assert list(ended) == asked
        assert (ended[ids[1]].state, ended[ids[1]].result) == (JobState.FAILED, None)
        assert ended[ids[1]].failure.message == told


@pytest.mark.parametrize("number", NO_FINAL_STATES)
def test_a_final_job_of_no_known_state_can_run_again(store, node, forge, number):
    ids = completed(store, node, 2)
    forge(f"UPDATE mainspring_finished SET state = {number} WHERE key = 2")
    assert store.retry(ids) == [None, ids[1]]
    assert [claim.id for claim in store.claim(node, wants("task"))] == [ids[1]]
    assert [one.outcome for one in store.history(ids[1])] == ["failed", None]


def test_a_key_is_not_given_again_after_a_job_of_a_forged_key_was_dropped(store, node, forge):
    (job_id,) = completed(store, node, count=1)
    columns = "nonce, lane, state, priority, run_at, created_at, attempts, crashes, fence, ended_at"
    forge(
        f"INSERT INTO mainspring_finished (key, {columns}, payload)"
        " VALUES (9223372036854775807, 1, 1, 3, 0, 0, 0, 1, 0, 1, 1, '[[],{}]')"
    )
    store.purge(completed_after=-60, failed_after=-60, limit=10)
    assert store.get(job_id) is None
    (again,) = enqueued(store, 1)
    assert again.partition("-")[0] != job_id.partition("-")[0]

"""The random walk, over the stores of ours; and over stores with a bug planted in them."""

import shutil
import sqlite3
import tempfile
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from redis import Redis

from mainspring.errors import MainspringError
from mainspring.model import crash
from mainspring.stores.memory import MemoryStore
from mainspring.stores.memory.job import Job
from mainspring.stores.memory.lanes import MemoryLanes
from mainspring.stores.memory.ledger import Ledger
from mainspring.stores.memory.timetable import MemorySchedules
from mainspring.stores.postgres import PostgresStore
from mainspring.stores.redis import RedisStore
from mainspring.stores.sqlite import SqliteStore, controls, purge, timetable
from mainspring.stores.sqlite.claims import claim_sql
from mainspring.stores.sqlite.intake import keyed_jobs
from mainspring.stores.sqlite.transitions import endings, grants, returns
from mainspring.testing import StoreMachine
from servers import postgres

# Up to 20 seconds of processor time each (the long walk 80), and they run beside others.
pytestmark = pytest.mark.timeout(600)

WALK = settings(
    max_examples=60,
    stateful_step_count=50,
    suppress_health_check=list(HealthCheck),
)

# A step on a server takes thirty times as long, and to shrink what was found takes minutes.
SHORT_WALK = settings(WALK, max_examples=2, phases=[Phase.explicit, Phase.generate])

# Without chance, so that what was found once is found again; without shrinking, which takes longer.
HUNT = settings(WALK, max_examples=1000, phases=[Phase.generate], derandomize=True, database=None)

# Where there is one, a file system in memory: thousands of small files are made and thrown away.
QUICK = "/dev/shm" if Path("/dev/shm").is_dir() else None


class MemoryMachine(StoreMachine):
    def make_store(self, clock):
        return MemoryStore(clock=clock)


class SqliteMachine(StoreMachine):
    def make_store(self, clock):
        self.folder = Path(tempfile.mkdtemp(dir=QUICK))
        return self._open()

    def _open(self):
        return SqliteStore(self.folder / "jobs.db", durability="normal", clock=self.clock)

    def reopen_store(self):
        self.store.close()
        return self._open()

    def teardown(self):
        super().teardown()
        shutil.rmtree(self.folder)


class RedisMachine(StoreMachine):
    url = ""

    def make_store(self, clock):
        self.namespace = uuid4().hex
        return self._open()

    def _open(self):
        url = f"{self.url}?namespace={self.namespace}"
        return RedisStore(url, durability="normal", clock=self.clock)

    def reopen_store(self):
        self.store.close()
        return self._open()


class PostgresMachine(StoreMachine):
    url = ""

    def make_store(self, clock):
        postgres.empty(self.url)
        self.stores = []
        return self._open()

    def _open(self):
        self.stores.append(PostgresStore(self.url, durability="normal", clock=self.clock))
        return self.stores[-1]

    def reopen_store(self):
        """Leave the one before open: it is the connection by which its nodes are seen to live."""
        return self._open()

    def teardown(self):
        for store in self.stores:
            store.close()


BOTH = pytest.mark.parametrize("machine", [MemoryMachine, SqliteMachine])
ON_SERVERS = pytest.mark.parametrize("walks", [12, pytest.param(100, marks=pytest.mark.long)])


def long(*parameters, **options):
    """A bug that it takes many walks to find: hunted by `make test-long` only."""
    return pytest.param(*parameters, marks=pytest.mark.long, **options)


QUARTERS = [long(250, id=f"250, the {one}") for one in ("first", "second", "third", "fourth")]
"""A thousand walks in one test take longer than its time on a busy machine."""


# Each run of the tests walks elsewhere; what a planted bug takes, the tests below walk.
@pytest.mark.parametrize("walks", [40, *QUARTERS])
@BOTH
def test_a_store_does_as_the_model_does(machine, walks):
    run_state_machine_as_test(machine, settings=settings(WALK, max_examples=walks))


@pytest.fixture
def redis_machine(redis_url):
    RedisMachine.url = f"{redis_url.rpartition('/')[0]}/2"
    yield RedisMachine
    with Redis.from_url(RedisMachine.url) as client:
        client.flushdb()


def walk_on_a_server(machine, walks):
    """Walk so often, each time anew and once by chance: the first of two is the simplest there is.

    A server takes its time to see that a connection is gone, and so may grant a job or not yet. To
    Hypothesis two walks with one beginning that go on differently are a mistake of the test.
    """
    for _ in range(walks):
        run_state_machine_as_test(machine, settings=SHORT_WALK)


@ON_SERVERS
def test_the_redis_store_does_as_the_model_does(redis_machine, walks):
    walk_on_a_server(redis_machine, walks)


@ON_SERVERS
def test_the_postgres_store_does_as_the_model_does(monkeypatch, postgres_url, walks):
    monkeypatch.setattr(PostgresMachine, "url", postgres_url)
    walk_on_a_server(PostgresMachine, walks)


def assert_caught(machine):
    with pytest.raises((AssertionError, sqlite3.Error, KeyError, MainspringError)):
        run_state_machine_as_test(machine, settings=HUNT)


@pytest.mark.long  # three crashes of one job are rare: it is found after hundreds of walks
@BOTH
def test_ignoring_the_crash_limit(monkeypatch, machine):
    monkeypatch.setattr(crash, "delay_after_crash", lambda crashes: 0.0 if crashes < 2 else 5.0)
    assert_caught(machine)


@pytest.mark.long  # as above
@BOTH
def test_a_crash_limit_that_is_off_by_one(monkeypatch, machine):
    right = crash.delay_after_crash
    monkeypatch.setattr(crash, "delay_after_crash", lambda crashes: right(max(1, crashes - 1)))
    assert_caught(machine)


EVERY_BEARER = """FROM (
  SELECT key, nonce, lane, state, unique_key FROM mainspring_jobs
  UNION ALL SELECT key, nonce, lane, state, unique_key FROM mainspring_finished
) WHERE"""


@pytest.mark.parametrize(
    ("module", "statement", "right", "wrong"),
    [
        (endings, "FINISH", "INTEGER) = given", "INTEGER) >= given"),
        (returns, "NOTE_ATTEMPTS", "INTEGER) = json", "INTEGER) >= json"),
        (grants, "MARKED", "state = 2", "state = 1"),
        (claim_sql, "FIRST_IN_LINE", "attempts + 1", "attempts"),
        long(claim_sql, "FIRST_IN_LINE", "expires_at <= ?", "expires_at < ?"),
        long(controls, "LATE", "expires_at <= ?", "expires_at < ?"),
        long(controls, "REVIVABLE", "NOT IN (3, 6)", "<> 6"),
        (purge, "OLD", "ended_at <= ?", "ended_at < ?"),
        (timetable, "ADVANCE", "AND last_tick = :last", "AND :last = :last"),
        long(timetable, "ADVANCE", "AND paused = 0", ""),
        (keyed_jobs, "BEARERS", "FROM mainspring_jobs\nWHERE", EVERY_BEARER),
    ],
)
def test_a_loose_statement_of_the_sqlite_store(monkeypatch, module, statement, right, wrong):
    loose = getattr(module, statement).replace(right, wrong)
    assert loose != getattr(module, statement)
    monkeypatch.setattr(module, statement, loose)
    # Its text is made once for each number of lanes.
    monkeypatch.setattr(claim_sql, "first_in_line_of", claim_sql.first_in_line_of.__wrapped__)
    assert_caught(SqliteMachine)


def no_fence_check(job, node, fence):
    return job.node == node


def claim_that_counts_attempts_from_0(job, node, name, moment, claim=Job.claim):
    job.attempts -= 1
    claimed = claim(job, node, name, moment)
    job.attempts += 1
    return claimed


def crash_charged_to_the_whole_batch(store, node, *, dead, begun, rescue=MemoryStore.rescue):
    return rescue(store, node, dead=dead, begun=None)


def cancel_mark_lost_at_release(job, moment, release=Job.release):
    job.cancelling = False
    release(job, moment)


def cancel_mark_lost_at_retry(job, outcome, moment, settle=Job.settle):
    job.cancelling = False
    settle(job, outcome, moment)


def unique_key_not_freed(ledger, job, place=Ledger.place):
    place(ledger, job)
    if job.unique is not None:
        ledger._unique[job.unique] = job


def unique_key_freed_too_early(ledger, job, place=Ledger.place):
    place(ledger, job)
    ledger._unique.pop(job.unique, None)


def half_of_a_refused_batch(ledger, jobs, moment, enqueue=Ledger.enqueue):
    told = [enqueue(ledger, [new], moment) for new in jobs]
    return [ids[0] for ids, _ in told], True


def idempotency_that_ends_with_the_job(ledger, job, drop=Ledger.drop):
    dropped = drop(ledger, job)
    if dropped:
        kept = ledger.answers.by_key.items()
        ledger.answers.by_key = {key: answer for key, answer in kept if answer[1] != job.id}
    return dropped


def tick_without_compare_and_set(schedules, name, last, to):
    return name in schedules._records and not schedules._records[name].paused


def older_version_that_moves_a_tick_back(schedules, new, moment, declare=MemorySchedules.declare):
    for one in new:
        schedules._records.pop(one.name, None)
    declare(schedules, new, moment)


def paused_queue_served(lanes, want, matching=MemoryLanes.matching):
    paused, lanes.paused = lanes.paused, set()
    lanes._matching = {}
    served = matching(lanes, want)
    lanes.paused = paused
    return served


def purge_by_one_age(ledger, moment, *, completed_after, failed_after, limit, purge=Ledger.purge):
    return purge(
        ledger, moment, completed_after=completed_after, failed_after=completed_after, limit=limit
    )


def note_of_any_claim(ledger, note, moment, heard=Ledger.note):
    job = ledger.jobs.get(note.key)
    if job is not None:
        heard(ledger, type(note)(note.key, job.fence, note.progress, note.message), moment)


def lease_of_a_second_owner(store, node, *, dead, begun, rescue=MemoryStore.rescue):
    return rescue(store, node, dead=True, begun=begun)


@pytest.mark.parametrize(
    ("owner", "name", "bug"),
    [
        (Job, "holds", no_fence_check),
        (Job, "claim", claim_that_counts_attempts_from_0),
        (Job, "release", cancel_mark_lost_at_release),
        (Job, "settle", cancel_mark_lost_at_retry),
        (Job, "expired", lambda job, moment: False),
        (Ledger, "expire", lambda ledger, limit, moment: []),
        (Ledger, "place", unique_key_not_freed),
        (Ledger, "place", unique_key_freed_too_early),
        (Ledger, "_bearer_id", lambda ledger, unique: None),
        (Ledger, "enqueue", half_of_a_refused_batch),
        (Ledger, "drop", idempotency_that_ends_with_the_job),
        long(Ledger, "purge", purge_by_one_age),
        (Ledger, "note", note_of_any_claim),
        (MemoryLanes, "matching", paused_queue_served),
        (MemorySchedules, "ticks", tick_without_compare_and_set),
        (MemorySchedules, "declare", older_version_that_moves_a_tick_back),
        long(MemoryStore, "rescue", crash_charged_to_the_whole_batch),
        (MemoryStore, "rescue", lease_of_a_second_owner),
    ],
)
def test_a_bug_in_the_memory_store(monkeypatch, owner, name, bug):
    monkeypatch.setattr(owner, name, bug)
    assert_caught(MemoryMachine)

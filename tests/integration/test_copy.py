"""A queue that is copied from one store into another: nothing is lost, nothing is doubled."""

from __future__ import annotations

import asyncio
import itertools
import time
from contextlib import ExitStack, closing
from uuid import uuid4

import pytest
from redis import Redis

from histories import attempts
from mainspring import Queue
from mainspring.errors import InvalidOption, StoreUnreachable, StoreUnusable
from mainspring.model.job import JobState, OutcomeKind
from mainspring.model.view import JobFilter
from mainspring.queue.comparison import PAGE_BYTES, PageSize
from mainspring.queue.copying import ENTRIES
from mainspring.testing.contracts.cases import end, enqueue, join, new_job, want
from mainspring.testing.contracts.portable import fill, seen
from servers import postgres, valkey

KINDS = ("sqlite", "redis", "postgres")
PAIRS = [*itertools.product(KINDS, repeat=2), ("memory", "sqlite"), ("postgres", "memory")]


class RealClock:
    """The clocks of this machine, which nobody moves."""

    monotonic = staticmethod(time.monotonic)

    def advance(self, _seconds):
        return None


@pytest.fixture
def make_url(request, tmp_path):
    """Return URLs of empty stores, each another; they are gone after the test."""
    number = itertools.count()
    with ExitStack() as stack:

        def namespace():
            server = f"{request.getfixturevalue('redis_url').rpartition('/')[0]}/1"
            name = uuid4().hex
            stack.callback(remove, server, name)
            return f"{server}?namespace={name}"

        def schema():
            database = request.getfixturevalue("postgres_database")
            return stack.enter_context(postgres.schema_in(database))

        makers = {
            "memory": lambda: "memory://",
            "sqlite": lambda: f"sqlite:///{tmp_path / f'{next(number)}.db'}",
            "redis": namespace,
            "postgres": schema,
        }
        yield lambda kind: makers[kind]()


def stock(store):
    """Keep a job in each state, and no node."""
    fill(store, RealClock())
    stop(store)


def stop(store):
    """Have every node leave."""
    for node in store.nodes():
        store.leave(node.key)


def dated(store):
    """Return statistics and audit log."""
    entries = [store.entries(kind, newer_than=3600.0, limit=10) for kind in ("minute", "audit")]
    return [[(one.at, one.text) for one in found.entries] for found in entries]


def remove(server, name):
    with Redis.from_url(server) as client:
        if keys := list(client.scan_iter(match=f"{{{name}}}:*", count=1000)):
            valkey.remove_lock_folders(client, name)
            client.unlink(*keys)


@pytest.fixture
def make_side(make_url):
    """Make queues over empty stores; they are closed after the test."""
    with ExitStack() as stack:

        def make(kind="memory", **options):
            queue = Queue(make_url(kind), durability="normal", workers=1, **options)
            stack.callback(queue.close)
            return queue

        yield make


@pytest.mark.parametrize(("kind", "other"), PAIRS, ids=["-".join(pair) for pair in PAIRS])
def test_a_queue_is_the_same_in_another_store(kind, other, make_side):
    source, target = make_side(kind), make_side(other)
    stock(source.store)
    kept = enqueue(source.store, "task", "shut", idempotency_key="mine")
    source.pause("shut")
    source.schedules.add("hourly", "task", every=3600)
    source.schedules["hourly"].pause()
    source.store.add_entry("minute", b'{"n":1}', ago=90.0)
    source.store.add_entry("audit", '{"who":"ä"}'.encode(), ago=5.0)
    report = source.copy_to(target)
    assert report.complete
    assert report.copied == sum(report.source.values()) > 15
    assert (report.others, report.ahead, report.schedules) == (0, 0, ("hourly",))
    assert seen(target.store) == seen(source.store)
    assert target.paused() == source.paused() == ["shut"]
    assert target.store.schedules().schedules == source.store.schedules().schedules
    assert enqueue(target.store, "task", "shut", idempotency_key="mine") == kept
    again = source.copy_to(target)
    assert (again.copied, again.complete) == (0, True)
    assert dated(target.store) == dated(source.store)
    assert seen(target.store) == seen(source.store)


@pytest.mark.parametrize(("kind", "other"), [("sqlite", "postgres"), ("postgres", "redis")])
def test_a_copied_queue_drains_and_its_schedules_tick(kind, other, make_side, eventually):
    source, target = make_side(kind), make_side(other)
    stock(source.store)
    source.schedules.add("soon", "task", every=0.5, queue="ticks")
    before = {one.id: one for one in source.store.jobs(JobFilter(), limit=100)}
    assert source.copy_to(target).complete
    waiting = [one for one in before.values() if one.state is JobState.PENDING]
    target.store.reschedule([one.id for one in waiting], delay=0.0)
    target.task(name="task")(lambda *_args: "done")
    target.task(name="other", queue="größer")(lambda *_args: "done")
    with target.worker():
        eventually(lambda: target.stats()["pending"] == 0, within=30)
        eventually(lambda: target.jobs(queue="ticks", status="completed"), within=30)
    for one in waiting:
        job = target.get_job(one.id)
        assert (job.status, job.result(timeout=5)) == ("completed", "done")
        assert len(attempts(job)) == len(attempts(source.get_job(one.id))) + 1
    for one in before.values():
        if one not in waiting:
            assert target.store.get(one.id).state is one.state


def test_what_a_lost_worker_ran_is_copied_as_the_rescue_leaves_it(make_side):
    source, target = make_side("sqlite"), make_side()
    job_id = enqueue(source.store)
    node = join(source.store, "lost")
    source.store.claim(node, [want()])
    source.store.renew(node, lease=0.0)
    assert source.copy_to(target).complete
    job = target.get_job(job_id)
    assert (job.status, job.record.crashes) == ("pending", 1)
    assert source.get_job(job_id).status == "pending"


@pytest.mark.parametrize("side", ["source", "target"])
def test_a_live_worker_on_either_side_is_named_and_nothing_copied(side, make_side):
    sides = {"source": make_side("sqlite"), "target": make_side("sqlite")}
    enqueue(sides["source"].store)
    node = sides[side].store.join("worker-1", host="mill", pid=42, lease=60.0)
    with pytest.raises(StoreUnusable, match=r"worker worker-1 \(process 42 on mill\).*stop all"):
        sides["source"].copy_to(sides["target"])
    assert sides["target"].stats()["pending"] == 0
    sides[side].store.leave(node)
    assert sides["source"].copy_to(sides["target"]).complete


def test_a_worker_that_starts_meanwhile_is_named(make_side, monkeypatch):
    source, target = make_side(), make_side()
    enqueue(source.store)
    raise_marks = target.store.raise_marks

    def start(marks):
        raise_marks(marks)
        source.store.claim(join(source.store, "early"), [want()])

    monkeypatch.setattr(target.store, "raise_marks", start)
    with pytest.raises(StoreUnusable, match="worker early has begun job"):
        source.copy_to(target)


def test_who_only_holds_a_lock_stops_no_copy(make_side):
    source, target = make_side(), make_side()
    with source.lock("a lock"):
        assert source.copy_to(target).complete
    with target.lock("a lock") as lock:
        assert lock.fence > 1


def test_a_target_with_other_jobs_is_refused_unless_it_is_meant(make_side):
    source, target = make_side(), make_side()
    source.store.enqueue_many([new_job()] * 3)
    assert source.copy_to(target).complete
    own = enqueue(target.store)  # producers have moved on
    late = enqueue(source.store)  # and one was late
    with pytest.raises(StoreUnusable, match=r"holds 1 job that.*--into-existing"):
        source.copy_to(target)
    target.store.add_entry("hour", b"{}", ago=1.0)
    for kind in ("minute", "audit"):
        source.store.add_entry(kind, b"{}", ago=1.0)
    report = source.copy_to(target, into_existing=True)
    assert (report.copied, report.others, report.complete) == (1, 1, True)
    assert dated(target.store) == [[], dated(source.store)[1]]  # the minutes may be added up there
    assert [one.id for one in target.store.jobs(JobFilter())][:2] == [own, late]


def test_jobs_that_went_on_in_the_target_are_left_as_they_are(make_side):
    source, target = make_side(), make_side()
    first, second = source.store.enqueue_many([new_job()] * 2)
    source.copy_to(target)
    end(target.store, first)
    stop(target.store)
    with pytest.raises(StoreUnusable, match="1 job of an earlier copy went on"):
        source.copy_to(target)
    late = enqueue(source.store)
    report = source.copy_to(target, into_existing=True)
    assert (report.copied, report.ahead, report.complete) == (1, 1, True)
    states = [target.store.get(one).state.value for one in (first, second, late)]
    assert states == ["completed", "pending", "pending"]


def test_jobs_that_can_not_be_kept_make_the_copy_incomplete(make_side):
    source, target = make_side(), make_side()
    enqueue(target.store)
    taken, kept = source.store.enqueue_many([new_job()] * 2)
    report = source.copy_to(target, into_existing=True)
    assert not report.complete
    assert (report.copied, report.missing, report.key_taken) == (1, 1, 1)
    assert report.examples == (taken,)
    assert target.get_job(kept).status == "pending"


def test_a_unique_key_of_a_live_job_is_waited_for(make_side):
    source, target = make_side(), make_side()
    source.copy_to(target)
    bearer = enqueue(target.store, unique="a")
    job_id = enqueue(source.store, unique="a")
    report = source.copy_to(target, into_existing=True)
    assert (report.complete, report.unique_taken, report.examples) == (False, 1, (job_id,))
    end(target.store, bearer)
    stop(target.store)
    assert source.copy_to(target, into_existing=True).complete


def test_new_jobs_of_the_target_come_after_the_copied_ones(make_side):
    source, target = make_side(), make_side("sqlite")
    ids = source.store.enqueue_many([new_job()] * 5)
    source.copy_to(target)
    ids += [enqueue(target.store)]
    assert [claim.id for claim in target.store.claim(join(target.store), [want()])] == ids


def test_results_are_read_by_the_ids_of_before(make_side):
    source, target = make_side("sqlite"), make_side("sqlite")
    double = source.task(name="double")(lambda number: number * 2)
    with source.worker():
        job = double.delay(21)
        assert job.result(timeout=20) == 42
    source.copy_to(target)
    target.task(name="double")(lambda number: number * 2)
    assert target.get_job(job.id).result(timeout=5) == 42


def test_a_queue_is_not_copied_into_itself_nor_into_what_is_none(make_side):
    queue = make_side("sqlite")
    with pytest.raises(StoreUnusable, match="source and the target"):
        queue.copy_to(queue)
    with pytest.raises(InvalidOption, match="a Queue"):
        queue.copy_to("sqlite:///x.db")


def test_two_urls_of_one_file_are_one_queue(make_side, tmp_path):
    queue = make_side("sqlite")
    job_id = enqueue(queue.store)
    (tmp_path / "link").symlink_to(tmp_path)
    with closing(Queue(queue.url.replace(str(tmp_path), f"{tmp_path}/link"))) as other:
        assert other.get_job(job_id) is not None
        with pytest.raises(StoreUnusable, match="source and the target"):
            queue.copy_to(other)
    assert queue.nodes() == []


def test_the_async_twin_copies(make_side):
    source, target = make_side(), make_side()
    end(source.store, enqueue(source.store), OutcomeKind.CANCELLED)
    stop(source.store)
    report = asyncio.run(source.acopy_to(target))
    assert (report.complete, report.target["cancelled"]) == (True, 1)


def test_pages_of_large_jobs_are_short():
    size = PageSize()
    for _ in range(10):
        size.note(size.limit, 1000)
    assert size.limit == 250
    size.note(250, 250 * PAGE_BYTES)
    assert size.limit == 1


def test_statistics_and_the_audit_log_go_with_the_jobs_once():
    source, target = Queue("memory://"), Queue("memory://")
    for number in range(ENTRIES + 20):
        source.store.add_entry("audit", b"%d" % number, ago=60.0 * (ENTRIES - number + 30))
    source.store.add_entry("hour", b'[1,[["q","t",5]]]', ago=7200.0)
    for _ in range(2):
        source.copy_to(target, into_existing=True)
        found = target.store.entries("audit", newer_than=1e6, limit=1000)
        assert [entry.text for entry in found.entries] == [
            b"%d" % number for number in range(ENTRIES + 19, -1, -1)
        ]
        assert (found.now - found.entries[0].at).total_seconds() == pytest.approx(660, abs=20)
    assert sum(one.completed for one in target.stats_history(10 * 86_400)) == 5


def test_an_audit_log_and_statistics_whose_copy_was_cut_off_are_completed(monkeypatch):
    source, target = Queue("memory://"), Queue("memory://")
    for number in range(10):
        source.store.add_entry("audit", b"%d" % number, ago=60.0 * number)
        source.store.add_entry("hour", b'[1,[["q","t",1]]]', ago=7200.0 * (1 + number))
    keep, kept = target.store.replace_entries, []

    def cut_off(*args, **kwargs):
        if len(kept) in {4, 15}:
            kept.append(None)
            raise StoreUnreachable("store", "cut off", "again")
        kept.append(args)
        return keep(*args, **kwargs)

    monkeypatch.setattr(target.store, "replace_entries", cut_off)
    for _ in range(2):
        with pytest.raises(StoreUnreachable):
            source.copy_to(target)
    source.copy_to(target)
    for kind in ("audit", "hour"):
        ones, others = (
            [
                (one.at, one.text)
                for one in side.store.entries(kind, newer_than=1e6, limit=99).entries
            ]
            for side in (source, target)
        )
        assert ones == others


def test_statistics_of_workers_of_the_target_are_left_as_they_are():
    source, target = Queue("memory://"), Queue("memory://")
    source.store.add_entry("hour", b'[1,[["q","t",5]]]', ago=7200.0)
    source.copy_to(target)
    target.store.add_entry("window", b'[1,[["q","t",1]]]')
    source.store.add_entry("window", b'[1,[["q","t",1]]]', ago=60.0)
    source.copy_to(target)
    assert sum(one.completed for one in target.stats_history(10 * 86_400)) == 6

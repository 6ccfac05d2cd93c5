"""A change of the memory store that an exception ends in its midst leaves nothing behind."""

import pytest

from mainspring.model.job import NewJob
from mainspring.stores.memory import MemoryStore
from mainspring.stores.memory.ledger import Ledger
from mainspring.stores.rules.enqueue import IDEMPOTENT_SECONDS
from mainspring.testing import FrozenClock

DAY = IDEMPOTENT_SECONDS


@pytest.fixture
def clock():
    return FrozenClock()


@pytest.fixture
def store(clock):
    return MemoryStore(clock=clock)


def job(unique=None, idempotency_key=None, **options):
    return NewJob("task", "queue", b"1", unique=unique, idempotency_key=idempotency_key, **options)


def enqueue_and_strike(ledger, jobs, moment, enqueue=Ledger.enqueue):
    enqueue(ledger, jobs, moment)
    raise KeyboardInterrupt


@pytest.fixture
def undone(store, monkeypatch):
    """Enqueue a batch that is interrupted when all of it is done but the commit."""

    def enqueue(*jobs):
        with monkeypatch.context() as patch:
            patch.setattr(Ledger, "enqueue", enqueue_and_strike)
            with pytest.raises(KeyboardInterrupt):
                store.enqueue_many(jobs)

    return enqueue


def test_an_idempotency_key_of_an_undone_batch_names_no_job_that_was_there(store, undone):
    (known,) = store.enqueue_many([job("u")])
    undone(job("u", "i"))
    (again,) = store.enqueue_many([job(None, "i")])
    assert again != known
    assert store.enqueue_many([job(None, "i")]) == [again]


def test_an_idempotency_key_of_an_undone_batch_names_no_job_that_was_not_kept(store, undone):
    undone(job(None, "i"), job("u", "j"))
    first, second = store.enqueue_many([job(None, "i"), job("u", "j")])
    assert store.stats()["queue"]["pending"] == 2
    assert store.enqueue_many([job(None, "j"), job(None, "i")]) == [second, first]


def test_an_idempotency_key_that_was_used_before_an_undone_batch_stays(store, clock, undone):
    (known,) = store.enqueue_many([job(None, "i")])
    undone(job(None, "i"), job(None, "j"))
    assert store.enqueue_many([job(None, "i")]) == [known]
    clock.advance(DAY)
    (after_a_day,) = store.enqueue_many([job(None, "i")])
    assert after_a_day != known


def test_a_lapsed_key_that_an_undone_batch_has_used_again_is_free(store, clock, undone):
    (known,) = store.enqueue_many([job("u", "i")])
    clock.advance(DAY)
    undone(job("u", "i"))
    (again,) = store.enqueue_many([job(None, "i")])
    assert again != known


def test_old_keys_go_in_order_after_an_undone_batch(store, clock, undone):
    store.enqueue_many([job(None, "old")])
    clock.advance(DAY / 2)
    store.enqueue_many([job(None, "new")])
    undone(job(None, "old"), job(None, "other"))
    clock.advance(DAY / 2)
    store.purge(completed_after=0, failed_after=0, limit=10)
    assert list(store._ledger.answers.by_key) == ["new"]


def test_what_an_undone_batch_has_replaced_is_as_it_was(store, undone):
    (known,) = store.enqueue_many([job("u", priority=3)])
    undone(job("u", "i", on_conflict="replace", priority=1))
    assert store.get(known).priority == 3
    assert store.enqueue_many([job(None, "i")]) != [known]


class CountedDict(dict):
    """Counts the passes over it: each steps over all that was deleted at its beginning."""

    passes = 0

    def __iter__(self):
        self.passes += 1
        return super().__iter__()

    def items(self):
        self.passes += 1
        return super().items()


def test_old_idempotency_keys_go_in_one_pass(store, clock):
    answers = store._ledger.answers
    answers.by_key = CountedDict()
    store.enqueue_many([job(None, f"old {number}") for number in range(20)])
    clock.advance(DAY)
    store.enqueue_many([job(None, "new")])
    before = answers.by_key.passes
    store.purge(completed_after=DAY, failed_after=DAY, limit=1)
    assert list(dict.keys(answers.by_key)) == ["new"]
    assert answers.by_key.passes - before == 1

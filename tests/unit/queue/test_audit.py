"""The audit log as Python reads it."""

from datetime import UTC, datetime, timedelta

import pytest

from mainspring import Queue
from mainspring.engine.upkeep.statistics import StatisticsUpkeep
from mainspring.errors import InvalidOption, StoreBusy
from mainspring.model.audit import AUDIT, MOST_TARGETS
from mainspring.queue.audit import note_change
from mainspring.stores.memory import MemoryStore
from mainspring.testing import FrozenClock


@pytest.fixture
def queue():
    queue = Queue("memory://")
    yield queue
    queue.close()


def change(queue, **fields):
    entry = {"actor": "ana", "via": "dashboard", "action": "jobs retry", "targets": ["1-x"]}
    note_change(queue.store, **{**entry, "count": 1, "details": {}, **fields})


def test_changes_come_back_newest_first_with_who_what_and_when(queue):
    change(queue)
    change(queue, actor="ben", action="queues pause", targets=["mail"], details={"from": "::1"})
    newest, first = queue.audit()
    assert (newest.actor, newest.action, newest.targets) == ("ben", "queues pause", ("mail",))
    assert newest.details == {"from": "::1"}
    assert (first.actor, first.via, first.count, first.unreadable) == ("ana", "dashboard", 1, False)
    assert abs(datetime.now(UTC) - newest.at) < timedelta(minutes=1)


def test_pages_lead_to_the_oldest(queue):
    for number in range(25):
        change(queue, actor=str(number))
    seen, cursor = [], None
    while True:
        page = queue.audit(cursor=cursor, limit=10)
        seen += [entry.actor for entry in page]
        cursor = page.cursor
        if cursor is None:
            break
    assert seen == [str(number) for number in range(24, -1, -1)]


@pytest.mark.parametrize(
    "options", [{"limit": 0}, {"limit": 1001}, {"cursor": "x"}, {"cursor": "9" * 30}]
)
def test_a_page_that_is_none_is_refused(queue, options):
    with pytest.raises(InvalidOption, match=next(iter(options))):
        queue.audit(**options)


def test_what_is_too_long_or_no_text_of_a_store_is_cut_and_kept(queue):
    odd = "\0\ud800" + "x" * 10_000
    change(queue, actor=odd, targets=[odd] * 500, count=500, details={odd: odd})
    (entry,) = queue.audit()
    assert entry.actor.startswith("\0\\ud800x")
    assert (len(entry.targets), entry.count) == (MOST_TARGETS, 500)
    assert max(map(len, (entry.actor, *entry.targets, *entry.details))) == 500


@pytest.mark.parametrize(
    "text", [b"", b"odd", b"[]", b'{"actor":5}', b"[" * 20_000, b'{"actor":"%s"}' % (b"x" * 9000)]
)
def test_an_entry_of_somebody_else_is_told_as_such_and_hides_no_other(queue, text):
    change(queue)
    queue.store.add_entry(AUDIT, text)
    odd, other = queue.audit()
    assert (odd.unreadable, odd.actor, odd.targets) == (True, "", ())
    assert other.actor == "ana"


def test_a_change_that_can_not_be_written_down_stands_and_is_logged(queue, monkeypatch, caplog):
    def busy(*_args, **_terms):
        raise StoreBusy("the store", 1.0, "somebody")

    monkeypatch.setattr(queue.store, "add_entry", busy)
    change(queue)
    assert "not in the audit log" in caplog.text
    assert "ana" in caplog.text


def test_entries_are_dropped_after_a_month():
    clock = FrozenClock()
    store = MemoryStore(clock=clock)
    store.add_entry(AUDIT, b"{}")
    upkeep = StatisticsUpkeep(store)
    for days, left in ((30, 1), (2, 0)):
        clock.advance(days * 86_400)
        upkeep.turn()
        assert len(store.entries(AUDIT, newer_than=1e8, limit=9).entries) == left

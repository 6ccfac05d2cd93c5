"""Statistics as values: counted, written, read, added up."""

import pytest

from mainspring.model import statistics
from mainspring.model.job import Claim, Outcome, OutcomeKind
from mainspring.model.statistics import MOST_LANES, Tallies, Wanted, summed
from mainspring.model.view import LaneRecord


def ended(kind, task="t", queue="q", began=10.0, took=0.5, waited=2.0):
    claim = Claim(1, "1-x", 1, task, queue, b"[[],{}]", 1, 0, ready_at=began - waited)
    return claim, Outcome(1, 1, kind, began, began + took)


def tallies(*batch):
    found = Tallies()
    found.count(batch)
    return found


def test_attempts_are_counted_by_their_outcome_and_lane():
    kinds = (OutcomeKind.COMPLETED, OutcomeKind.COMPLETED, OutcomeKind.FAILED, OutcomeKind.RETRY)
    odd = (OutcomeKind.CANCELLED, OutcomeKind.CRASHED, OutcomeKind.SNOOZED, OutcomeKind.RELEASED)
    found = tallies(*map(ended, (*kinds, *odd)), ended(OutcomeKind.FAILED, queue="other"))
    tally = found.lanes["q", "t"]
    assert (tally.completed, tally.failed, tally.retried, tally.cancelled) == (2, 1, 2, 1)
    assert sum(tally.run.values()) == sum(tally.wait.values()) == 8
    assert found.lanes["other", "t"].failed == 1


def test_a_body_that_never_began_has_neither_waited_nor_run():
    found = tallies(ended(OutcomeKind.CANCELLED, began=0.0))
    assert (found.lanes["q", "t"].run, found.lanes["q", "t"].wait) == ({}, {})


def test_texts_add_up_to_what_was_counted():
    one, two = tallies(ended(OutcomeKind.COMPLETED)), tallies(ended(OutcomeKind.FAILED, took=8.0))
    one.sample([LaneRecord("q", "t", 7, 3, 12.5), LaneRecord("q", "empty", 0)])
    total = Tallies()
    assert (total.add(one.text()), total.add(two.text())) == (True, True)
    tally = total.lanes["q", "t"]
    assert (tally.completed, tally.failed, total.samples) == (1, 1, 1)
    assert (tally.ready, tally.scheduled, tally.oldest) == (4, 3, 12.5)
    assert (len(tally.run), sum(tally.run.values())) == (2, 2)
    assert list(total.lanes) == [("q", "t")]


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"odd",
        b"\xff\xfe",
        b"[" * 20_000,
        b"{}",
        b'[0,[["q","t",-1]]]',
        b'[0,[["q","t",1e300]]]',
        b'[0,[["q","t",99999999999999999999]]]',
        b'[0,[["q","t",1,0,0,0,[[100000,1]]]]]',
        b'[0,[["q","t",1,0,0,0,[[-1,1]]]]]',
        b'[0,[["' + b"x" * 5_000 + b'","t",1]]]',
        b'[0,[["q","t",0,0,0,0,[],[],0,0,1e999]]]',
    ],
)
def test_a_text_of_somebody_else_adds_nothing(text):
    total = tallies(ended(OutcomeKind.COMPLETED))
    before = total.text()
    assert not total.add(text)
    assert total.text() == before


def test_numbers_that_grow_without_end_can_still_be_written():
    total = Tallies()
    for _ in range(5):
        assert total.add(b'[1099511627776,[["q","t",1099511627776]]]')
    assert Tallies().add(total.text())


def test_of_too_many_lanes_the_busiest_are_told_apart():
    kind = OutcomeKind.COMPLETED
    busy = [ended(kind, task=f"busy {number}") for number in range(MOST_LANES - 1)] * 2
    rest = [ended(kind, task=f"rest {number}") for number in range(500)]
    alone = [ended(kind, queue=f"queue {number}") for number in range(500)]
    total = Tallies()
    assert total.add(tallies(*busy, *rest, *alone).text())
    assert len(total.lanes) <= MOST_LANES + 2
    assert total.lanes["q", "busy 7"].completed == 2
    told = sum(tally.completed for tally in total.lanes.values())
    assert told == len(busy) + 1000
    assert total.lanes["q", ""].completed >= 499


ODD = ['q"', "t", "\\", "ü", ""]


def odd_lanes():
    """Tallies of lanes whose names are in one another, and have to be escaped."""
    kinds = [OutcomeKind.COMPLETED, OutcomeKind.FAILED]
    lanes = [(queue, task) for queue in ODD for task in ODD] + [("alone", "t")]
    batch = [
        ended(kinds[number % 2], task=task, queue=queue, took=0.1 * number)
        for number, (queue, task) in enumerate(lanes)
        for _ in range(number + 1)
    ]
    return tallies(*batch)


@pytest.mark.parametrize("sums", [True, False])
@pytest.mark.parametrize("task", [None, *ODD, "none"])
@pytest.mark.parametrize("queue", [None, *ODD, "alone", "none"])
def test_a_sum_is_that_of_the_lanes_which_are_asked_for(queue, task, sums):
    all_of_them = odd_lanes()
    fitting = [
        tally
        for lane, tally in all_of_them.lanes.items()
        if queue in {None, lane[0]} and task in {None, lane[1]}
    ]
    found = Tallies()
    assert found.add_sum(all_of_them.text(sums=sums), Wanted(queue, task))
    expected = summed(fitting).written(("", ""))
    assert summed(found.lanes.values()).written(("", "")) == expected


def test_who_asks_for_all_or_for_one_queue_does_not_read_each_lane(monkeypatch):
    reads, read = [], statistics._decode_lane
    monkeypatch.setattr(statistics, "_decode_lane", lambda raw: reads.append(1) or read(raw))
    kind = OutcomeKind.COMPLETED
    lanes = [(f"q{number % 3}", f"t{number}") for number in range(300)]
    text = tallies(*[ended(kind, queue=q, task=t) for q, t in lanes]).text(sums=True)
    found = Tallies()
    for wanted in (Wanted(), Wanted("q1"), Wanted(None, "t7")):
        reads.clear()
        assert found.add_sum(text, wanted)
        assert len(reads) < 3, wanted


def test_a_text_with_sums_is_read_by_who_wants_each_lane():
    found = Tallies()
    assert found.add(odd_lanes().text(sums=True))
    assert found.lanes.keys() == odd_lanes().lanes.keys()


@pytest.mark.parametrize("text", [b"odd", b'[0,[],[],["q"]]', b'[0,[["q","t",-1]],[],null]', b"[]"])
def test_a_sum_of_a_text_of_somebody_else_adds_nothing(text):
    found = Tallies()
    assert not found.add_sum(text, Wanted(None, "t") if b"null" in text else Wanted())
    assert found.lanes == {}

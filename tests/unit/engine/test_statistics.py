"""Statistics of a node: written by windows, added up as they grow old."""

import pytest

from mainspring.engine.statistics import StatisticsWriter
from mainspring.engine.upkeep.statistics import StatisticsUpkeep
from mainspring.model.events import AttemptsEnded, NodeRescued
from mainspring.model.job import Claim, NewJob, Outcome, OutcomeKind, Want
from mainspring.model.statistics import HOUR, MINUTE, RECENT_HOUR, WINDOW, Wanted
from mainspring.model.view import LaneRecord
from mainspring.queue.statistics import Recent, past_of
from mainspring.stores.memory import MemoryStore
from mainspring.testing import FrozenClock

DAY, MONTH = 86_400.0, 31 * 86_400.0


@pytest.fixture
def clock():
    return FrozenClock()


@pytest.fixture
def store(clock):
    return MemoryStore(clock=clock)


@pytest.fixture
def writer(store, clock):
    return StatisticsWriter(store, clock.monotonic)


def done(count=1, queue="q"):
    claim = Claim(1, "1-x", 1, "t", queue, b"[[],{}]", 1, 0, ready_at=1.0)
    return AttemptsEnded(((claim, Outcome(1, 1, OutcomeKind.COMPLETED, 2.0, 2.5)),) * count)


def entries(store, kind):
    return store.entries(kind, newer_than=2 * MONTH, limit=10_000).entries


def completed(store, last=DAY):
    return sum(point.completed for point in past_of(store, last).points())


def test_a_window_is_written_one_turn_after_it_has_ended(writer, store, clock):
    writer.flush()
    writer.note(done())
    clock.advance(5)
    writer.flush()
    assert entries(store, WINDOW) == []
    writer.note(done(10))
    clock.advance(5)
    writer.flush()
    assert completed(store) == 1
    writer.close()
    assert completed(store) == 11


def test_a_node_that_does_nothing_writes_nothing(writer, store):
    for _ in range(3):
        writer.flush()
    assert entries(store, WINDOW) == []


def test_a_window_is_of_the_minute_in_which_it_began(writer, store, clock):
    clock.advance(60 - clock.now() % 60 + 58)
    writer.flush()
    writer.note(done())
    clock.advance(5)
    writer.close()
    ((point),) = past_of(store, DAY).points()
    assert point.at.timestamp() == clock.now() // 60 * 60 - 60


def test_what_could_not_be_written_is_left_out_and_the_next_is_written(writer, store, monkeypatch):
    def refuse(*_args, **_terms):
        raise OSError("full")

    writer.note(done())
    writer.flush()
    with monkeypatch.context() as patched:
        patched.setattr(store, "add_entry", refuse)
        with pytest.raises(OSError, match="full"):
            writer.flush()
    writer.note(done(3))
    writer.close()
    assert completed(store) == 3


def test_windows_become_minutes_and_minutes_hours_and_nothing_is_lost(writer, store, clock):
    upkeep = StatisticsUpkeep(store)
    for _ in range(30):
        for _ in range(4):
            writer.note(done())
            clock.advance(300)
            writer.flush()
        upkeep.turn()
    writer.close()
    clock.advance(180)
    upkeep.turn()
    assert entries(store, WINDOW) == []
    assert completed(store, MONTH) == 120
    assert len(entries(store, MINUTE)) == 120
    clock.advance(DAY + 3600)
    upkeep.turn()
    assert entries(store, MINUTE) == []
    assert len(entries(store, HOUR)) <= 11
    points = past_of(store, MONTH).points()
    assert sum(point.completed for point in points) == 120
    assert {point.seconds for point in points} == {3600.0}
    assert points[0].run["p50"] == pytest.approx(0.5, rel=0.1)
    clock.advance(MONTH)
    upkeep.turn()
    assert entries(store, HOUR) == []


def test_an_hour_is_added_up_once_it_is_whole(store, clock):
    clock.advance(3600 - clock.now() % 3600)
    writer = StatisticsWriter(store, clock.monotonic)
    upkeep = StatisticsUpkeep(store)
    for _ in range(6):
        writer.note(done())
        clock.advance(600)
        writer.flush()
    writer.close()
    clock.advance(DAY - 1800)
    upkeep.turn()
    assert (len(entries(store, MINUTE)), entries(store, HOUR)) == (6, [])
    clock.advance(1860)
    upkeep.turn()
    assert (entries(store, MINUTE), len(entries(store, HOUR))) == ([], 1)


def test_several_nodes_that_add_up_at_once_count_nothing_twice(store, clock):
    writers = [StatisticsWriter(store, clock.monotonic) for _ in range(3)]
    for writer in writers:
        writer.note(done(2))
        writer.close()
    clock.advance(300)
    upkeeps = [StatisticsUpkeep(store) for _ in range(3)]
    read = store.entries

    def others_first(*args, **terms):
        found = read(*args, **terms)
        if upkeeps:
            upkeeps.pop().turn()
        return found

    store.entries = others_first
    StatisticsUpkeep(store).turn()
    store.entries = read
    assert completed(store) == 6
    assert len(entries(store, MINUTE)) == 1


def test_texts_of_somebody_else_go_with_the_others(writer, store, clock):
    store.add_entry(WINDOW, b"odd")
    store.add_entry(MINUTE, b'[0,[["q","t",-5]]]')
    writer.note(done())
    writer.close()
    assert completed(store) == 1
    clock.advance(2 * DAY)
    StatisticsUpkeep(store).turn()
    StatisticsUpkeep(store).turn()
    assert (completed(store, MONTH), entries(store, WINDOW)) == (1, [])


def test_the_past_says_what_waited_and_what_must_have_come(writer, store, clock):
    for waiting, ended in ((100, 10), (150, 20), (110, 50)):
        clock.advance(60)
        writer.sample([LaneRecord("q", "t", waiting, 40, 9.0)])
        writer.note(done(ended))
        writer.close()
    points = past_of(store, DAY).points()
    assert [(point.ready, point.scheduled, point.oldest) for point in points] == [
        (60, 40, 9.0),
        (110, 40, 9.0),
        (70, 40, 9.0),
    ]
    assert [point.enqueued for point in points] == [None, 70, 10]
    of_another = past_of(store, DAY, wanted=Wanted("x")).points()
    assert [point.ready for point in of_another] == [0, 0, 0]


def test_rates_and_the_time_to_empty_are_of_the_time_that_is_known(store, clock):
    clock.advance(60 - clock.now() % 60 + 40)
    writer = StatisticsWriter(store, clock.monotonic)
    writer.sample([LaneRecord("q", "t", 1000)])
    writer.note(done(100))
    writer.close()
    clock.advance(50)
    recent = Recent(store, [LaneRecord("q", "t", 500)], 900.0).by_queue()["q"]
    assert (recent["seconds"], recent["out"]) == (50.0, 2.0)
    assert (recent["in"], recent["empty_in"]) == (0.0, 50.0)
    growing = Recent(store, [LaneRecord("q", "t", 1500)], 900.0).all
    assert (growing["in"], growing["empty_in"]) == (12.0, None)
    assert Recent(store, [], 900.0).all["empty_in"] == 0.0


def test_jobs_that_end_because_their_workers_died_are_counted(writer, store, clock):
    store.enqueue_many([NewJob("t", "q", b"[[],{}]")])
    for _ in range(3):
        clock.advance(60)  # a job that has crashed waits before it runs again
        node = store.join("doomed", host="h", pid=1, lease=15)
        (claim,) = store.claim(node, [Want(tasks=("t",), queues=None, limit=1, suspects=1)])
        rescued = store.rescue(node, dead=True, begun={(claim.key, claim.fence)})
        writer.note(NodeRescued("doomed", len(rescued.requeued), len(rescued.failed), rescued))
    writer.close()
    assert [point.failed for point in past_of(store, DAY).points()] == [1]
    assert Recent(store, [], DAY).all["failed"] == 1


class TestHoursOfTheLastDay:
    """They are added up beside their minutes, so that a day is read by hours."""

    @pytest.fixture
    def worked(self, store, clock):
        """Seven and a half hours with a job a minute, added up as a worker does."""
        clock.advance(3600 - clock.now() % 3600)
        upkeep = StatisticsUpkeep(store)
        for _ in range(450):
            writer = StatisticsWriter(store, clock.monotonic)
            writer.sample([LaneRecord("q", "t", 3)])
            writer.note(done())
            clock.advance(60)
            writer.close()
            upkeep.turn()
        return upkeep

    def recent(self, store, seconds=DAY):
        return Recent(store, [LaneRecord("q", "t", 3)], seconds)

    def test_each_is_written_once_and_the_minutes_stay(self, worked, store):
        hours = [entry.at for entry in entries(store, RECENT_HOUR)]
        assert len(hours) == len(set(hours)) == 7
        assert len(entries(store, MINUTE)) + len(entries(store, WINDOW)) == 450
        assert completed(store) == 450

    @pytest.mark.parametrize("seconds", [DAY, 7 * 3600.0, 5.5 * 3600, 4 * 3600.0])
    def test_the_sum_is_that_of_the_minutes(self, worked, store, seconds):
        by_hours = self.recent(store, seconds)
        for entry in entries(store, RECENT_HOUR):
            assert store.replace_entries(
                RECENT_HOUR, [entry.key], by="elsewhere", at=entry.at, text=entry.text
            )
        by_minutes = self.recent(store, seconds)
        assert by_hours.all == by_minutes.all
        assert by_hours.by_task() == by_minutes.by_task()
        assert by_hours.all["completed"] == min(450, seconds / 60)

    def test_minutes_of_a_summed_hour_are_not_read(self, worked, store, monkeypatch):
        read, minutes = store.entries, []

        def note(kind, **terms):
            found = read(kind, **terms)
            if kind == MINUTE:
                minutes.extend(found.entries)
            return found

        monkeypatch.setattr(store, "entries", note)
        assert self.recent(store).all["completed"] == 450
        assert len(minutes) < 40

    def test_two_sums_of_an_hour_count_once_and_one_that_is_no_sum_not_at_all(self, worked, store):
        newest, *_, oldest = entries(store, RECENT_HOUR)
        store.replace_entries(RECENT_HOUR, (), by=RECENT_HOUR, at=newest.at, text=newest.text)
        store.replace_entries(RECENT_HOUR, [oldest.key], by=RECENT_HOUR, at=oldest.at, text=b"odd")
        store.add_entry(RECENT_HOUR, newest.text)
        assert self.recent(store).all["completed"] == 450

    def test_a_worker_that_comes_later_adds_up_one_hour_a_turn(self, worked, store):
        keys = [entry.key for entry in entries(store, RECENT_HOUR)]
        store.replace_entries(
            RECENT_HOUR,
            keys[:5],
            by="elsewhere",
            at=store.entries(WINDOW, newer_than=1, limit=1).now,
            text=b"0",
        )
        later = StatisticsUpkeep(store)
        later.turn()
        assert len(entries(store, RECENT_HOUR)) == 3
        for _ in range(9):
            later.turn()
        assert len(entries(store, RECENT_HOUR)) == 7

    def test_they_go_after_a_day(self, worked, store, clock):
        clock.advance(DAY + 3600)
        worked.turn()
        worked.turn()
        assert entries(store, RECENT_HOUR) == []
        assert completed(store, MONTH) == 450

"""What bodies say, on its way to a sink: coalesced, in order, bounded, and no job's trouble."""

from __future__ import annotations

import threading
from contextvars import copy_context

import pytest

from mainspring.engine.attempts.current_job import current_job
from mainspring.engine.attempts.running import running
from mainspring.engine.journal import writer as module
from mainspring.engine.journal.writer import JournalWriter, encode_notes
from mainspring.errors import InvalidOption, NotRunning, StoreBusy
from mainspring.model.job import Claim, Outcome, OutcomeKind
from mainspring.model.note import LINE_CHARACTERS, MOST_LINES, Note

BUSY = StoreBusy("jobs.db", 30.0, "somebody")


class NoteSink:
    """Keeps notes; raises what `trouble(notes)` returns."""

    def __init__(self):
        self.batches = []
        self.trouble = None

    def note_many(self, notes):
        error = self.trouble(notes) if self.trouble else None
        if error is not None:
            raise error
        self.batches.append(list(notes))

    @property
    def notes(self):
        return [note for batch in self.batches for note in batch]

    def texts(self, key=1):
        return [text for note in self.notes if note.key == key for _, text in note.lines]


@pytest.fixture
def sink():
    return NoteSink()


@pytest.fixture
def plans():
    return []


@pytest.fixture
def journal(sink, plans):
    return JournalWriter(sink, plans.append)


def claim(key=1, fence=1):
    return Claim(key, f"id-{key}", fence, "t", "default", b"[[],{}]", 1, 0)


def outcome(key=1, fence=1):
    return Outcome(key, fence, OutcomeKind.COMPLETED, 1.0, 2.0, b"1")


@pytest.fixture
def body(journal):
    """Return a function that runs another as the body of a claim, which stays open."""

    def run(function, key=1, fence=1):
        context = copy_context()

        def begin():
            running.set(claim(key, fence))
            journal.begin(key, fence)

        context.run(begin)
        context.run(function)
        return context

    return run


def test_of_many_progresses_the_last_is_written_with_the_last_message(journal, sink, body):
    def work():
        for percent in range(100):
            current_job.progress(percent / 100, "half way" if percent == 50 else None)

    body(work)
    journal.flush()
    assert sink.notes == [Note(1, 1, 0.99, "half way")]


def test_lines_append_in_order_over_flushes(journal, sink, body):
    context = body(lambda: current_job.log("one"))
    context.run(current_job.log, "two")
    journal.flush()
    context.run(current_job.log, "three")
    journal.flush()
    assert sink.texts() == ["one", "two", "three"]


def test_nothing_said_is_nothing_planned_and_nothing_written(journal, sink, plans, body):
    body(lambda: None)
    journal.end(1, 1)
    journal.flush_of([outcome()])
    journal.flush()
    assert (sink.batches, plans) == ([], [])


def test_a_flush_is_planned_once_for_all_that_is_said_before_it(journal, plans, body):
    for key in range(5):
        body(lambda: [current_job.progress(0.1), current_job.log("x")], key)
    assert len(plans) == 1
    journal.flush()
    body(lambda: current_job.progress(0.2))
    assert len(plans) == 2


def test_after_a_slow_flush_the_next_one_waits_its_turn(journal, sink, plans, body, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(module, "monotonic", lambda: now[0])
    sink.trouble = lambda _notes: now.__setitem__(0, now[0] + 1.0)
    body(lambda: current_job.progress(0.1))
    journal.flush()
    body(lambda: current_job.progress(0.2))
    assert plans == [100.0 + module.FLUSH_SECONDS, 101.0 + module.REST_FACTOR]


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        (-3, 0.0),
        (1.5, 1.0),
        (float("inf"), 1.0),
        (True, 1.0),
        (0, 0.0),
        pytest.param(10**400, 1.0, id="huge"),
        pytest.param(-(10**400), 0.0, id="minus huge"),
    ],
)
def test_what_is_beyond_0_to_1_is_clamped(journal, sink, body, said, kept):
    body(lambda: current_job.progress(said))
    journal.flush()
    assert sink.notes == [Note(1, 1, kept)]
    assert type(sink.notes[0].progress) is float


@pytest.mark.parametrize("said", [float("nan"), "half", None, []])
def test_what_is_no_number_is_refused(body, said):
    with pytest.raises(InvalidOption, match="progress") as caught:
        body(lambda: current_job.progress(said))
    assert isinstance(caught.value, ValueError)


def test_outside_a_job_nobody_listens():
    for said in (lambda: current_job.progress(0.1), lambda: current_job.log("x")):
        with pytest.raises(NotRunning, match="outside a job"):
            said()


def test_a_plain_thread_of_a_body_is_outside_the_job(body):
    errors = []

    def speak():
        try:
            current_job.progress(0.5)
        except NotRunning as error:
            errors.append(error)

    def work():
        thread = threading.Thread(target=speak)
        thread.start()
        thread.join()

    body(work)
    assert len(errors) == 1


def test_what_is_said_after_the_end_of_the_attempt_is_ignored(journal, sink, body):
    context = body(lambda: current_job.log("in time"))
    journal.end(1, 1)
    context.run(current_job.log, "late")
    context.run(current_job.progress, 1.0)
    journal.flush()
    assert sink.notes[0].progress is None
    assert sink.texts() == ["in time"]


def test_an_older_attempt_of_a_job_does_not_speak_for_the_newer(journal, sink, body):
    old = body(lambda: None, fence=1)
    journal.end(1, 1)
    body(lambda: current_job.progress(0.2), fence=2)
    old.run(current_job.progress, 0.9)
    journal.flush()
    assert sink.notes == [Note(1, 2, 0.2)]


def test_what_an_attempt_said_is_written_before_its_outcome_and_only_once(journal, sink, body):
    body(lambda: current_job.log("mine"), key=1)
    body(lambda: current_job.log("another's"), key=2)
    journal.end(1, 1)
    journal.flush_of([outcome(1)])
    assert sink.texts(1) == ["mine"]
    assert sink.texts(2) == []
    journal.flush()
    assert (sink.texts(1), sink.texts(2)) == (["mine"], ["another's"])


def test_an_outcome_waits_for_the_words_that_are_being_written(journal, sink, body):
    writing, go_on = threading.Event(), threading.Event()

    def slow(_notes):
        writing.set()
        assert go_on.wait(10)

    context = body(lambda: current_job.log("one"))
    sink.trouble = slow
    flushing = threading.Thread(target=journal.flush)
    flushing.start()
    assert writing.wait(10)
    context.run(current_job.log, "two")
    journal.end(1, 1)
    recording = threading.Thread(target=journal.flush_of, args=([outcome()],))
    recording.start()
    assert sink.batches == []
    go_on.set()
    flushing.join(10)
    recording.join(10)
    assert sink.texts() == ["one", "two"]


def test_a_million_lines_leave_the_last_thousand_of_bounded_length(journal, sink, body):
    line = "x" * (LINE_CHARACTERS + 10)

    def work():
        for number in range(MOST_LINES + 500):
            current_job.log(f"{number} {line}")

    body(work)
    journal.flush()
    texts = sink.texts()
    assert len(texts) == MOST_LINES
    assert texts[0].startswith("500 ")
    assert {len(text) for text in texts} == {LINE_CHARACTERS}


def test_a_message_is_cut_too(journal, sink, body):
    body(lambda: current_job.progress(0.5, "x" * (LINE_CHARACTERS + 1)))
    journal.flush()
    assert len(sink.notes[0].message) == LINE_CHARACTERS


def test_what_is_no_text_is_said_as_print_would(journal, sink, body):
    body(lambda: [current_job.log(5), current_job.log(ValueError("no"))])
    journal.flush()
    assert sink.texts() == ["5", "no"]


def test_a_flush_that_fails_keeps_everything_for_the_next(journal, sink, plans, body):
    context = body(lambda: [current_job.log("one"), current_job.progress(0.1, "early")])
    sink.trouble = lambda _notes: BUSY
    with pytest.raises(StoreBusy):
        journal.flush()
    assert len(plans) == 2
    context.run(current_job.log, "two")
    context.run(current_job.progress, 0.2)
    sink.trouble = None
    journal.flush()
    assert sink.texts() == ["one", "two"]
    assert (sink.notes[0].progress, sink.notes[0].message) == (0.2, "early")


def test_a_flush_that_fails_before_an_outcome_fails_no_outcome(journal, sink, body):
    body(lambda: current_job.log("kept"))
    journal.end(1, 1)
    sink.trouble = lambda _notes: BUSY
    journal.flush_of([outcome()])
    sink.trouble = None
    journal.flush()
    assert sink.texts() == ["kept"]


def test_of_what_is_kept_for_a_store_in_trouble_the_oldest_pages_go(
    journal, sink, body, monkeypatch
):
    monkeypatch.setattr(module, "MOST_BYTES", 12_000)
    sink.trouble = lambda _notes: BUSY
    for key in range(20):
        body(lambda: current_job.log("x" * 3_000), key)
        journal.end(key, 1)
    for _ in range(2):
        with pytest.raises(StoreBusy):
            journal.flush()
    sink.trouble = None
    journal.flush()
    assert [note.key for note in sink.notes] == [17, 18, 19]


def test_a_note_that_is_refused_costs_nobody_elses(journal, sink, body):
    for key in range(5):
        body(lambda: current_job.log("x"), key)
    sink.trouble = lambda notes: (
        ValueError("no such note") if any(note.key == 2 for note in notes) else None
    )
    with pytest.raises(ValueError, match="no such note"):
        journal.flush()
    journal.flush()
    assert [note.key for note in sink.notes] == [0, 1, 3, 4]


def test_many_words_are_written_in_transactions_of_bounded_size(journal, sink, body):
    for key in range(300):
        body(lambda: [current_job.log("x") for _ in range(10)], key)
    journal.flush()
    assert [sum(len(note.lines) for note in batch) for batch in sink.batches] == [1_000] * 3
    for key in range(300):
        body(lambda: current_job.progress(0.5), key)
    sink.batches.clear()
    journal.flush()
    assert [len(batch) for batch in sink.batches] == [256, 44]


def test_text_that_is_no_unicode_is_written_all_the_same(journal, sink, body):
    body(lambda: [current_job.log("file \udcff"), current_job.progress(0.5, "\udcff")])
    journal.flush()
    assert sink.texts() == ["file \\udcff"]
    assert sink.notes[0].message == "\\udcff"


def test_notes_of_a_child_join_what_was_said_before(journal, sink):
    journal.begin(1, 1)
    journal.receive(encode_notes([Note(1, 1, 0.5, "half", ((1.0, "one"),))]))
    journal.receive(encode_notes([Note(1, 1, 0.7), Note(9, 9, 0.1)]))
    journal.receive(b"something of the body's own")
    journal.flush()
    assert sink.notes == [Note(1, 1, 0.7, "half", ((1.0, "one"),))]


def test_a_thread_that_never_stops_talking_and_a_flush_do_not_trip_over_each_other(
    journal, sink, body
):
    context = body(lambda: None)

    def speak():
        for number in range(50_000):
            current_job.log(number)

    thread = threading.Thread(target=context.copy().run, args=(speak,))
    thread.start()
    while thread.is_alive():
        journal.flush()
    journal.flush()
    numbers = [int(text) for text in sink.texts()]
    assert numbers == sorted(set(numbers))
    assert numbers[-1] == 49_999


def test_words_from_many_threads_at_once_are_all_written(journal, sink, body):
    context = body(lambda: None)
    each = MOST_LINES // 8

    def speak(name):
        for number in range(each):
            current_job.log(f"{name} {number}")
            current_job.progress(number / each)

    threads = [threading.Thread(target=context.copy().run, args=(speak, name)) for name in range(8)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        journal.flush()
    journal.flush()
    assert sorted(sink.texts()) == sorted(
        f"{name} {number}" for name in range(8) for number in range(each)
    )
    assert sink.notes[-1].progress == (each - 1) / each

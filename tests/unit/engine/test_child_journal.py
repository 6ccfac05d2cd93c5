"""What a child tells its parent, and how often."""

from __future__ import annotations

from time import monotonic

import msgspec
import pytest

from mainspring.engine.attempts.current_job import current_job
from mainspring.engine.attempts.running import running
from mainspring.engine.journal.child import ForwardedNotes
from mainspring.engine.journal.writer import FLUSH_SECONDS
from mainspring.model.job import Claim
from mainspring.model.note import Note
from mainspring.processes import program

EARLY_SECONDS = 0.002
"""A wait of the system may end so much too early."""


@pytest.fixture
def claim():
    claim = Claim(1, "id-1", 1, "t", "default", b"[[],{}]", 1, 0)
    token = running.set(claim)
    yield claim
    running.reset(token)


@pytest.fixture
def frames(monkeypatch):
    frames = []
    monkeypatch.setattr(program, "send_note", frames.append)
    return frames


def notes(frames):
    return [note for frame in frames for note in msgspec.msgpack.decode(frame, type=list[Note])]


def test_a_body_that_says_nothing_sends_nothing(claim, frames):
    with ForwardedNotes(claim):
        pass
    assert frames == []


def test_everything_is_sent_before_the_reply(claim, frames):
    with ForwardedNotes(claim):
        current_job.progress(0.1)
        current_job.progress(0.2, "here")
    assert notes(frames) == [Note(1, 1, 0.2, "here")]


def test_a_busy_body_sends_at_most_one_frame_each_tenth_of_a_second(claim, frames):
    began = monotonic()
    with ForwardedNotes(claim):
        while len(frames) < 3:
            assert monotonic() < began + 30
            current_job.progress(monotonic() % 1)
    slept = monotonic() - began + EARLY_SECONDS * len(frames)
    assert len(frames) <= 2 + slept / FLUSH_SECONDS

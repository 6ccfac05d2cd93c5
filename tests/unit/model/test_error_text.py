"""What is kept of an error: as much as people read, whatever it carries."""

from __future__ import annotations

from mainspring.model.error_text import (
    MESSAGE_CHARACTERS,
    TRACEBACK_CHARACTERS,
    message_of,
    repr_of,
    traceback_of,
)


def test_a_usual_message_is_kept_as_it_is():
    text = "x" * MESSAGE_CHARACTERS
    assert message_of(ValueError(text)) == text


def test_of_a_huge_message_the_beginning_is_kept_and_its_length_told():
    error = ValueError("it began" + "x" * 10_000_000)
    error.add_note("a note")
    kept = message_of(error)
    assert kept.startswith("it beganxxx")
    assert kept.endswith("... (of 10,000,016 characters)")
    assert len(kept) < MESSAGE_CHARACTERS + 100


def test_of_a_huge_traceback_the_end_is_kept():
    assert len(traceback_of(ValueError("x" * 10_000_000))) == TRACEBACK_CHARACTERS


def test_an_error_whose_repr_raises_is_named_by_its_class():
    class Unreadable(Exception):
        def __repr__(self):
            raise ValueError("no repr")

    assert repr_of(ValueError("x")) == "ValueError('x')"
    assert "Unreadable" in repr_of(Unreadable())

import os
import pty

import pytest

from mainspring.supervision import terminal
from mainspring.supervision.terminal import Terminal


@pytest.fixture
def stream(monkeypatch):
    """A standard stream on a terminal: its descriptor, and that of the terminal's other end."""
    ours, theirs = pty.openpty()
    monkeypatch.setattr(terminal, "STANDARD_STREAMS", (theirs,))
    yield theirs, ours
    for descriptor in (theirs, ours):
        try:
            os.close(descriptor)
        except OSError:
            continue


def test_a_stream_whose_terminal_was_closed_leads_nowhere(stream):
    theirs, ours = stream
    made = Terminal()
    os.close(ours)
    made.drop_if_closed()
    assert os.write(theirs, b"lost") == 4


def test_a_file_that_the_program_has_put_in_the_place_of_a_stream_stays(stream, tmp_path):
    theirs, _ = stream
    made, path = Terminal(), tmp_path / "log"
    with path.open("wb") as log:
        os.dup2(log.fileno(), theirs)
    made.drop_if_closed()
    os.write(theirs, b"the last line")
    assert path.read_bytes() == b"the last line"


def test_a_signal_goes_on_where_no_descriptor_is_free(stream, monkeypatch):
    _, ours = stream
    made = Terminal()
    os.close(ours)

    def refuse(*_):
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(os, "open", refuse)
    made.drop_if_closed()

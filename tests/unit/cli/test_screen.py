import io
import os
import re

import pytest

from mainspring.cli.daemon.screen import NO_WRAP, WRAP, TableScreen, redraws

UP = re.compile(r"\x1b\[(\d+)F\x1b\[J")


class Terminal(io.StringIO):
    """What a terminal of so many lines shows of what was written to it."""

    def isatty(self):
        return True

    def fileno(self):
        raise OSError

    def shown(self):
        text = self.getvalue().replace(NO_WRAP, "").replace(WRAP, "")
        lines, position = [], 0
        for found in UP.finditer(text):
            lines += text[position : found.start()].splitlines()
            del lines[len(lines) - int(found[1]) :]
            position = found.end()
        return lines + text[position:].splitlines()


@pytest.fixture
def terminal():
    return Terminal()


@pytest.fixture
def screen(terminal):
    return TableScreen(terminal)


def test_a_table_takes_the_place_of_the_last_one(screen, terminal):
    screen.show(["a 1", "b 1"])
    screen.show(["a 2"])
    screen.show(["a 3", "b 3"])
    assert terminal.shown() == ["a 3", "b 3"]


def test_what_is_printed_stays_above_the_table(screen, terminal):
    screen.show(["table 1"])
    print("first", file=screen)
    print("second", file=screen)
    screen.show(["table 2"])
    assert terminal.shown() == ["first", "second", "table 2"]


def test_half_a_line_waits_for_its_end(screen, terminal):
    screen.show(["table"])
    screen.write("half ")
    assert terminal.shown() == ["table"]
    screen.write("a line\nand ")
    assert terminal.shown() == ["half a line", "table"]


def test_when_it_is_left_the_table_stays_and_nothing_is_lost(screen, terminal):
    screen.show(["table"])
    screen.write("last words")
    screen.leave()
    print("after", file=screen)
    assert terminal.shown() == ["table", "last words", "after"]


def test_a_table_that_is_too_long_says_what_it_leaves_out(screen, terminal):
    screen.show([f"row {number}" for number in range(100)])
    assert len(terminal.shown()) == 23
    assert terminal.shown()[-1] == "... and 78 more"


def test_only_a_terminal_that_moves_its_cursor_redraws(terminal, monkeypatch):
    monkeypatch.setitem(os.environ, "TERM", "xterm")
    assert redraws(terminal)
    assert not redraws(io.StringIO())
    monkeypatch.setitem(os.environ, "TERM", "dumb")
    assert not redraws(terminal)


def test_a_line_ends_where_the_terminal_does(screen, terminal, monkeypatch):
    monkeypatch.setattr(Terminal, "fileno", lambda _: 1)
    monkeypatch.setattr(os, "get_terminal_size", lambda _: os.terminal_size((4, 10)))
    screen.show(["a long line", "b"])
    assert terminal.shown() == ["a lo", "b"]

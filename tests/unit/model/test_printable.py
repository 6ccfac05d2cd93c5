"""Texts of unknown origin, shown by a terminal or a log."""

import sys
from unicodedata import category

import pytest

from mainspring.model.printable import printable, printable_lines

HARMFUL = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J", r"\x1b[2J"),
        ("a\r\nb", r"a\r\nb"),
        ("\x9b31m", r"\x9b31m"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("\u2028", r"\u2028"),
        ("\udc80", r"\udc80"),
        ("\U000e0001", r"\U000e0001"),
        ("žluť 日本 \u00a0é 🙂", "žluť 日本 \u00a0é 🙂"),
        (r"C:\new", r"C:\new"),
    ],
)
def test_what_would_act_on_a_terminal_is_shown_and_the_rest_stays(text, shown):
    assert printable(text) == shown
    assert printable(shown) == shown


def test_no_harmful_character_passes():
    text = "".join(map(chr, range(sys.maxunicode + 1)))
    assert {category(letter) for letter in printable(text)}.isdisjoint(HARMFUL)


def test_a_traceback_keeps_its_lines_and_nothing_else():
    assert printable_lines("a\n  b\r\n\x1b") == "a\n  b\\r\n\\x1b"

"""Tables of text: cleaned, aligned, and not wider than they may be."""

import pytest

from mainspring.cli.text.table import letters, lines_of

HEADS = ("ID", "TASK", "NOTE")
ROWS = [("1-0a0b0c0d", "app.tasks.import_everything", "it was long ago " * 5), ("2", "b", "")]
ALL = ("NOTE", "TASK")


def table(width, dispensable=ALL):
    return lines_of(HEADS, ROWS, dispensable=dispensable, width=width)


@pytest.mark.parametrize("width", [40, 60, 80, 100])
def test_a_table_is_not_wider_than_the_terminal_and_keeps_ids_whole(width):
    lines = table(width)
    assert max(map(letters, lines)) <= width
    assert all("1-0a0b0c0d" in line for line in lines[1:2])


def test_the_least_important_column_is_shortened_first_and_goes_first():
    assert "app.tasks.import_everything" in table(60)[1]
    assert table(60)[1].endswith("...")
    assert table(30)[0].split() == ["ID", "TASK"]
    assert table(12)[0].split() == ["ID"]


def test_what_is_needed_stays_even_if_it_is_too_wide():
    assert table(5, dispensable=())[1].startswith("1-0a0b0c0d  app.tasks.import_everything")


def test_letters_of_two_columns_are_counted_as_such():
    first, second = lines_of(("A", "B"), [("日本", "x")])
    assert (letters("日本"), letters("é"), letters("e\u0301")) == (4, 1, 1)
    assert first == "A     B"
    assert second == "日本  x"


@pytest.mark.parametrize("width", range(24, 100, 7))
def test_a_column_of_wide_letters_is_shortened_as_others_are(width):
    rows = [("漢字" * 30, "1"), ("short", "2"), ("mixed 漢字 é" * 5, "3")]
    heads, *lines = lines_of(("QUEUE", "JOBS"), rows, dispensable=("QUEUE",), width=width)
    assert heads.split() == ["QUEUE", "JOBS"]
    assert max(map(letters, lines)) <= width
    assert lines[0].startswith("漢字")
    assert "..." in lines[0]


def test_no_cell_moves_the_cursor():
    assert all(line.isprintable() for line in lines_of(("A",), [("\x1b[2J\n\u202e",)]))

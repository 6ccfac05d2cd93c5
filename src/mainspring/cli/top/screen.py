"""The screen: pages as lines of a terminal's size, drawn by rich."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from mainspring.cli.top import pages
from mainspring.cli.top.navigator import PAGES
from mainspring.model.printable import printable

if TYPE_CHECKING:
    from mainspring.cli.top.navigator import Navigator
    from mainspring.cli.top.pages import PageTable
    from mainspring.cli.top.snapshot import Snapshot

HELP = "1-5 page  up/down row  enter look  p pause  r retry  c cancel  esc back  q quit"


def screen(now: Snapshot | None, at: Navigator, width: int, height: int, trouble: str) -> Text:
    """Return all lines of the screen, `height` of them and none wider than `width`."""
    head = [_tabs(at), _line(trouble, "bold red") if trouble else _place(now)]
    foot = [_line(at.message or HELP, "bold yellow" if at.message else "dim")]
    room = max(height - len(head) - len(foot), 1)
    body = [_line("reading...")] if now is None else _body(now, at, width, room)
    lines = [*head, *body[:room], *[Text()] * (room - len(body)), *foot]
    for line in lines:
        line.truncate(width)
    return Text("\n").join(lines[:height])


def _tabs(at: Navigator) -> Text:
    line = Text.assemble(("mainspring top ", "bold"), no_wrap=True)
    for key, (name, _) in PAGES.items():
        line.append(f" {key} {name} ", "reverse" if key == at.page else "")
    return line


def _place(now: Snapshot | None) -> Text:
    return _line("" if now is None else f"{now.at:%H:%M:%S} UTC  {now.url}", "dim")


def _body(now: Snapshot, at: Navigator, width: int, room: int) -> list[Text]:
    if at.job_id is not None:
        job = pages.job_page(now, width)
        return [Text(), *(_line(one) for one in job[min(at.scrolled, len(job) - 1) :])]
    table = at.table(now)
    if at.page != "1":
        return [Text(), *_table(table, width, room - 1, at.chosen(now))]
    lines = [*(_line(one) for one in pages.summary(now)), Text()]
    others = (pages.running(now), pages.failing(now))
    # A gap, a title and heads before the rows of each of the others.
    left = room - len(lines) - sum(3 + min(len(one.rows), pages.OVERVIEW_ROWS) for one in others)
    lines += _table(table, width, max(left, pages.OVERVIEW_ROWS), at.chosen(now))
    for other in others:
        lines += [Text(), *_table(other, width, pages.OVERVIEW_ROWS + 2, None)]
    return lines


def _table(table: PageTable, width: int, room: int, chosen: int | None) -> list[Text]:
    """Return title, heads and the rows around the chosen one, as many as there is room for."""
    if not table.rows:
        return [_line(f"{table.title}: none", "bold")]
    heads, *rows = table.lines(width)
    most = max(room - 2, 1)
    first = max(0, min((chosen or 0) - most // 2, len(rows) - most))
    title = table.title if len(rows) <= most else f"{table.title} ({len(rows):,})"
    shown = [
        _line(row, "reverse" if number == chosen else "")
        for number, row in enumerate(rows[first : first + most], first)
    ]
    return [_line(title, "bold"), _line(heads, "dim"), *shown]


def _line(text: str, style: str = "") -> Text:
    # As text, never as markup: names and errors are somebody's.
    return Text(printable(text), style, no_wrap=True)

"""Charts as SVG, with attributes only: the Content-Security-Policy allows no inline style.

The script `chart.js` shows the values of a moment that one points at: they come with the chart.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainspring.model.duration import span
from mainspring.model.value import Value
from mainspring.web.dashboard.html import Html, tag
from mainspring.web.dashboard.samples import GAP, WINDOW
from mainspring.web.dashboard.words import NOTHING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mainspring.web.dashboard.html import Child

WIDTH, HEIGHT = 600, 120

Point = tuple[float, float]
"""Age in seconds, and value."""


def number(value: float) -> str:
    """Return a value as a text."""
    return f"{value:,.1f}" if value < 10 and value != int(value) else f"{value:,.0f}"  # noqa: PLR2004  # digits


class Line(Value, frozen=True):
    """A line of a chart: its name, the class of its colour, and its points, oldest first."""

    name: str
    kind: str
    points: Sequence[Point]
    unit: str = ""


class Scale(Value, frozen=True):
    """The axes: seconds that it goes back, and after which a line breaks; how a value is said.

    `least` is the value of the whole height where all are less.
    """

    seconds: float = WINDOW
    gap: float = GAP
    least: float = 1.0
    said: Callable[[float], str] = number


def chart(title: str, lines: Sequence[Line], scale: Scale | None = None) -> Html:
    """Return a chart of some time up to now, with its title and the newest values as text."""
    scale = scale or Scale()
    top = _ceiling(max((value for line in lines for _, value in line.points), default=0.0), scale)
    drawn = [
        tag("polyline", points=part, class_=f"line {line.kind}", vector_effect="non-scaling-stroke")
        for line in lines
        for part in _parts(line.points, top, scale)
    ]
    grid = [
        tag("line", x1=0, x2=WIDTH, y1=y, y2=y, class_="grid", vector_effect="non-scaling-stroke")
        for y in (1, HEIGHT // 2, HEIGHT - 1)
    ]
    cursor = tag("line", x1=-1, x2=-1, y1=0, y2=HEIGHT, class_="cursor")
    said = ", ".join(f"{line.name} {_last(line, scale)}" for line in lines)
    picture = tag(
        "svg",
        grid,
        drawn,
        cursor,
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        preserveAspectRatio="none",
        role="img",
        tabindex=0,
        aria_label=f"{title}: {said}",
    )
    legend = [
        tag(
            "span",
            tag("i", class_=line.kind),
            line.name,
            " ",
            tag("b", _last(line, scale), data_points=_points(line, scale)),
        )
        for line in lines
    ]
    top_said: Child = scale.said(top)
    ago = tag("span", f"{span(scale.seconds)} ago")
    return tag(
        "figure",
        tag("figcaption", tag("h2", title), tag("span", legend, class_="legend")),
        tag("div", picture, tag("span", top_said, class_="top"), class_="plot"),
        tag("div", ago, tag("span", "now", class_="now"), class_="axis"),
        class_="card chart",
        data_seconds=scale.seconds,
        data_gap=scale.gap,
    )


def _last(line: Line, scale: Scale) -> str:
    """Return the newest value; nothing if that is older than a gap."""
    if not line.points or line.points[-1][0] > 2 * scale.gap:
        return NOTHING
    return f"{scale.said(line.points[-1][1])}{line.unit}"


def _points(line: Line, scale: Scale) -> str:
    """Return the points of a line as ages and texts, for the script."""
    return "|".join(f"{age:.1f} {scale.said(value)}{line.unit}" for age, value in line.points)


def _parts(points: Sequence[Point], top: float, scale: Scale) -> list[str]:
    """Return the line's pieces: it breaks where nobody has looked for a while."""
    pieces: list[list[Point]] = []
    for point in points:
        if not pieces or pieces[-1][-1][0] - point[0] > scale.gap:
            pieces.append([])
        pieces[-1].append(point)
    return [" ".join(_at(*point, top, scale) for point in _drawn(piece, scale)) for piece in pieces]


def _drawn(piece: list[Point], scale: Scale) -> list[Point]:
    """Return a piece that can be seen: a single point as a dash."""
    if len(piece) > 1:
        return piece
    ((age, value),) = piece
    return [(age + scale.seconds / WIDTH, value), (age, value)]


def _at(age: float, value: float, top: float, scale: Scale) -> str:
    x = WIDTH * (1 - age / scale.seconds)
    return f"{x:.1f},{HEIGHT - 2 - (HEIGHT - 6) * value / top:.1f}"


def _ceiling(value: float, scale: Scale) -> float:
    """Return the next round number above a value."""
    step = scale.least
    while step < value:
        for factor in (2, 3, 4, 6, 8, 10):
            if step * factor >= value:
                return step * factor
        step *= 10
    return step

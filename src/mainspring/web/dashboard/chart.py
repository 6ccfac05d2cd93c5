"""Charts as SVG, with attributes only: the Content-Security-Policy allows no inline style."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainspring.model.value import Value
from mainspring.web.dashboard.html import Html, tag
from mainspring.web.dashboard.samples import GAP, WINDOW
from mainspring.web.dashboard.words import NOTHING

if TYPE_CHECKING:
    from collections.abc import Sequence

WIDTH, HEIGHT = 600, 120

Point = tuple[float, float]
"""Age in seconds, and value."""


class Line(Value, frozen=True):
    """A line of a chart: its name, the class of its colour, and its points, oldest first."""

    name: str
    kind: str
    points: Sequence[Point]
    unit: str = ""

    @property
    def last(self) -> str:
        """The newest value, as text."""
        return f"{_number(self.points[-1][1])}{self.unit}" if self.points else NOTHING


def chart(title: str, lines: Sequence[Line]) -> Html:
    """Return a chart of the last minutes, with its title and the newest values as text."""
    top = _ceiling(max((value for line in lines for _, value in line.points), default=0.0))
    drawn = [
        tag("polyline", points=part, class_=f"line {line.kind}", vector_effect="non-scaling-stroke")
        for line in lines
        for part in _parts(line.points, top)
    ]
    grid = [
        tag("line", x1=0, x2=WIDTH, y1=y, y2=y, class_="grid", vector_effect="non-scaling-stroke")
        for y in (1, HEIGHT // 2, HEIGHT - 1)
    ]
    said = ", ".join(f"{line.name} {line.last}" for line in lines)
    picture = tag(
        "svg",
        grid,
        drawn,
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        preserveAspectRatio="none",
        role="img",
        aria_label=f"{title}: {said}",
    )
    legend = [
        tag("span", tag("i", class_=line.kind), line.name, " ", tag("b", line.last))
        for line in lines
    ]
    return tag(
        "figure",
        tag("figcaption", tag("h2", title), tag("span", legend, class_="legend")),
        tag("div", picture, tag("span", _number(top), class_="top"), class_="plot"),
        tag("div", tag("span", f"{WINDOW / 60:.0f} min ago"), tag("span", "now"), class_="axis"),
        class_="card chart",
    )


def _parts(points: Sequence[Point], top: float) -> list[str]:
    """Return the line's pieces: it breaks where nobody has looked for a while."""
    pieces: list[list[Point]] = []
    for point in points:
        if not pieces or pieces[-1][-1][0] - point[0] > GAP:
            pieces.append([])
        pieces[-1].append(point)
    return [" ".join(_at(*point, top) for point in piece) for piece in pieces if len(piece) > 1]


def _at(age: float, value: float, top: float) -> str:
    x = WIDTH * (1 - age / WINDOW)
    return f"{x:.1f},{HEIGHT - 2 - (HEIGHT - 6) * value / top:.1f}"


def _ceiling(value: float) -> float:
    """Return the next round number above a value."""
    step = 1.0
    while step < value:
        for factor in (2, 3, 4, 6, 8, 10):
            if step * factor >= value:
                return step * factor
        step *= 10
    return step


def _number(value: float) -> str:
    return f"{value:,.1f}" if value < 10 and value != int(value) else f"{value:,.0f}"  # noqa: PLR2004  # digits

"""The workers of a supervisor as a table of text. Pure; `now` is given."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from mainspring.cli.text.table import lines_of
from mainspring.model.duration import distance

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

HEADS = (
    "WORKER",
    "KIND",
    "STATE",
    "RUNS",
    "ERRORS",
    "QUEUED",
    "LAST RUN",
    "NEXT RUN",
    "LAST ERROR",
)
NUMBERS = frozenset({"RUNS", "ERRORS", "QUEUED"})


def table_of(workers: Iterable[Mapping[str, Any]], now: datetime) -> list[str]:
    """Return the lines of a table of what `get_info()["workers"]` holds."""
    return lines_of(HEADS, [_row(worker, now) for worker in workers], numbers=NUMBERS)


def _row(worker: Mapping[str, Any], now: datetime) -> tuple[str, ...]:
    state = worker["state"]
    return (
        worker["name"],
        worker["kind"],
        f"{state}, failing" if worker["failing"] and state != "failed" else state,
        str(worker["runs"]),
        str(worker["errors"]),
        "" if worker["queued"] is None else str(worker["queued"]),
        distance(_moment(worker["last_run"]), now),
        _next_run(worker, now),
        worker["error"] or "",
    )


def _next_run(worker: Mapping[str, Any], now: datetime) -> str:
    moment = _moment(worker["next_run"])
    if moment is None or worker["state"] == "running":
        return ""
    return distance(moment, now) if moment > now else "now"


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)

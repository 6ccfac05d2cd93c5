"""Prints samples as medians and ratios."""

from __future__ import annotations

import os
import platform
import statistics
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.lineup import FLOOR, LINEUPS, OURS, ROWS

if TYPE_CHECKING:
    from collections.abc import Mapping

Samples = dict[tuple[str, str, str], list[float]]
"""All values by row, figure and contestant."""

# Rows of ours that are judged against one another, or against another row of the floor.
COMPARISONS = (
    ("drain, async task", OURS, "drain, sync task", FLOOR),
    ("drain, process executor", OURS, "drain, sync task", FLOOR),
    ("drain, two workers", OURS, "drain, sync task", OURS),
    ("drain, four workers", OURS, "drain, sync task", OURS),
    ("drain, 1 ms of CPU, two workers", OURS, "drain, 1 ms of CPU", OURS),
    ("drain, among 2,000,000 others", OURS, "drain, sync task", OURS),
)


def print_machine(versions: Mapping[str, str], ratio: str = "mainspring divided by it") -> None:
    load = " ".join(f"{value:.1f}" for value in os.getloadavg())
    print(f"Python {platform.python_version()}, {platform.platform()}")
    print(f"{os.cpu_count()} x {processor()}, load {load}")
    print(", ".join(dict.fromkeys(versions.values())))
    print(f"medians; (x) is {ratio}\n")


def processor() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def print_table(samples: Samples) -> None:
    medians = {key: statistics.median(values) for key, values in samples.items()}
    present = {contestant for _, _, contestant in medians}
    known = dict.fromkeys(contestant.name for lineup in LINEUPS.values() for contestant in lineup)
    names = [name for name in known if name in present]
    print("".join([f"{'':<32}{'':<14}", *(f"{name:>20}" for name in names)]))
    for row in ROWS:
        for figure in dict.fromkeys(figure for title, figure, _ in medians if title == row.title):
            cells = [cell(medians, row.title, figure, name) for name in names]
            print("".join([f"{row.title:<32}{figure:<14}", *(f"{text:>20}" for text in cells)]))
    print()
    for title, name, other_title, other_name in COMPARISONS:
        value = medians.get((title, "per second", name))
        other = medians.get((other_title, "per second", other_name))
        if value and other:
            print(f"{name} {title} / {other_name} {other_title}: {value / other:.2f}")


def cell(medians: Mapping[tuple[str, str, str], float], title: str, figure: str, name: str) -> str:
    value = medians.get((title, figure, name))
    if value is None:
        return "-"
    ours = medians.get((title, figure, OURS))
    if name == OURS or ours is None or not value:
        return shown(value)
    return f"{shown(value)} ({shown(ours / value)})"


def shown(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"  # noqa: PLR2004  # three digits tell enough

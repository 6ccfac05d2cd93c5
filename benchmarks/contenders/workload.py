"""The bodies of the jobs; the first one in each process leaves a mark that says when."""

from __future__ import annotations

import os
import time
from pathlib import Path

SPIN = 0.001
"""Seconds of CPU time that `spin` burns."""

_marked: list[str] = []


def add(first: int, second: int) -> int:
    if not _marked:
        mark()
    return first + second


add_in_process = add


async def add_async(first: int, second: int) -> int:
    if not _marked:
        mark()
    return first + second


def spin(first: int, second: int) -> int:
    if not _marked:
        mark()
    end = time.thread_time() + SPIN
    while time.thread_time() < end:
        pass
    return first + second


def nap(first: int, second: int) -> int:
    time.sleep(1)
    return first + second


def mark() -> None:
    """Leave the time at which the first body of this process began."""
    path = Path(os.environ["BENCHMARK_FOLDER"], f"began.{os.getpid()}")
    path.write_text(repr(time.time()))
    _marked.append(path.name)


def forget_marks(folder: str) -> None:
    """Remove the marks of earlier workers."""
    for path in Path(folder).glob("began.*"):
        path.unlink()


def first_began(folder: str) -> float:
    """Return the time of the earliest mark."""
    return min(float(path.read_text()) for path in Path(folder).glob("began.*"))

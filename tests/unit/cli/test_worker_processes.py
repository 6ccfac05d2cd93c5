"""A worker process below the command, and how soon another takes its place."""

from __future__ import annotations

import asyncio
import sys

import pytest

from mainspring.cli.processes import worker_processes
from mainspring.cli.processes.worker_processes import WorkerProcess

ENDS = [sys.executable, "-S", "-c", "raise SystemExit(3)"]


async def ends_of(count):
    """Return what is said of so many processes that end unasked."""
    said = []

    def say(sentence):
        said.append(sentence)
        if len(said) == count:
            process.close()

    process = WorkerProcess(1, ENDS, grace=0.0, say=say)
    await asyncio.wait_for(process.run(lambda: None), 60)
    return said


@pytest.mark.parametrize(("healthy_after", "rests"), [(0.0, False), (30.0, True)])
def test_only_who_ends_soon_after_its_start_is_rested_for(monkeypatch, healthy_after, rests):
    monkeypatch.setattr(worker_processes, "HEALTHY_AFTER", healthy_after)
    first, *others = asyncio.run(ends_of(3))
    assert first.endswith("another starts in 0.0 s")
    assert [one.endswith("in 0.0 s") for one in others] == [not rests] * 2

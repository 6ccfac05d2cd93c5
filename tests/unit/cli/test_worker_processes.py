"""A worker process below the command, and how soon another takes its place."""

from __future__ import annotations

import asyncio
import sys
from unittest.mock import Mock

import pytest

from mainspring.cli.parser import parser
from mainspring.cli.processes import command, worker_processes
from mainspring.cli.processes.command import run_processes
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


class Made(Exception):
    """The group was made."""


def grace_of_group(monkeypatch, *words):
    """Return the grace that the command's group is made with."""

    def make(_commands, *, grace, **_more):
        raise Made(grace)

    monkeypatch.setattr(command, "WorkerProcessGroup", make)
    words = ["worker", "--app", "app:queue", *words]
    with pytest.raises(Made) as caught:
        run_processes(parser(words).parse_args(words))
    return caught.value.args[0]


def test_with_reload_a_worker_is_not_killed_before_the_grace_of_its_queue(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)  # of which it watches the files
    monkeypatch.setattr(command, "Printer", lambda *_: Mock())
    assert grace_of_group(monkeypatch, "--reload") >= 3_600
    assert grace_of_group(monkeypatch, "--reload", "--grace", "7") == 7


@pytest.mark.parametrize(("healthy_after", "rests"), [(0.0, False), (30.0, True)])
def test_only_who_ends_soon_after_its_start_is_rested_for(monkeypatch, healthy_after, rests):
    monkeypatch.setattr(worker_processes, "HEALTHY_AFTER", healthy_after)
    first, *others = asyncio.run(ends_of(3))
    assert first.endswith("another starts in 0.0 s")
    assert [one.endswith("in 0.0 s") for one in others] == [not rests] * 2

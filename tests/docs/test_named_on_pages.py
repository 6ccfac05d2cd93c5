"""Whatever users can write has its place on a page: public names, options, commands."""

from __future__ import annotations

import argparse
import inspect
import re
from pathlib import Path

import pytest

import mainspring
from mainspring.cli.parser import COMMANDS, parser
from mainspring.queue.options import OWN_OPTIONS, QUEUE_OPTIONS, TASK_OPTIONS
from mainspring.queue.queue_task import QueueTask
from mainspring.web import create_task_worker_router, dashboard

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    ROOT / "README.md",
    ROOT / "docs" / "semantics.md",
    *(ROOT / "docs" / "howto").glob("*.md"),
    *(ROOT / "docs" / "coming-from").glob("*.md"),
]
CODE = re.compile(r"^```.*?^```|``?[^`]+``?", re.MULTILINE | re.DOTALL)
WORDS = frozenset(
    word
    for page in PAGES
    for code in CODE.findall(page.read_text())
    for word in re.findall(r"[\w-]+", code)
)

# Only there so that atasker's code runs as it stands.
OF_ATASKER = {"TT_COROUTINE", "TT_MP", "TT_THREAD"}

DOORS = [
    mainspring.AsyncTaskWorker,
    mainspring.AsyncTaskWorker.add_task,
    mainspring.AsyncTaskWorker.get_all_tasks,
    mainspring.AsyncTaskWorker.stop,
    mainspring.AsyncTaskWorker.submit,
    mainspring.Cache,
    mainspring.Exponential,
    mainspring.JobHandle.reschedule,
    mainspring.JobHandle.retry,
    mainspring.PickleCodec,
    mainspring.Queue,
    mainspring.Queue.cron,
    mainspring.Queue.dead_letters,
    mainspring.Queue.every,
    mainspring.Queue.jobs,
    mainspring.Queue.purge,
    mainspring.Queue.register,
    mainspring.Queue.run_worker,
    mainspring.Restart,
    mainspring.Unique,
    QueueTask.using,
    create_task_worker_router,
    dashboard,
    mainspring.task,
]


def commands():
    """Each command and verb, with its options."""
    for name in COMMANDS:
        (top,) = parser([name])._subparsers._group_actions
        yield from options_of(name, top.choices[name])


def options_of(name, command):
    verbs = [one for one in command._actions if isinstance(one, argparse._SubParsersAction)]
    for verb, below in verbs[0].choices.items() if verbs else ():
        yield from options_of(f"{name} {verb}", below)
    if not verbs:
        options = {word for one in command._actions for word in one.option_strings}
        yield pytest.param(name, options - {"-h", "--help"}, id=name)


def test_every_public_name_stands_on_a_page():
    assert set(mainspring.__all__) - OF_ATASKER - WORDS == set()


@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.__qualname__)
def test_every_option_of_a_front_door_stands_on_a_page(door):
    options = inspect.signature(door).parameters.values()
    assert {one.name for one in options if one.default is not one.empty} - WORDS == set()


def test_every_option_of_a_task_and_a_worker_stands_on_a_page():
    assert {*QUEUE_OPTIONS, *TASK_OPTIONS, *OWN_OPTIONS} - WORDS == set()


@pytest.mark.parametrize(("command", "options"), [*commands()])
def test_every_command_and_its_options_stand_on_a_page(command, options):
    assert {*command.split(), *options} - WORDS == set()

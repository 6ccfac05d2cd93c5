"""Every error that a program can meet crosses to another process, and survives a copy, as it is."""

from __future__ import annotations

import copy
import importlib
import inspect
import pickle
import pkgutil

import pytest

import mainspring
from mainspring.errors import MainspringError
from mainspring.model.job import Failure

VALUES = {
    "str": "a word",
    "int": 3,
    "float": 1.5,
    "object": "anything",
    "str | None": "1-0a",
    "int | None": -9,
    "tuple[str, ...]": ("one", "two"),
    "Failure": Failure("E", "why", "Traceback"),
    "float | timedelta | None": 2.0,
    "float | timedelta": 2.0,
}
"""An argument for each type that a parameter of an error has."""

ELSEWHERE = (
    "mainspring.__main__",
    "mainspring.processes.program",
    "mainspring.testing",
)


def exceptions():
    """Yield each class of the package that can be raised."""
    for module in pkgutil.walk_packages(mainspring.__path__, "mainspring."):
        if module.name.startswith(ELSEWHERE):
            continue
        for found in vars(importlib.import_module(module.name)).values():
            if inspect.isclass(found) and issubclass(found, BaseException):
                yield found


def is_seen(kind):
    """Whether a program can meet a class that is none of the tree; others are caught by us."""
    return kind.__module__.startswith(("mainspring.model.", "mainspring.private_files"))


OURS = sorted(
    {one for one in exceptions() if issubclass(one, MainspringError) or is_seen(one)},
    key=lambda one: one.__qualname__,
)


def made(kind):
    """Make an error as our code does: with a value for each parameter, also the optional ones."""
    if "__init__" not in {name for base in kind.__mro__[:-3] for name in vars(base)}:
        return kind("a sentence")
    args, kwargs = [], {}
    for name, one in list(inspect.signature(kind.__init__).parameters.items())[1:]:
        if one.kind is one.KEYWORD_ONLY:
            kwargs[name] = VALUES[one.annotation]
        elif one.kind is one.POSITIONAL_OR_KEYWORD:
            args.append(VALUES[one.annotation])
    return kind(*args, **kwargs)


def told(error):
    """All that can be read of an error."""
    return type(error), str(error), error.args, vars(error)


WAYS = {
    "pickled": lambda error: pickle.loads(pickle.dumps(error)),
    "pickled by the first protocol": lambda error: pickle.loads(pickle.dumps(error, 0)),
    "copied": copy.copy,
    "copied deeply": copy.deepcopy,
}


@pytest.mark.parametrize("way", WAYS.values(), ids=list(WAYS))
@pytest.mark.parametrize("kind", OURS, ids=lambda kind: kind.__qualname__)
def test_an_error_is_the_same_afterwards(kind, way):
    error = made(kind)
    error.add_note("said later")
    again = way(error)
    assert again is not error
    assert told(again) == told(error)


class OfAUser(MainspringError, ValueError):
    """What a program derives from ours."""

    def __init__(self, first, second, *, third):
        self.third = third
        super().__init__(f"{first} and {second}")


@pytest.mark.parametrize("way", WAYS.values(), ids=list(WAYS))
def test_an_error_that_a_program_derives_from_ours_is_the_same_afterwards(way):
    error = OfAUser(1, 2, third=[3])
    assert told(way(error)) == told(error)


def test_all_of_the_tree_are_tried():
    assert {one for one in vars(mainspring.errors).values() if inspect.isclass(one)} <= set(OURS)
    assert len(OURS) > 45

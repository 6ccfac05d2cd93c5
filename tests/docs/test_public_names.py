"""What `help()` says of a public name: in a sentence what it is, and so does each member."""

from __future__ import annotations

import inspect

import pytest

import mainspring

NAMES = [
    name
    for name in mainspring.__all__
    if not name.startswith(("TASK_", "TT_"))  # numbers and words: told where they are used
]


def told_of(thing):
    """What bears the docstring: a class, a function, or the class of an object."""
    return thing if inspect.isroutine(thing) or inspect.isclass(thing) else type(thing)


def members(kind):
    """The public methods and properties of a class, with their docstrings, if they are ours."""
    for base in inspect.getmro(kind):
        if base.__module__.startswith("mainspring"):
            for name, found in vars(base).items():
                is_told = inspect.isroutine(found) or isinstance(found, property)
                if is_told and not name.startswith("_"):
                    yield f"{base.__name__}.{name}", found.__doc__


@pytest.mark.parametrize("name", NAMES)
def test_a_public_name_says_in_a_sentence_what_it_is(name):
    first, *_ = (told_of(getattr(mainspring, name)).__doc__ or "").splitlines()
    assert first.endswith(".")
    # A dataclass without a docstring has its signature there.
    assert not first.startswith(name)


@pytest.mark.parametrize("name", NAMES)
def test_a_public_members_docstring_is_there(name):
    told = told_of(getattr(mainspring, name))
    found = dict(members(told)) if inspect.isclass(told) else {}
    assert [member for member, doc in found.items() if not doc] == []

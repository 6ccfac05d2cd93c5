"""The verbs of SQL stores: the store's protocols, `SqlVerbs` and each database's module agree."""

from __future__ import annotations

from inspect import isfunction, signature

import pytest

from mainspring.protocols import Locks, Portable, TimeSeries
from mainspring.protocols import store as protocols
from mainspring.stores.postgres import verbs as postgres_verbs
from mainspring.stores.sql.verbs import SqlVerbs
from mainspring.stores.sqlite import verbs as sqlite_verbs

SEAMS = (
    protocols.Store,
    protocols.Catalog,
    protocols.Controls,
    protocols.Journal,
    protocols.Timetable,
    Locks,
    Portable,
    TimeSeries,
    Portable,
)

# What the front adds to each call, and takes from each answer.
OF_THE_FRONT = frozenset({"self", "connection", "moment", "lanes"})
OF_THE_DATABASE = frozenset({"any_late", "any_old_entry", "any_orphan"})
AGES_BY_STATE = "purge"
ANSWERS_WITH_WHETHER_TO_NOTIFY = "tick"
ASKED_ONLY_IF_THERE_ARE_ANY = "rescue_orphans"


def methods(kind):
    return {name: one for name, one in vars(kind).items() if isfunction(one) and name[0] != "_"}


PROMISED = {name: method for seam in SEAMS for name, method in methods(seam).items()}
VERBS = methods(SqlVerbs)


def parameters(method):
    """Return the parameters of a method that its caller gives, in order, with their types."""
    return [
        (one.name, one.annotation, one.kind)
        for one in signature(method).parameters.values()
        if one.name not in OF_THE_FRONT
    ]


def test_every_verb_is_a_method_of_the_store_or_the_database_s_own():
    assert VERBS.keys() - PROMISED.keys() == OF_THE_DATABASE


@pytest.mark.parametrize("verb", sorted(VERBS.keys() - OF_THE_DATABASE - {AGES_BY_STATE}))
def test_a_verb_takes_and_returns_what_the_store_s_method_does(verb):
    promised, taken = parameters(PROMISED[verb]), parameters(VERBS[verb])
    assert [one[:2] for one in taken] == [one[:2] for one in promised]
    returned = signature(VERBS[verb]).return_annotation
    if verb == ANSWERS_WITH_WHETHER_TO_NOTIFY:
        returned = returned.replace("tuple[list[str], bool]", "list[str]")
    if verb == ASKED_ONLY_IF_THERE_ARE_ANY:
        returned = f"{returned} | None"
    assert returned == signature(PROMISED[verb]).return_annotation


@pytest.mark.parametrize("module", [sqlite_verbs, postgres_verbs], ids=["sqlite", "postgres"])
@pytest.mark.parametrize("verb", sorted(VERBS))
def test_a_database_s_verb_takes_what_the_front_gives(module, verb):
    given = signature(VERBS[verb]).parameters
    taken = signature(getattr(module, verb)).parameters
    by_place = [name for name, one in given.items() if one.kind is not one.KEYWORD_ONLY][1:]
    assert list(taken)[: len(by_place)] == by_place
    own = [one for name, one in taken.items() if name not in given]
    assert all(one.default is not one.empty for one in own), "the front gives no more"
    assert given.keys() - {"self"} <= taken.keys()

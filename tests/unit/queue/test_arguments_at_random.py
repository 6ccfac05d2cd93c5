"""Any arguments come back equal and of the same types, or are refused at `delay`."""

from __future__ import annotations

import threading
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mainspring import Queue
from mainspring.errors import InvalidArguments

LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(),
    st.text(st.characters(codec=None, categories=["Cs", "L"]), max_size=3),
    st.binary(),
    st.decimals(allow_nan=False),
    st.uuids(),
    st.dates(),
    st.times(),
    st.datetimes(),
    st.datetimes(timezones=st.just(UTC)),
    st.timedeltas(),
    st.integers(min_value=10**30, max_value=10**60),
    st.sampled_from([object(), threading.Lock(), len, int, 1j, range(3), ..., NotImplemented]),
)
HASHABLE = st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5), st.uuids())
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.tuples(inner, inner),
        st.dictionaries(HASHABLE, inner, max_size=4),
        st.dictionaries(st.sampled_from(["$dict", "$type", "$pickle", "a"]), inner, max_size=2),
        st.frozensets(HASHABLE, max_size=4),
        st.sets(HASHABLE, max_size=4),
    ),
    max_leaves=12,
)
STORABLE = (
    str,
    int,
    float,
    bytes,
    Decimal,
    UUID,
    date,
    time,
    datetime,
    timedelta,
    type(None),
)


@pytest.fixture(scope="module")
def echo():
    queue = Queue("memory://")
    yield queue.task(name="echo")(lambda *args, **kwargs: [args, kwargs])
    queue.close()


def same(one, other):
    """Whether two values are equal, of the same types, and nan where the other is."""
    if type(one) is not type(other):
        return False
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return all(map(same, one, other)) and all(map(same, one.values(), other.values()))
    return one == other or (one != one and other != other)  # noqa: PLR0124  # nan


def plain(value):
    """Whether a value is made of nothing but what the docs promise to store."""
    if isinstance(value, str):
        return not any("\ud800" <= character <= "\udfff" for character in value)
    if isinstance(value, (list, tuple, set, frozenset)):
        return all(map(plain, value))
    if isinstance(value, dict):
        return all(map(plain, value)) and all(map(plain, value.values()))
    return type(value) in {*STORABLE, bool}


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(VALUES, max_size=3).map(tuple),
    st.dictionaries(st.text(max_size=4), VALUES, max_size=3),
)
def test_arguments_come_back_equal_or_are_refused_at_delay(echo, args, kwargs):
    if plain(args) and plain(kwargs):
        job = echo.delay(*args, **kwargs)
        assert same(job.args, args)
        assert same(job.kwargs, kwargs)
    else:
        with pytest.raises(InvalidArguments, match="echo"):
            echo.delay(*args, **kwargs)

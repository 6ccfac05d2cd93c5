import json
import math
import socket
from collections import OrderedDict, namedtuple
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from enum import Enum
from pathlib import Path
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.errors import InvalidArguments
from mainspring.model.codec import JsonCodec, Undecodable, Unstorable

BERLIN = ZoneInfo("Europe/Berlin")


class Color(Enum):
    RED = 1
    BLUE = 2


@dataclass
class Point:
    x: object
    y: object = None


class Message(msgspec.Struct):
    x: object
    y: object = None


class Money:
    def __init__(self, cents):
        self.cents = cents

    def __eq__(self, other):
        return type(other) is Money and other.cents == self.cents

    def __hash__(self):
        return hash(self.cents)


class Str(str):
    __slots__ = ()


class Zone(tzinfo):
    def utcoffset(self, _):
        return timedelta(0)


Pair = namedtuple("Pair", "a b")  # noqa: PYI024  # the untyped one is refused as well


@pytest.fixture
def codec():
    return JsonCodec()


def shape(value):
    """Return what tells values apart: type and content all the way down, nan equal to nan."""
    kind = type(value)
    if kind in {list, tuple}:
        return kind, [shape(item) for item in value]
    if kind in {set, frozenset}:
        return kind, sorted(map(repr, map(shape, value)))
    if kind is dict:
        return kind, [(shape(key), shape(item)) for key, item in value.items()]
    if kind in {Point, Message}:
        return kind, shape(value.x), shape(value.y)
    return kind, repr(value)


def through(codec, value):
    return codec.decode_result(codec.encode_result(value))


PLAIN = [
    None,
    True,
    2**64,
    -(2**200),
    10**4000,
    -0.0,
    1e16,
    math.inf,
    math.nan,
    "\x00\x1f\x7f\u2028é😀",
    '{"$tuple":[]}',
    [1, [2.5, [None]]],
    {"a": {"b": [1]}},
]
TAGGED = [
    (),
    (1, (2,)),
    {1, "a", (2, 3)},
    frozenset({b"x"}),
    bytes(range(256)),
    bytearray(b"ab"),
    {1: "a", None: 2, (1, 2): [3]},
    {"$tuple": [1]},
    {"$": {"$dict": 1}},
    {"$a": 1, "$b": 2},
    datetime.fromisoformat("2026-03-01T12:30:01.000005"),
    datetime(2026, 3, 1, tzinfo=UTC),
    datetime(2026, 3, 1, tzinfo=timezone(timedelta(hours=-3, seconds=7))),
    datetime(2026, 10, 25, 2, 30, tzinfo=BERLIN, fold=1),
    datetime(2026, 10, 25, 2, 30, tzinfo=BERLIN),
    datetime.fromisoformat("2026-10-25T02:30").replace(fold=1),
    datetime.fromisoformat("9999-12-31T23:59:59.999999"),
    date(1, 1, 1),
    time(23, 59, 59, 999999),
    time(1, tzinfo=UTC),
    time(1, tzinfo=BERLIN, fold=1),
    timedelta.min,
    timedelta(days=-1, microseconds=1),
    UUID(int=7),
    Decimal("-0.10"),
    Decimal("1E+9999"),
    Decimal("sNaN123"),
]


# Ids by number: the order of a set differs between the processes of one run.
@pytest.mark.parametrize("value", PLAIN + TAGGED, ids=range(len(PLAIN + TAGGED)))
def test_a_value_comes_back_equal_and_of_its_type(codec, value):
    assert shape(through(codec, value)) == shape(value)
    args, kwargs = codec.decode_call(codec.encode_call("t", (value, 1), {"k": value}))
    assert shape((args, kwargs)) == shape(((value, 1), {"k": value}))


@pytest.mark.parametrize("args", [(), (1, 2), ("a", None)])
@pytest.mark.parametrize("kwargs", [{}, {"a": 1}, {"$tuple": [1]}, {"$x": (1,)}])
def test_a_call_comes_back(codec, args, kwargs):
    assert codec.decode_call(codec.encode_call("t", args, kwargs)) == (args, kwargs)


def test_plain_arguments_are_told_as_plain_json(codec):
    assert json.loads(codec.encode_call("t", (1, [2.5]), {"a": None})) == [[1, [2.5]], {"a": None}]


def test_equal_sets_give_one_text(codec):
    ascending, descending = (1, 9, 17, "a"), ("a", 17, 9, 1)
    assert codec.encode_result(set(ascending)) == codec.encode_result(set(descending))


@pytest.mark.parametrize("value", [10**5000, -(10**5000)], ids=["positive", "negative"])
def test_no_limit_on_digits_keeps_an_int_from_coming_back(codec, value):
    assert through(codec, [value]) == [value]
    assert codec.decode_call(codec.encode_call("t", (value,), {}))[0] == (value,)


def test_a_registered_type_comes_back(codec):
    codec.register(Money, lambda money: (money.cents,), lambda told: Money(*told))
    assert through(codec, {"price": [Money(5)], "set": {Money(6)}}) == {
        "price": [Money(5)],
        "set": {Money(6)},
    }


def test_a_registered_class_goes_before_what_a_record_of_it_would_be(codec):
    codec.register(Point, lambda point: [point.x, point.y], lambda told: Point(*told))
    assert b"$type" in codec.encode_result(Point(1))
    assert through(codec, Point(1)) == Point(1)


@pytest.mark.parametrize("cls", [int, list, datetime, type(None)])
def test_a_built_in_type_needs_no_registering(codec, cls):
    with pytest.raises(ValueError, match="needs no registering"):
        codec.register(cls, str, str)


def test_a_type_registered_elsewhere_only_is_undecodable(codec):
    elsewhere = JsonCodec()
    elsewhere.register(Money, lambda money: money.cents, Money)
    with pytest.raises(Undecodable, match="Money' is not registered here"):
        codec.decode_result(elsewhere.encode_result(Money(1)))


async def unawaited():
    """Stands for the function below a plain wrapper: the coroutine is closed below."""


async def unread():
    yield 1


coroutine = unawaited()
coroutine.close()

REFUSED = [
    (coroutine, "it is a coroutine, of which nothing has run: await it"),
    ((number for number in [1]), "it is a generator, of which nothing has run: make a list"),
    ({"a": [unread()]}, r"\['a'\]\[0\] is an async generator, of which nothing has run"),
    (object(), "it is of type object"),
    (1j, "it is of type complex"),
    (Str("a"), "Str, a subclass of str: its own type would be lost"),
    (Pair(1, 2), "Pair, a subclass of tuple: its own type would be lost"),
    (OrderedDict(a=1), "it is of type collections.OrderedDict, a subclass of dict: its own type"),
    (Path("a"), "Path"),
    (len, "it is of type builtin_function_or_method"),
    ("a\ud800", "it holds a lone surrogate"),
    (["a", {"b": "\udfff"}], r"\[1\]\['b'\] holds a lone surrogate"),
    ({"\ud800": 1}, "key .* holds a lone surrogate"),
    ({"a": [1, Path()]}, r"\['a'\]\[1\] is of type pathlib"),
    ({Path(): 1}, "key PosixPath.* is of type pathlib"),
    ({1, Path()}, "element PosixPath.* is of type pathlib"),
    (datetime(2026, 1, 1, tzinfo=Zone()), "has a tzinfo of type .*Zone; give a ZoneInfo"),
]


@pytest.mark.parametrize(("value", "sentence"), REFUSED, ids=[case[1] for case in REFUSED])
def test_what_would_not_come_back_is_refused_with_the_way_to_it(codec, value, sentence):
    with pytest.raises(Unstorable, match=sentence):
        codec.encode_result(value)


def test_a_refused_result_tells_why_and_where(codec):
    with pytest.raises(Unstorable) as caught:
        codec.encode_result([1j])
    assert caught.value.why == "[0] is of type complex"


def test_a_refused_argument_is_named_with_its_task_and_with_what_can_be_stored(codec):
    with socket.socket() as unstorable, pytest.raises(InvalidArguments) as caught:
        codec.encode_call("mail.send", (1, {"a": [unstorable]}), {})
    assert "task 'mail.send': argument 2 ['a'][0] is of type socket.socket;" in str(caught.value)
    assert "UUID, Decimal, Enum" in str(caught.value)


@pytest.mark.parametrize(
    ("args", "kwargs", "sentence"),
    [
        ((object(),), {}, "argument 1 is of type object"),
        ((1,), {"to": object()}, "argument 'to' is of type object"),
        (("\ud800",), {}, "argument 1 holds a lone surrogate"),
        ((), {"\ud800": 1}, "the name '.ud800' holds a lone surrogate"),
    ],
)
def test_a_refused_argument_is_found(codec, args, kwargs, sentence):
    with pytest.raises(InvalidArguments, match=sentence):
        codec.encode_call("t", args, kwargs)


def test_what_a_registered_type_is_told_as_must_be_storable_itself(codec):
    codec.register(Money, lambda money: [object()], Money)
    with pytest.raises(Unstorable, match=r"\['a'\] as its to_json gives it\[0\] is of type object"):
        codec.encode_result({"a": Money(1)})


def nested(depth, inner=None):
    for _ in range(depth):
        inner = [inner]
    return inner


def cycle():
    loop = [1]
    loop.append({"again": (loop, loop)})
    return loop


@pytest.mark.parametrize(
    "value",
    [cycle(), nested(101), nested(100, {"a": 1}), nested(5000)],
    ids=["cycle", "list", "dict", "very deep"],
)
def test_what_contains_itself_or_is_too_deep_is_refused(codec, value):
    with pytest.raises(Unstorable, match="nested more than 100 deep, or contains itself"):
        codec.encode_result({"a": value})
    with pytest.raises(InvalidArguments, match="argument 1 is nested more than 100 deep"):
        codec.encode_call("t", (value,), {})


@pytest.mark.parametrize("inner", [1, (1,), {"a": 1}, Point(1)])
def test_the_deepest_that_is_encoded_is_decoded(codec, inner):
    value = next(
        value
        for depth in range(100, 0, -1)
        if (value := nested(depth, inner)) and not is_refused(codec, value)
    )
    assert through(codec, value) == value


def is_refused(codec, value):
    try:
        codec.encode_result(value)
    except Unstorable:
        return True
    return False


def test_too_large_arguments_name_their_size_and_the_limit():
    with pytest.raises(InvalidArguments, match="take 2,009 bytes as JSON, over limit_bytes=1,000"):
        JsonCodec(limit_bytes=1000).encode_call("t", ("x" * 2000,), {})
    with pytest.raises(Unstorable, match="it takes 2,002 bytes as JSON, over limit_bytes=1,000"):
        JsonCodec(limit_bytes=1000).encode_result("x" * 2000)


def test_the_limit_is_one_mebibyte_unless_said_otherwise(codec):
    codec.encode_result("x" * ((1 << 20) - 2))
    with pytest.raises(Unstorable, match="1,048,577 bytes"):
        codec.encode_result("x" * ((1 << 20) - 1))


MALFORMED = [
    b"[",
    b"\xff",
    b'"\xff"',
    b"1e400",
    b"1" * 5000,
    b"[" * 100_000,
    b'{"$tuple":[' * 101 + b"]}" * 101,
]


@pytest.mark.parametrize("text", MALFORMED, ids=range(len(MALFORMED)))
def test_a_malformed_text_is_undecodable(codec, text):
    with pytest.raises(Undecodable):
        codec.decode_result(text)
    with pytest.raises(Undecodable):
        codec.decode_call(b"[[" + text + b"],{}]")


@pytest.mark.parametrize("text", [b"null", b"[]", b"[[]]", b"[{},{}]", b"[[],[]]", b"[[],{},1]"])
def test_what_is_no_call_is_undecodable(codec, text):
    with pytest.raises(Undecodable, match="stored arguments"):
        codec.decode_call(text)


zones = st.none() | st.just(UTC) | st.timezones()
hashable = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(max_size=5),
        st.sampled_from(["$tuple", "$", "$dict"]),
        st.binary(max_size=5),
        st.uuids(),
        st.decimals(allow_nan=False),
        st.datetimes(timezones=zones),
        st.times(timezones=zones),
        st.dates(),
        st.timedeltas(),
        st.sampled_from(Color),
    ),
    lambda inner: st.lists(inner, max_size=3).map(tuple) | st.frozensets(inner, max_size=3),
    max_leaves=5,
)
values = st.recursive(
    hashable | st.binary(max_size=5).map(bytearray) | st.decimals(),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(st.text(max_size=3) | st.just("$set"), inner, max_size=3),
        st.dictionaries(hashable, inner, max_size=3),
        st.sets(hashable, max_size=3),
        st.builds(Point, inner, inner),
        st.builds(Message, inner, inner),
    ),
    max_leaves=12,
)


@given(values)
def test_any_storable_value_comes_back(value):
    codec = JsonCodec()
    text = codec.encode_result(value)
    assert shape(codec.decode_result(text)) == shape(value)
    assert min(text) >= ord(" ")
    json.loads(text, parse_constant=pytest.fail)


@given(st.lists(values, max_size=3), st.dictionaries(st.text(max_size=3), values, max_size=3))
def test_any_storable_call_comes_back(args, kwargs):
    codec = JsonCodec()
    call = codec.decode_call(codec.encode_call("t", tuple(args), kwargs))
    assert shape(call) == shape((tuple(args), kwargs))


odd = st.one_of(
    st.builds(object),
    st.complex_numbers(),
    st.text(st.characters(categories=["Cs"]), min_size=1),
    st.builds(Str, st.text()),
    st.builds(Pair, st.integers(), st.integers()),
    st.builds(OrderedDict),
)


@given(
    st.recursive(
        odd,
        lambda inner: st.one_of(
            st.tuples(values, inner).map(list),
            st.tuples(inner, values),
            st.fixed_dictionaries({"a": values, "b": inner}),
            st.builds(Point, values, inner),
        ),
        max_leaves=3,
    )
)
def test_any_value_that_holds_an_unstorable_one_is_refused(value):
    with pytest.raises(Unstorable):
        JsonCodec().encode_result(value)

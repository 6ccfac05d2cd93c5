"""Tagged values: Python values as plain JSON ones, and back.

What JSON has no word for becomes an object of one key that begins with `$`, such as
`{"$uuid": "…"}`. A dict of the user's that looks like one becomes `$dict`, a list of pairs, as
are dicts with other keys than str. The exact type counts: a subclass of str, int or
list that is no Enum is refused, since its type would be lost.

It does not know bytes, limits or tasks: that is the codec's.
"""

from __future__ import annotations

import sys
from binascii import a2b_base64, b2a_base64
from collections.abc import Callable
from datetime import date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from functools import partial
from math import isfinite
from reprlib import repr as shorten
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

from msgspec import Struct
from msgspec.json import Encoder

from mainspring.model.record import (
    KINDS,
    TooDeep,
    Undecodable,
    Unstorable,
    kind_of,
    rebuild,
    stored_name,
    type_name,
)
from mainspring.model.signature import UNRUN

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MAX_DEPTH = 100
"""Deepest nesting of containers."""

SCALARS: frozenset[type] = frozenset({str, int, bool, type(None)})
"""Types that JSON carries as they are; floats are not among them for the sake of nan."""

STORABLE = (
    "None, bool, int, float, str, bytes, list, tuple, set, dict, datetime, date, time, timedelta, "
    "UUID, Decimal, Enum, dataclass, msgspec Struct, pydantic model"
)
"""Types that can be stored, as error messages list them."""

MALFORMED = (
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    OSError,
    RecursionError,
)
"""Errors of readers and constructors over a forged or outdated text."""

_COMMON_BITS = 64  # longer integers are out of reach for many readers of JSON
_STR = frozenset({str})
_Moment = TypeVar("_Moment", datetime, time)
_encode = Encoder().encode


class Leaf(Struct, frozen=True):
    """A type without children: its encoder and decoder, and the JSON types of its text."""

    tag: str
    kind: type
    bodies: tuple[type, ...]
    encode: Callable[[Any], object]
    decode: Callable[[Any], object]


class Registered(Struct, frozen=True):
    """A type of the user's: its name in JSON, its encoder and decoder."""

    name: str
    encode: Callable[[Any], object]
    decode: Callable[[Any], object]


def _base64(value: bytes) -> str:
    return b2a_base64(value, newline=False).decode("ascii")


def _bytes(text: str) -> bytes:
    return a2b_base64(text, strict_mode=True)


def _encode_moment(value: datetime | time) -> object:
    zone = value.tzinfo
    if zone is None or type(zone) is timezone or _is_of_pydantic(zone):
        text = value.isoformat()
        return [text, None, 1] if value.fold else text
    return [value.replace(tzinfo=None).isoformat(), _zone_key(zone), value.fold]


def _is_of_pydantic(zone: tzinfo) -> bool:
    """Return whether pydantic read the moment: it has a class of its own for what is an offset."""
    # Asked without importing it, as of its models.
    return type(zone) is getattr(sys.modules.get("pydantic_core"), "TzInfo", None)


def _zone_key(zone: tzinfo) -> str:
    from zoneinfo import ZoneInfo  # noqa: PLC0415  # a lazy door: few jobs carry a time zone

    if type(zone) is not ZoneInfo or not zone.key:
        zone_type = type_name(type(zone))
        raise Unstorable(f"has a tzinfo of type {zone_type}; give a ZoneInfo with a key")
    return zone.key


def _decode_moment(cls: type[_Moment], body: Any) -> _Moment:
    if type(body) is str:
        return cls.fromisoformat(body)
    text, key, fold = body
    moment = cls.fromisoformat(text).replace(fold=fold)
    if key is None:
        return moment
    from zoneinfo import ZoneInfo  # noqa: PLC0415  # as above

    return moment.replace(tzinfo=ZoneInfo(key))


def _encode_timedelta(value: timedelta) -> list[int]:
    return [value.days, value.seconds, value.microseconds]


def _decode_timedelta(body: list[int]) -> timedelta:
    days, seconds, microseconds = body
    return timedelta(days, seconds, microseconds)


_FLOATS = {"nan": float("nan"), "inf": float("inf"), "-inf": float("-inf")}

LEAVES = (
    Leaf("float", float, (str,), repr, _FLOATS.__getitem__),
    # In hex, which no limit on digits bounds.
    Leaf("int", int, (str,), hex, lambda text: int(text, 16)),
    Leaf("bytes", bytes, (str,), _base64, _bytes),
    Leaf("bytearray", bytearray, (str,), _base64, lambda text: bytearray(_bytes(text))),
    Leaf("datetime", datetime, (str, list), _encode_moment, partial(_decode_moment, datetime)),
    Leaf("time", time, (str, list), _encode_moment, partial(_decode_moment, time)),
    Leaf("date", date, (str,), date.isoformat, date.fromisoformat),
    Leaf("timedelta", timedelta, (list,), _encode_timedelta, _decode_timedelta),
    Leaf("uuid", UUID, (str,), str, UUID),
    Leaf("decimal", Decimal, (str,), str, Decimal),
)
_LEAF_BY_TYPE = {leaf.kind: leaf for leaf in LEAVES}
_EXAMPLES = (datetime(1970, 1, 1), date(1970, 1, 1))  # noqa: DTZ001  # only its class counts
_LEAF_BY_TAG = {leaf.tag: leaf for leaf in LEAVES}

_ROWS: dict[type, str] = {tuple: "tuple", set: "set", frozenset: "frozenset"}
_ROW_BY_TAG: dict[str, Callable[[Iterable[object]], object]] = {
    tag: kind for kind, tag in _ROWS.items()
}
BUILT_IN = (*_LEAF_BY_TYPE, *_ROWS, list, dict, str)
"""Types that are encoded without being registered."""


def _stood_in_for(kind: type) -> Leaf | None:
    """Return datetime or date if `kind` stands in for it, as the classes of frozen clocks do.

    Such a class takes each plain value for one of its own; an ordinary subclass does not.
    """
    for example in _EXAMPLES:
        if issubclass(kind, type(example)) and isinstance(example, kind):
            return _LEAF_BY_TYPE[type(example)]
    return None


class TaggedEncoder:
    """Encodes values as JSON ones, or raises `Unstorable`.

    `plain` are the types left as they are unlooked at; without int, ints too long for JSON readers
    are written in hex.
    """

    def __init__(self, registered: dict[type, Registered], plain: frozenset[type]) -> None:
        self._registered = registered
        self._plain = plain

    def encode(self, value: Any, depth: int = 0) -> object:
        """Return the JSON value that tells `value`, which stands inside `depth` containers."""
        kind = type(value)
        if kind in self._plain or (kind is float and isfinite(value)):
            return value
        if kind is list:
            return self._list(value, depth + 1)
        if kind is dict:
            return self._dict(value, depth + 1)
        if kind in _LEAF_BY_TYPE:
            return self._leaf(value)
        if kind in _ROWS:
            return self._row(value, depth + 1)
        return self._other(value, depth + 1)

    def encode_all(self, values: Iterable[object], depth: int) -> list[Any]:
        """Return the JSON values that tell the elements of a container."""
        _check_depth(depth)
        plain, encode = self._plain, self.encode
        return [item if type(item) in plain else encode(item, depth) for item in values]

    def encode_values(self, value: dict[str, Any], depth: int) -> dict[str, object]:
        """Return a dict with the same keys, whose values are encoded."""
        _check_depth(depth)
        plain, encode = self._plain, self.encode
        return {
            key: item if type(item) in plain else encode(item, depth) for key, item in value.items()
        }

    def _list(self, value: list[Any], depth: int) -> object:
        if depth <= MAX_DEPTH and self._plain.issuperset(map(type, value)):
            return value
        return self.encode_all(value, depth)

    def _leaf(self, value: Any) -> object:
        kind = type(value)
        if kind is int and value.bit_length() <= _COMMON_BITS:
            return value
        leaf = _LEAF_BY_TYPE[kind]
        return {f"${leaf.tag}": leaf.encode(value)}

    def _row(self, value: Any, depth: int) -> object:
        items = self.encode_all(value, depth)
        if type(value) is not tuple:
            # Equal sets give one text, so that a text can serve as a key.
            items.sort(key=_encode)
        return {f"${_ROWS[type(value)]}": items}

    def _dict(self, value: dict[Any, Any], depth: int) -> object:
        if _STR.issuperset(map(type, value)) and not _looks_tagged(value):
            return self.encode_values(value, depth)
        keys, values = self.encode_all(value, depth), self.encode_all(value.values(), depth)
        return {"$dict": list(zip(keys, values, strict=True))}

    def _other(self, value: Any, depth: int) -> object:
        entry = self._registered.get(type(value))
        if entry is not None:
            return {"$type": [entry.name, self.encode(entry.encode(value), depth)]}
        leaf = _stood_in_for(type(value))
        if leaf is not None:
            return {f"${leaf.tag}": leaf.encode(value)}
        return self._record(value, depth)

    def _record(self, value: Any, depth: int) -> object:
        kind = kind_of(type(value))
        if kind is None or (kind.tag != "enum" and _extended(value)):
            raise Unstorable(_refusal(value))
        parts = self.encode_all(kind.take_apart(value), depth)
        return {f"${kind.tag}": [stored_name(type(value)), *parts]}

    def steps(self, value: Any) -> Iterator[tuple[str, object]]:
        """Yield what stands directly inside `value`, each with how one gets there."""
        kind = type(value)
        if kind is list or kind is tuple:
            yield from ((f"[{index}]", item) for index, item in enumerate(value))
        elif kind is set or kind is frozenset:
            yield from ((f" element {shorten(item)}", item) for item in value)
        elif kind is dict:
            yield from ((f" key {shorten(key)}", key) for key in value)
            yield from ((f"[{shorten(key)}]", item) for key, item in value.items())
        elif kind in self._registered:
            yield " as its to_json gives it", self._registered[kind].encode(value)
        else:
            yield from _fields(value)


class TaggedDecoder:
    """Decodes what `TaggedEncoder` encoded, or raises `Undecodable`."""

    def __init__(self, registered: dict[str, Registered]) -> None:
        self._registered = registered

    def decode(self, encoded: Any, depth: int = 0) -> Any:
        """Return the value that the JSON value tells."""
        kind = type(encoded)
        if kind is list:
            return self.decode_all(encoded, depth + 1)
        if kind is dict:
            return self._object(encoded, depth + 1)
        return encoded

    def decode_all(self, encoded: Iterable[Any], depth: int) -> list[Any]:
        """Return the elements of a container."""
        if depth > MAX_DEPTH:
            raise Undecodable(f"is nested more than {MAX_DEPTH} deep")
        return [self.decode(item, depth) for item in encoded]

    def decode_values(self, encoded: dict[str, Any], depth: int) -> dict[str, Any]:
        """Return a dict with the same keys, whose values are read."""
        return dict(zip(encoded, self.decode_all(encoded.values(), depth), strict=True))

    def _object(self, encoded: dict[str, Any], depth: int) -> object:
        if not _looks_tagged(encoded):
            return self.decode_values(encoded, depth)
        [(key, body)] = encoded.items()
        try:
            return self._tagged(key[1:], body, depth)
        except Undecodable:
            raise
        except MALFORMED as error:
            msg = f"{key} does not hold what it should: {type(error).__name__}: {error}"
            raise Undecodable(msg) from error

    def _tagged(self, tag: str, body: Any, depth: int) -> object:
        leaf = _LEAF_BY_TAG.get(tag)
        if type(body) not in (leaf.bodies if leaf else (list,)):
            raise Undecodable(f"${tag} can't hold {type(body).__name__}")
        return leaf.decode(body) if leaf else self._container(tag, body, depth)

    def _container(self, tag: str, body: list[Any], depth: int) -> object:
        if tag in _ROW_BY_TAG:
            return _ROW_BY_TAG[tag](self.decode_all(body, depth))
        if tag == "dict":
            return self._pairs(body, depth)
        if tag == "type":
            return self._own(body, depth)
        if tag in KINDS:
            name, *parts = body
            return rebuild(tag, name, self.decode_all(parts, depth))
        raise Undecodable(f"unknown tag ${tag}")

    def _pairs(self, body: list[Any], depth: int) -> object:
        keys = self.decode_all([key for key, _ in body], depth)
        return dict(zip(keys, self.decode_all([value for _, value in body], depth), strict=True))

    def _own(self, body: list[Any], depth: int) -> object:
        name, encoded = body
        entry = self._registered.get(name)
        if entry is None:
            raise Undecodable(f"the type {name!r} is not registered here: codec.register(…)")
        return entry.decode(self.decode(encoded, depth))


def _check_depth(depth: int) -> None:
    if depth > MAX_DEPTH:
        raise TooDeep(f"is nested more than {MAX_DEPTH} deep, or contains itself")


def _fields(value: object) -> Iterator[tuple[str, object]]:
    record = kind_of(type(value))
    try:
        parts = record.take_apart(value) if record else ()
    except Unstorable:
        return
    for part in parts:
        if type(part) is dict:
            yield from ((f".{name}", item) for name, item in part.items())


def _looks_tagged(value: dict[str, Any]) -> bool:
    return len(value) == 1 and next(iter(value)).startswith("$")


def _extended(value: object) -> type | None:
    return next((base for base in type(value).__mro__ if base in BUILT_IN), None)


def _refusal(value: object) -> str:
    if type(value) in UNRUN:
        return f"is {UNRUN[type(value)]}"
    name, base = type_name(type(value)), _extended(value)
    if base is None:
        return f"is of type {name}"
    return f"is of type {name}, a subclass of {base.__name__}: its own type would be lost"

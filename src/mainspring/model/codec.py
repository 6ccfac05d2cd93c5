r"""The codec: arguments and results as JSON texts, and back.

It writes JSON that anyone can read, with tags for what JSON has no word for (see `tagged`). The
text holds no raw control characters. To PostgreSQL: keep it as `json`, text or bytes, not as
`jsonb`, which refuses \u0000 in a string, turns 1e16 into an integer and -0.0 into 0.0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from msgspec import DecodeError
from msgspec.json import Decoder, Encoder

from mainspring.errors import InvalidArguments
from mainspring.model.record import TooDeep, Undecodable, Unstorable, type_name
from mainspring.model.script import module_names
from mainspring.model.tagged import (
    BUILT_IN,
    SCALARS,
    STORABLE,
    Registered,
    TaggedDecoder,
    TaggedEncoder,
)

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["JsonCodec", "Undecodable", "Unstorable"]

_T = TypeVar("_T")

LIMIT_BYTES = 1 << 20
"""Default limit of a call's or a result's text: 1 MiB."""

_MARK = b'"$'  # stands in every text with a tag
_UNREADABLE = (DecodeError, UnicodeDecodeError, RecursionError)
_encode = Encoder().encode
_encode_sorted = Encoder(order="deterministic").encode
_decode = Decoder().decode
_decode_call = Decoder(tuple[tuple[Any, ...], dict[str, Any]]).decode
_plain = SCALARS.issuperset


class JsonCodec:
    """Encodes calls and results, of at most `limit_bytes` each.

    May be used from any thread. What it decodes is equal to what was encoded and of the same type.
    Decoding imports nothing, and makes only values of types that are built in, registered, or
    records of a class that is loaded already (see `record`).
    """

    def __init__(self, limit_bytes: int = LIMIT_BYTES) -> None:
        self.limit_bytes = limit_bytes
        self._by_type: dict[type, Registered] = {}
        self._by_name: dict[str, Registered] = {}
        self._encoder = TaggedEncoder(self._by_type, SCALARS)
        self._careful = TaggedEncoder(self._by_type, SCALARS - {int})
        self._decoder = TaggedDecoder(self._by_name)

    def register(
        self, cls: type[_T], to_json: Callable[[_T], object], from_json: Callable[[Any], _T]
    ) -> None:
        """Store instances of exactly `cls`, not of its subclasses, as what `to_json` returns.

        That must be storable itself; `from_json` is given it back. Goes before what the codec
        would do with a record of that class. Every process must register the same types.
        """
        if cls in BUILT_IN or cls in SCALARS:
            raise ValueError(f"{type_name(cls)} needs no registering: the codec stores it itself")
        names = [f"{module}:{cls.__qualname__}" for module in module_names(cls.__module__)]
        entry = self._by_type[cls] = Registered(names[0], to_json, from_json)
        self._by_name.update(dict.fromkeys(names, entry))

    def encode_call(self, task: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bytes:
        """Return the JSON text `[args, kwargs]`, or raise `InvalidArguments`."""
        payload = None
        if _plain(map(type, args)) and (not kwargs or _plain(map(type, kwargs.values()))):
            payload = _as_it_is((args, kwargs))
        if payload is None:
            payload = self._encoded_call(task, args, kwargs)
        if len(payload) > self.limit_bytes:
            raise InvalidArguments(f"task {task!r}: its arguments take {self._excess(payload)}")
        return payload

    def decode_call(
        self,
        payload: bytes,
        task: str = "",  # noqa: ARG002  # the seam's: plain JSON is anybody's
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return `(args, kwargs)`, or raise `Undecodable`."""
        try:
            args, kwargs = _decode_call(payload)
            if _MARK not in payload:
                return args, kwargs
            return tuple(self._decoder.decode_all(args, 0)), self._decoder.decode_values(kwargs, 0)
        except _UNREADABLE as error:
            raise Undecodable(f"the stored arguments can't be read: {error}") from error

    def canonical_call(self, task: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bytes:
        """Return a text that equal arguments of equal types share, whatever the order of dicts.

        Raises `InvalidArguments` as `encode_call` does.
        """
        return _encode_sorted(_in_order(_decode(self.encode_call(task, args, kwargs))))

    def encode_result(self, value: object, task: str = "") -> bytes:  # noqa: ARG002  # as above
        """Return the JSON text of a result, or raise `Unstorable`."""
        raw = _as_it_is(value) if type(value) in SCALARS else None
        if raw is None:
            raw = self._encoded_result(value)
        if len(raw) > self.limit_bytes:
            raise Unstorable(f"takes {self._excess(raw)}")
        return raw

    def decode_result(self, raw: bytes, task: str = "") -> Any:  # noqa: ARG002  # as above
        """Return the result, or raise `Undecodable`."""
        try:
            value = _decode(raw)
            return self._decoder.decode(value) if _MARK in raw else value
        except _UNREADABLE as error:
            raise Undecodable(f"the stored result can't be read: {error}") from error

    def _encoded_call(self, task: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bytes:
        try:
            return self._encoded(
                lambda encoder: (encoder.encode_all(args, 0), encoder.encode_values(kwargs, 0))
            )
        except (Unstorable, UnicodeEncodeError, RecursionError) as error:
            raise InvalidArguments(
                f"task {task!r}: {self._culprit(args, kwargs) or error}; "
                f"what can be stored: {STORABLE}, or a type given to queue.register()"
            ) from None

    def _encoded_result(self, value: object) -> bytes:
        try:
            return self._encoded(lambda encoder: encoder.encode(value))
        except (Unstorable, UnicodeEncodeError, RecursionError) as error:
            raise self._located(value) or error from None

    def _encoded(self, encode: Callable[[TaggedEncoder], object]) -> bytes:
        try:
            return _encode(encode(self._encoder))
        except ValueError:  # an int of very many digits, or a lone surrogate
            return _encode(encode(self._careful))

    def _culprit(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str | None:
        named = [(f"argument {number}", arg) for number, arg in enumerate(args, 1)]
        named += [(f"the name {name!r}", name) for name in kwargs]
        named += [(f"argument {name!r}", arg) for name, arg in kwargs.items()]
        faults = ((where, self._located(arg)) for where, arg in named)
        return next((fault.sentence_about(where) for where, fault in faults if fault), None)

    def _located(self, value: object) -> Unstorable | None:
        """Return what is wrong with `value` and the path to it, by trying each part alone."""
        path, fault = "", self._fault(value)
        while fault is not None and not isinstance(fault, TooDeep):
            inside = self._first_fault(value)
            if inside is None:
                break
            step, value, fault = inside
            path += step
        return fault and Unstorable(fault.fault, path)

    def _first_fault(self, value: object) -> tuple[str, object, Unstorable] | None:
        faults = ((step, part, self._fault(part)) for step, part in self._careful.steps(value))
        return next(((step, part, fault) for step, part, fault in faults if fault), None)

    def _fault(self, value: object) -> Unstorable | None:
        try:
            _encode(self._careful.encode(value))
        except Unstorable as fault:
            return fault
        except UnicodeEncodeError:
            return Unstorable("holds a lone surrogate, which UTF-8 can't carry")
        except RecursionError:
            return TooDeep("is nested too deep for the stack that is left")
        return None

    def _excess(self, text: bytes) -> str:
        return (
            f"{len(text):,} bytes as JSON, over limit_bytes={self.limit_bytes:,}; "
            "store less, such as a path or a key, or raise the limit"
        )


def _as_it_is(value: object) -> bytes | None:
    """Return the text of scalars, or None for the rare ones that JSON can't carry."""
    try:
        return _encode(value)
    except ValueError:
        return None


def _in_order(value: Any) -> Any:
    """Return a JSON value with the pairs of each `$dict` sorted."""
    if type(value) is list:
        return [_in_order(item) for item in value]
    if type(value) is not dict:
        return value
    ordered = {key: _in_order(item) for key, item in value.items()}
    if len(ordered) == 1 and type(ordered.get("$dict")) is list:
        ordered["$dict"].sort(key=_encode_sorted)
    return ordered

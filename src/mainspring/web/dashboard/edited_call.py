"""Arguments of a job that somebody edits as JSON: no object is made of them here.

What is hidden is shown as such, and comes back where it still stands. Values that JSON has not
(moments, records, ...) are JSON with a tag: they can be kept or removed, and not be written.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from msgspec import DecodeError, json

from mainspring.errors import InvalidArguments
from mainspring.model.signature import task_signature
from mainspring.model.value import Value
from mainspring.web.dashboard.redaction import HIDDEN, PICKLE

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from mainspring.model.signature import TaskSignature
    from mainspring.model.view import JobRecord
    from mainspring.web.dashboard.site import Site

LARGEST_BYTES = 64 * 1024
"""Arguments above it are not edited in a form."""

_UNREADABLE = (DecodeError, UnicodeError, RecursionError)


class NotEditable(Exception):
    """Arguments that can't be edited here, or not like that; the text says why."""


class EditedCall(Value, frozen=True):
    """The new arguments as they are stored, and the names of those that differ."""

    payload: bytes
    names: tuple[str, ...]


class CallForm:
    """The arguments of one job, to be edited. Raises NotEditable if they can't be."""

    def __init__(self, site: Site, record: JobRecord) -> None:
        self._original = _call_in(record.payload)
        self._name_at = partial(site.redaction.name_at, record.task)
        self._signature = _signature(site, record.task)
        secrets = set[str]()
        named = site.redaction.call(self._original, record.task, secrets)
        self._shown = _mapped(named, lambda leaf: HIDDEN if _says(leaf, secrets) else leaf)
        if any(one in text for text in self.texts for one in secrets):
            raise NotEditable("a value that is hidden stands in the name of another one")

    @property
    def texts(self) -> tuple[str, str]:
        """The arguments by place and by name, as JSON texts."""
        args, kwargs = self._shown
        return _text(args), _text(kwargs)

    @property
    def parameters(self) -> list[str] | None:
        """The names of the task's parameters; None if the task is not known here."""
        return None if self._signature is None else list(self._signature.signature.parameters)

    def edited(self, args_text: str, kwargs_text: str) -> EditedCall:
        """Return the arguments that two texts say; raises NotEditable."""
        args = _read("Arguments by place", args_text, list, "a list, as in [1, 2]")
        kwargs = _read("Arguments by name", kwargs_text, dict, 'an object, as in {"name": 1}')
        call = _restored([args, kwargs], self._original, self._shown)
        known = {json.encode(one) for one in _tagged(self._original)}
        for one in _tagged(call):
            if json.encode(one) not in known:
                raise NotEditable(
                    f"{json.encode(one).decode()[:80]} stands for a value that JSON has not: such "
                    "a value can be kept as it is or removed, and a new one comes from a program"
                )
        if self._signature is not None:
            try:
                self._signature.check(tuple(call[0]), call[1])
            except InvalidArguments as error:
                raise NotEditable(str(error)) from None
        return EditedCall(json.encode(call), tuple(dict.fromkeys(self._changed(call))))

    def _changed(self, call: Any) -> Iterator[str]:
        (args, kwargs), (old_args, old_kwargs) = call, self._original
        for place in range(max(len(args), len(old_args))):
            if _differ(args[place : place + 1], old_args[place : place + 1]):
                yield self._name_at(place) or f"argument {place + 1}"
        for name in {**old_kwargs, **kwargs}:
            if _differ(*([one[name]] if name in one else [] for one in (kwargs, old_kwargs))):
                yield name


def _differ(one: list[Any], other: list[Any]) -> bool:
    """Return whether two JSON values are stored otherwise: 1 and true are equal in Python."""
    return json.encode(one) != json.encode(other)


def _call_in(payload: bytes) -> Any:
    if len(payload) > LARGEST_BYTES:
        raise NotEditable(f"its arguments take {len(payload):,} bytes, too much for a form")
    try:
        call = json.decode(payload)
        holds_pickle = any(PICKLE in one for one in _tagged(call))
    except _UNREADABLE:
        raise NotEditable("its arguments can't be read as JSON") from None
    match call:
        case [list(), dict()] if not holds_pickle:
            return call
    raise NotEditable("its arguments are no plain JSON, as a codec of its own has made them")


def _signature(site: Site, name: str) -> TaskSignature | None:
    for task in site.queue.tasks:
        if task.name == name:
            return task_signature(name, task.function, task.injected)
    return None


def _read(what: str, text: str, kind: type, expected: str) -> Any:
    try:
        value = json.decode(text.encode())
    except _UNREADABLE as error:
        raise NotEditable(f"{what}: this is no JSON: {error}") from None
    if type(value) is not kind:
        raise NotEditable(f"{what}: this is not {expected}")
    return value


def _restored(edited: Any, original: Any, shown: Any) -> Any:
    """Return what was edited with the hidden values where they are still said to be."""
    if edited == HIDDEN:
        if shown != HIDDEN:
            raise NotEditable(
                f"{HIDDEN} stands for a hidden value, which can stay where it is or be replaced"
            )
        return original
    if isinstance(edited, dict):
        return {
            key: _restored(one, _in(original, key), _in(shown, key)) for key, one in edited.items()
        }
    if isinstance(edited, list):
        _refuse_moved(edited, shown if isinstance(shown, list) else [])
        return [
            _restored(one, _in(original, place), _in(shown, place))
            for place, one in enumerate(edited)
        ]
    return edited


def _refuse_moved(edited: list[Any], shown: list[Any]) -> None:
    """Raise NotEditable if a hidden value in a list may not be the one that stood at its place."""
    shrunk, resized = len(edited) < len(shown), len(edited) != len(shown)
    for place, one in enumerate(edited):
        if not _holds_hidden(one) or one == HIDDEN != _in(shown, place):
            continue
        is_same = one == _in(shown, place)
        if (shrunk and shown.count(one) > 1) or (not is_same and (resized or one in shown)):
            raise NotEditable(
                f"which {HIDDEN} stands where in a list whose values have moved is not certain: "
                "leave them in their places, or write the hidden ones"
            )


def _holds_hidden(value: Any) -> bool:
    if isinstance(value, dict):
        value = list(value.values())
    return any(map(_holds_hidden, value)) if isinstance(value, list) else bool(value == HIDDEN)


def _in(value: Any, key: str | int) -> Any:
    """Return the part of a JSON value at a name or a place; None if there is none."""
    if isinstance(key, str):
        return value.get(key) if isinstance(value, dict) else None
    return value[key] if isinstance(value, list) and key < len(value) else None


def _mapped(value: Any, change: Callable[[Any], Any]) -> Any:
    """Return a JSON value with each leaf changed."""
    if isinstance(value, dict):
        return {key: _mapped(one, change) for key, one in value.items()}
    if isinstance(value, list):
        return [_mapped(one, change) for one in value]
    return change(value)


def _says(leaf: Any, secrets: Collection[str]) -> bool:
    said = str(leaf)
    return leaf is not None and not isinstance(leaf, bool) and any(one in said for one in secrets)


def _tagged(value: Any) -> Iterator[dict[str, Any]]:
    """Yield the outermost values that stand for something that JSON has not."""
    if isinstance(value, dict):
        if len(value) == 1 and next(iter(value)).startswith("$"):
            yield value
            return
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from _tagged(one)


def _text(value: Any) -> str:
    """Return the JSON text of a value; a letter that can't be seen is written as JSON writes it."""
    text = json.format(json.encode(value), indent=2).decode()
    return "".join(one if one.isprintable() or one == "\n" else _escaped(one) for one in text)


def _escaped(letter: str) -> str:
    units = letter.encode("utf-16-be").hex()
    return "".join(f"\\u{units[start : start + 4]}" for start in range(0, len(units), 4))

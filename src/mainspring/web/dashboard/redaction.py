"""Redaction of named arguments: their values are shown nowhere, also not in errors and logs."""

from __future__ import annotations

import json
from functools import cached_property
from typing import TYPE_CHECKING, Any

from mainspring.model.signature import name_at

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from mainspring.model.view import JobRecord

HIDDEN = "[redacted]"
SHORTEST = 3
"""Letters of a value that is looked for in other texts: a `1` stands in too many of them."""

DEEPEST = 32
"""Levels shown of a nested value."""

LARGEST_BRIEF_BYTES = 64 * 1024
"""Arguments above it are not read for a line of a list."""

PICKLE = "$pickle"
"""Tag of a value that only the queue's codec can read, and that nobody opens for a look."""


class Opaque(str):
    """A text that stands for a value which is not shown."""

    __slots__ = ()


class Redaction:
    """Hides the values of arguments and fields by their names, whatever their case.

    `parameters` returns the names of a task's parameters that take arguments by place, as far as
    they are known; see `model.signature.names_by_place`.
    """

    def __init__(self, names: Collection[str], parameters: Callable[[str], Sequence[str]]) -> None:
        self.names = frozenset(name.casefold() for name in names)
        self.parameters = parameters

    def of(self, record: JobRecord) -> RedactedJob:
        """Return a job as it may be shown."""
        return RedactedJob(record, self)

    def call(self, call: Any, task: str, secrets: set[str]) -> Any:
        """Return a job's arguments without hidden values, and add these to `secrets`."""
        if not _is_call(call):
            return self.value(call, secrets)
        args = [
            self._named(self.name_at(task, place) or "", value, secrets)
            for place, value in enumerate(call[0])
        ]
        return [args, self.value(call[1], secrets)]

    def name_at(self, task: str, place: int) -> str | None:
        """Return the name of the parameter that takes the argument at a place, if it is known."""
        return name_at(self.parameters(task), place)

    def value(self, value: Any, secrets: set[str]) -> Any:
        """Return a JSON value without hidden values, and add these to `secrets`."""
        match value:
            case dict():
                return {key: self._named(key, one, secrets) for key, one in value.items()}
            case [str(key), one]:  # as a dict is stored whose keys are not all texts
                return [key, self._named(key, one, secrets)]
            case list():
                return [self.value(one, secrets) for one in value]
        return value

    def _named(self, name: str, value: Any, secrets: set[str]) -> Any:
        if name.casefold() in self.names:
            secrets.update(_spellings(value))
            return HIDDEN
        return self.value(value, secrets)


class RedactedJob:
    """A job's record with what may be shown of it."""

    def __init__(self, record: JobRecord, redaction: Redaction) -> None:
        self.record = record
        self._redaction = redaction

    def text(self, said: str) -> str:
        """Return a text that the job's code made, without the hidden values."""
        for secret in self._secrets:
            said = said.replace(secret, HIDDEN)
        return said

    @property
    def error(self) -> str | None:
        """The last line of its last failure."""
        failure = self.record.failure
        return None if failure is None else self.text(str(failure))

    @property
    def arguments(self) -> list[tuple[str, str]]:
        """The arguments by name or place, each as JSON text."""
        call = self._seen[0]
        if not _is_call(call):
            return [("all", self._shown(call))]
        names = self._redaction.parameters(self.record.task)
        named = [
            (name_at(names, place) or f"{place + 1}", value) for place, value in enumerate(call[0])
        ]
        return [(name, self._shown(value)) for name, value in [*named, *call[1].items()]]

    @property
    def brief(self) -> str:
        """The arguments on one line, as in a call."""
        large = len(self.record.payload) > LARGEST_BRIEF_BYTES
        if large and not self._redaction.names:
            return f"{len(self.record.payload):,} bytes"
        call = self._seen[0]
        if not _is_call(call):
            return self.text(_compact(call))
        words = [_compact(value) for value in call[0]]
        words += [f"{name}={_compact(value)}" for name, value in call[1].items()]
        return self.text(", ".join(words))

    @property
    def result(self) -> str | None:
        """The result as JSON text; None if there is none."""
        return None if self.record.result is None else self._shown(self._seen[1])

    @property
    def metadata(self) -> list[tuple[str, str]]:
        """The metadata by name, each value as JSON text."""
        return [(name, self._shown(value)) for name, value in self._seen[2].items()]

    @property
    def _secrets(self) -> list[str]:
        return self._seen[3]

    def contains(self, search: str) -> bool:
        """Return whether a search finds it by what may be shown."""
        texts = (self.record.id, self.record.task, self.brief, self.error or "")
        return any(search.casefold() in one.casefold() for one in texts)

    def _shown(self, value: Any) -> str:
        indented = json.dumps(value, indent=2, ensure_ascii=False)
        return self.text(value if isinstance(value, Opaque) else indented)

    @cached_property
    def _seen(self) -> tuple[Any, Any, dict[str, Any], list[str]]:
        """Arguments, result, metadata and the hidden texts, the longest first."""
        redaction, secrets = self._redaction, set[str]()
        call = redaction.call(_decoded(self.record.payload), self.record.task, secrets)
        result = redaction.value(_decoded(self.record.result), secrets)
        metadata = redaction.value(self.record.options.metadata, secrets)
        return call, result, metadata, sorted(secrets, key=len, reverse=True)


def _is_call(call: Any) -> bool:
    match call:
        case [list(), dict()]:
            return True
    return False


def _decoded(stored: bytes | None) -> Any:
    """Return the JSON value of a stored text, and never an object of another kind."""
    if stored is None:
        return None
    try:
        return _clipped(json.loads(stored), DEEPEST)
    except (ValueError, RecursionError):
        return Opaque(f"{len(stored):,} bytes that can't be read as JSON")


def _clipped(value: Any, levels: int) -> Any:
    if isinstance(value, dict) and PICKLE in value:
        return Opaque("a pickle, which is not opened for a look")
    if isinstance(value, (dict, list)) and not levels:
        return Opaque("nested too deep to be shown")
    if isinstance(value, dict):
        return {key: _clipped(one, levels - 1) for key, one in value.items()}
    return [_clipped(one, levels - 1) for one in value] if isinstance(value, list) else value


def _spellings(value: Any) -> Iterator[str]:
    """Yield the texts as which a value may stand in errors and logs."""
    for leaf in _leaves(value):
        spelt = {str(leaf)}
        if isinstance(leaf, str):
            spelt |= {json.dumps(leaf)[1:-1], repr(leaf)[1:-1]}
        yield from (one for one in spelt if len(one) >= SHORTEST)


def _leaves(value: Any) -> Iterator[Any]:
    inside = list(value.values()) if isinstance(value, dict) else value
    if isinstance(inside, list):
        for one in inside:
            yield from _leaves(one)
    elif inside is not None and not isinstance(inside, bool):
        yield inside


def _compact(value: Any) -> str:
    return value if isinstance(value, Opaque) else json.dumps(value, ensure_ascii=False)

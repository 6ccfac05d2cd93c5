"""Names of arguments and fields whose values are not told: redaction of Python values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mainspring.model.signature import name_at

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

REDACTED = "[redacted]"
SHORTEST_SECRET = 3
"""Letters of a value that is looked for in other texts: a `1` stands in too many of them."""

DEEPEST_LOOK = 32
"""Levels that are looked through; what lies deeper is not told."""

_ATOMS = (str, bytes, int, float, bool, type(None))


def not_known(_task: str) -> Sequence[str]:
    """Return no names of parameters."""
    return ()


class HiddenNames:
    """Hides the values of arguments, keys and fields by their names, whatever their case.

    `parameters` returns the names of a task's parameters that take arguments by place, as far as
    they are known; see `model.signature.names_by_place`.
    """

    def __init__(
        self, names: Collection[str], parameters: Callable[[str], Sequence[str]] = not_known
    ) -> None:
        self.names = frozenset(name.casefold() for name in names)
        self._parameters = parameters

    def call(
        self, task: str, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the arguments of a task without hidden values."""
        if not self.names:
            return args, kwargs
        named = self._named(task, args)
        shown = tuple(REDACTED if self.hides(name) else self.value(one) for name, one in named)
        return shown, self.value(kwargs)

    def value(self, value: Any, levels: int = DEEPEST_LOOK) -> Any:
        """Return a value without hidden ones; an object with a hidden field is hidden whole."""
        if not self.names or isinstance(value, _ATOMS):
            return value
        if not levels:
            return REDACTED
        if isinstance(value, dict):
            return {
                key: REDACTED if self.hides(key) else self.value(one, levels - 1)
                for key, one in value.items()
            }
        if isinstance(value, (list, tuple, set, frozenset)):
            inside = [self.value(one, levels - 1) for one in value]
            return tuple(inside) if isinstance(value, tuple) else inside
        return REDACTED if self._holds_hidden(value, levels) else value

    def secrets(self, task: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[str]:
        """Return the texts as which hidden values may stand in an error, the longest first."""
        hidden = [one for name, one in self._named(task, args) if self.hides(name)]
        rest = [one for name, one in self._named(task, args) if not self.hides(name)]
        hidden += [one for value in (*rest, kwargs) for one in self._hidden_in(value)]
        spelt = {text for value in hidden for text in _spellings_of(value)}
        return sorted(spelt, key=len, reverse=True)

    def text(self, text: str, secrets: Sequence[str]) -> str:
        """Return a text without the secrets."""
        for secret in secrets:
            text = text.replace(secret, REDACTED)
        return text

    def hides(self, name: object) -> bool:
        """Return whether values of that name are hidden."""
        return isinstance(name, str) and name.casefold() in self.names

    def _named(self, task: str, args: tuple[Any, ...]) -> Iterator[tuple[str, Any]]:
        names = self._parameters(task)
        for place, value in enumerate(args):
            yield name_at(names, place) or "", value

    def _holds_hidden(self, value: Any, levels: int) -> bool:
        return any(True for _ in self._hidden_in(value, levels))

    def _hidden_in(self, value: Any, levels: int = DEEPEST_LOOK) -> Iterator[Any]:
        if isinstance(value, _ATOMS) or not levels:
            return
        for name, one in _parts_of(value):
            if self.hides(name):
                yield one
            else:
                yield from self._hidden_in(one, levels - 1)


HIDES_NOTHING = HiddenNames(())


def fields_of_value(value: object) -> Mapping[str, Any]:
    """Return the fields of an object by name: of a dataclass, a Struct or a model."""
    names = getattr(type(value), "__struct_fields__", None)
    names = names or getattr(type(value), "__dataclass_fields__", None)
    if names is not None:
        return {name: getattr(value, name, None) for name in names}
    return dict(getattr(value, "__dict__", {}))


def _parts_of(value: Any) -> Iterator[tuple[object, Any]]:
    if isinstance(value, dict):
        yield from value.items()
    elif isinstance(value, (list, tuple, set, frozenset)):
        yield from (("", one) for one in value)
    else:
        yield from fields_of_value(value).items()


def _spellings_of(value: Any, levels: int = DEEPEST_LOOK) -> Iterator[str]:
    if isinstance(value, _ATOMS):
        if value is not None and not isinstance(value, bool):
            spelt = {str(value), repr(value)[1:-1] if isinstance(value, str) else str(value)}
            yield from (one for one in spelt if len(one) >= SHORTEST_SECRET)
    elif levels:
        for _, one in _parts_of(value):
            yield from _spellings_of(one, levels - 1)
        yield from (one for one in {str(value)} if len(one) >= SHORTEST_SECRET)

"""HTML as values: every text is escaped, unless it is `Html` already."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, TypeAlias

from mainspring.model.printable import printable_lines

if TYPE_CHECKING:
    from collections.abc import Iterable

VOID = frozenset({"input", "link", "meta"})
SHAPES = frozenset({"rect", "line", "polyline"})
"""Elements without content; those of SVG are closed, or what follows would stand in them."""

WITHOUT_REFERENCE = frozenset(map(chr, (0, *range(0x80, 0xA0), *range(0xD800, 0xE000))))
"""Letters whose references browsers read as others."""


class Html:
    """A piece of HTML that is safe to send; `tag` and `text` make it."""

    __slots__ = ("source",)

    def __init__(self, source: str) -> None:
        self.source = source

    def __repr__(self) -> str:
        return f"Html({self.source!r})"

    def __str__(self) -> str:
        return self.source


Child: TypeAlias = "Html | str | int | float | Iterable[Child] | None"
Attribute: TypeAlias = "str | int | float | bool | None"


def text(value: str | float) -> Html:
    """Return a text as HTML that shows it, also its control and format characters."""
    return Html(escape(printable_lines(str(value))))


def joined(*children: Child) -> Html:
    """Return children one after the other; None is nothing."""
    return Html("".join(map(_source, children)))


def tag(name: str, /, *children: Child, **attributes: Attribute) -> Html:
    """Return an element; name and attributes' names are ours, never from data.

    `class_` is written `class`, `aria_label` as `aria-label`. True is an attribute without a value,
    None and False are none.
    """
    written = "".join(_attribute(key, value) for key, value in attributes.items())
    if name in VOID:
        return Html(f"<{name}{written}>")
    if name in SHAPES:
        return Html(f"<{name}{written}/>")
    return Html(f"<{name}{written}>{joined(*children).source}</{name}>")


def _attribute(name: str, value: Attribute) -> str:
    if value is None or value is False:
        return ""
    name = name.rstrip("_").replace("_", "-")
    if value is True:
        return f" {name}"
    said = _sent_back(str(value)) if name == "value" else text(value).source
    return f' {name}="{said}"'


def _sent_back(value: str) -> str:
    """Return what a form sends back letter by letter, also those that can't be seen.

    They are written as references: a browser would read a carriage return as a line feed.
    """
    if value.isprintable():
        return escape(value)
    return "".join(map(_reference, value))


def _reference(letter: str) -> str:
    if printable_lines(letter) == letter or letter in WITHOUT_REFERENCE:
        return text(letter).source
    return f"&#{ord(letter)};"


def _source(child: Child) -> str:
    if child is None:
        return ""
    if isinstance(child, Html):
        return child.source
    if isinstance(child, (str, int, float)):
        return text(child).source
    return "".join(map(_source, child))

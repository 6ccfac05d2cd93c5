"""Entries of the audit log: who changed what, by which way, and how much of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from msgspec import Meta, Struct, ValidationError, json

from mainspring.model.value import Value

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

AUDIT = "audit"
"""The kind of its entries in the store."""

LONGEST = 500
"""Letters that are kept of each text."""

MOST_TARGETS = 100
MOST_DETAILS = 20
MOST_COUNT = 2**53

Said = Annotated[str, Meta(max_length=LONGEST)]


class AuditText(Struct, frozen=True):
    """An entry as it is written."""

    actor: Said
    via: Said
    action: Said
    targets: Annotated[list[Said], Meta(max_length=MOST_TARGETS)]
    count: Annotated[int, Meta(ge=0, le=MOST_COUNT)]
    details: Annotated[dict[Said, Said], Meta(max_length=MOST_DETAILS)] = {}


class AuditEntry(Value, frozen=True):
    """A change that somebody has made, `at` a moment (aware UTC).

    `actor` is a user of the system, or of the dashboard, `via` the way: `"dashboard"` or `"command
    line"`. `action` is in the words of the command that does it, as `"jobs retry"`. `targets` are
    ids or names, the first 100 of `count`; `details` say by which filter they were chosen, and what
    else was given. `unreadable`: somebody else has written it, and nothing of it is known.
    """

    at: datetime
    actor: str
    via: str
    action: str
    targets: Sequence[str]
    count: int
    details: Mapping[str, str]
    unreadable: bool = False


_decode = json.Decoder(AuditText).decode
_encode = json.Encoder().encode


def audit_text(  # noqa: PLR0913  # the fields of an entry
    *,
    actor: str,
    via: str,
    action: str,
    targets: Sequence[str],
    count: int,
    details: Mapping[str, str],
) -> bytes:
    """Return the text of an entry, with what is too long cut off."""
    some = list(details.items())[:MOST_DETAILS]
    return _encode(
        AuditText(
            _short(actor),
            via,
            action,
            [_short(one) for one in targets[:MOST_TARGETS]],
            count,
            {_short(name): _short(value) for name, value in some},
        )
    )


def audit_entry(at: datetime, text: bytes) -> AuditEntry:
    """Return the entry that a text says, or that one is there which can't be read."""
    try:
        said = _decode(text)
    except (ValidationError, ValueError, RecursionError):
        return AuditEntry(at, "", "", "", (), 0, {}, unreadable=True)
    return AuditEntry(
        at, said.actor, said.via, said.action, tuple(said.targets), said.count, said.details
    )


def _short(text: str) -> str:
    # A lone surrogate is no JSON: a form or a command line may have one.
    return text[:LONGEST].encode("utf-8", "backslashreplace").decode()[:LONGEST]

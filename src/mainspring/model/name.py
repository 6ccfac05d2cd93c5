"""Names of tasks, queues and schedules, and keys of users: texts that every store can keep.

No lone surrogate is UTF-8, PostgreSQL takes no NUL, and an index must hold the name.
"""

from __future__ import annotations

from typing import TypeGuard

LONGEST = 500
"""Characters."""

EXPECTED = f"a text of 1 to {LONGEST} characters, without NUL and without lone surrogates"


def is_name(value: object) -> TypeGuard[str]:
    """Return True for a text that every store can keep as a name."""
    return (
        isinstance(value, str)
        and 0 < len(value) <= LONGEST
        and "\0" not in value
        and is_utf8(value)
    )


def is_utf8(text: str) -> bool:
    """Return True for a text without lone surrogates, which can be stored."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True

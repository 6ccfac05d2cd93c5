"""Statements that name our tables by their schema, whatever others are called the same."""

from __future__ import annotations

import re
from functools import cache

# On SQLite they have a prefix, on PostgreSQL a schema of their own.
TABLE = re.compile(
    r"\b(FROM|INTO|JOIN|UPDATE|USING)\s+"
    r"(mainspring_\w+"
    r"|attempts|chronicle|finished|idempotency|jobs|lanes|locks|log|nodes|paused|progress"
    r"|schedules|spent|tags"
    r")\b"
)


@cache
def qualified(statement: str, schema: str) -> str:
    """Return a statement of ours that means the tables in that schema; of "", as it is."""
    return TABLE.sub(rf"\1 {quoted(schema)}.\2", statement) if schema else statement


def quoted(name: str) -> str:
    """Return a name as SQL writes it."""
    return '"' + name.replace('"', '""') + '"'


def prefixed(statement: str) -> str:
    """Return a statement that both stores share, with the names that the tables have in a file."""
    return TABLE.sub(r"\1 mainspring_\2", statement)

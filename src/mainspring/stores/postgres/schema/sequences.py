"""Sequences that are behind their tables: their next numbers are those of rows.

So it is where the rows were copied and the sequences were not: on a server that has taken over
from logical replication, which leaves them out, or after the restore of a table.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psycopg import errors

from mainspring.stores.sql.qualified import quoted

if TYPE_CHECKING:
    from psycopg import Connection

    from mainspring.stores.postgres.address import PostgresAddress

GIVEN = {
    "job_keys": ("jobs.key", "finished.key"),
    "lock_fences": ("locks.fence",),
    "lanes_lane_seq": ("lanes.lane",),
    "nodes_node_seq": ("nodes.node",),
    "chronicle_key_seq": ("chronicle.key",),
}
"""The columns in which each sequence's numbers are."""

HIGHEST = {"lanes_lane_seq": 2**30}
HIGHEST_KEY = 2**62
"""Numbers above were written by somebody else: behind those soon none would be left."""

AS_OWNER = "as the owner of the schema run mainspring doctor, which sets its sequences"

# Who may not read a sequence of an identity column may still insert.
BEHIND = """
SELECT last_value, highest FROM (SELECT
  CASE WHEN has_sequence_privilege('{sequence}', 'USAGE, SELECT')
    THEN coalesce(pg_sequence_last_value('{sequence}'), 0) END AS last_value,
  greatest({numbers}) AS highest
) AS places WHERE last_value < highest
"""
NUMBER = "(SELECT max({column}) FROM {schema}.{table} WHERE {column} < {limit})"


def raise_sequences(connection: Connection[Any], address: PostgresAddress) -> None:
    """Have no sequence give a number that a row has; of processes that start together, one does."""
    behind = {name: _behind(name, address.schema) for name in GIVEN}
    looks = "; ".join(behind.values()).encode()
    if not any(_answers(connection, looks)):
        return
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (address.lock_class,))
        for name, look in behind.items():
            row = connection.execute(look.encode()).fetchone()
            if row is not None:
                _raise(connection, address, name, row[1])


def _raise(connection: Connection[Any], address: PostgresAddress, name: str, highest: int) -> None:
    sequence = f"{quoted(address.schema)}.{name}"
    try:
        connection.execute("SELECT setval(%s::regclass, %s)", (sequence, highest))
    except errors.InsufficientPrivilege as error:
        why = f"the sequence {name} gives numbers that rows have, and this role may not set it"
        grant = f"GRANT UPDATE ON SEQUENCE {sequence} TO {quoted(connection.info.user)}"
        raise address.unusable(why, f"{AS_OWNER}, or: {grant}") from error


def _behind(sequence: str, schema: str) -> str:
    limit = HIGHEST.get(sequence, HIGHEST_KEY)
    columns = [given.split(".") for given in GIVEN[sequence]]
    numbers = [
        NUMBER.format(column=column, schema=quoted(schema), table=table, limit=limit)
        for table, column in columns
    ]
    return BEHIND.format(sequence=f"{quoted(schema)}.{sequence}", numbers=", ".join(numbers))


def _answers(connection: Connection[Any], looks: bytes) -> list[bool]:
    """Return for each of some statements whether it gives rows; they go in one round trip."""
    cursor = connection.execute(looks)
    answers = [cursor.rowcount > 0]
    while cursor.nextset():
        answers.append(cursor.rowcount > 0)
    return answers

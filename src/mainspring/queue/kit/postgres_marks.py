"""Marks in the caller's own transaction on PostgreSQL: settings, which a rollback takes back.

Settings rather than rows: one that is not there can be asked for without an error, which would end
the caller's transaction, and they write nothing.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.pq import ExecStatus, PipelineStatus, TransactionStatus
from psycopg.rows import tuple_row

from mainspring.stores.postgres.caller import driver_of, refuse_unfit, unwrapped

if TYPE_CHECKING:
    from collections.abc import Iterable

WRITE = "SELECT count(set_config(setting, 'made', false)) FROM unnest(%s::text[]) AS setting"
FIND = b"SELECT current_setting($1, true) = 'made'"

ANSWERING = {TransactionStatus.IDLE, TransactionStatus.INTRANS}


def is_of_postgres(connection: object) -> bool:
    """Return whether it is a connection of psycopg's, bare or in another library's."""
    return isinstance(unwrapped(connection), (psycopg.Connection, psycopg.AsyncConnection))


class PostgresMarks:
    """Marks on one connection of psycopg's, by name; see `Marks`."""

    def __init__(self, connection: Any) -> None:
        refuse_unfit(driver_of(connection))
        self._connection = connection
        self._owner = unwrapped(connection)

    def write(self, names: Iterable[str]) -> None:
        """Make marks in the transaction that is open, or opens with this statement."""
        cursor = psycopg.Cursor(driver_of(self._connection), row_factory=tuple_row)
        cursor.execute(WRITE, ([setting_of(name) for name in names],))

    def stand(self, name: str) -> bool:
        """Return whether a mark was not rolled back.

        Nothing can be asked of a connection that is closed or in use, or whose transaction has
        failed and was not rolled back yet.
        """
        pgconn = self._owner.pgconn
        if (
            self._owner.closed
            or self._owner.lock.locked()
            or pgconn.transaction_status not in ANSWERING
            or pgconn.pipeline_status != PipelineStatus.OFF
        ):
            return True
        # Past psycopg, which would open a transaction for it.
        found = pgconn.exec_params(FIND, [setting_of(name).encode()])
        return found.status != ExecStatus.TUPLES_OK or bool(found.get_value(0, 0) == b"t")


def setting_of(name: str) -> str:
    """Return the setting that is a mark: letters, digits and underscores, after a prefix."""
    return f"mainspring.mark_{re.sub(r'[^0-9A-Za-z]', '_', name)}"

"""A PostgreSQL server for one run, in the run's folder, with fsync as in production."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

TESTS = Path(__file__).resolve().parents[2] / "tests"
SETTINGS = {"fsync": "on", "full_page_writes": "on", "shared_buffers": "256MB"}


def url_in(folder: str) -> str:
    return f"postgresql://mainspring@/postgres?host={_place_in(folder)}"


@contextmanager
def server(folder: str) -> Iterator[None]:
    """Run the server while the block runs."""
    sys.path.append(str(TESTS))
    from servers.postgres import PostgresServer, throw_away  # noqa: PLC0415  # found from here on

    Path(folder).chmod(0o711)  # the server may be another user
    place = _place_in(folder)
    place.mkdir()
    running = PostgresServer(place, **SETTINGS)
    try:
        running.start()
        yield
    finally:
        throw_away(running)


def statements(folder: str) -> int:
    """Return how many transactions the server has seen: here each statement is one."""
    import psycopg  # noqa: PLC0415  # installed beside the rivals only

    with psycopg.connect(url_in(folder), autocommit=True) as connection:
        seen = "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = 'postgres'"
        row = connection.execute(seen).fetchone()
        return int(row[0]) if row else 0


def _place_in(folder: str) -> Path:
    return Path(folder, "pg")

"""A bare insert on a PostgreSQL server as a contender: a row, and its commit, by psycopg.

No queue: nobody is woken, and nothing works off the rows.
"""

from __future__ import annotations

from importlib.metadata import version

import psycopg
from benchmarks.contenders.on_floor_postgres import SCHEMA
from benchmarks.contenders.postgres_server import url_in
from benchmarks.contenders.setup import Setup
from msgspec import json

INSERT = "INSERT INTO jobs (payload) VALUES (%s) RETURNING key"


class Contender:
    """A connection as psycopg opens it, in a table of the floor's."""

    version = f"psycopg {version('psycopg')}"

    def __init__(self) -> None:
        setup = Setup.from_environment()
        self._server = psycopg.connect(url_in(setup.folder))
        self._server.execute(SCHEMA.encode())
        if setup.durability == "normal":
            self._server.execute("SET synchronous_commit = off")
        self._server.commit()

    def enqueue(self, first: int, second: int) -> int:
        payload = json.encode((first, second)).decode()
        key: int = self._server.execute(INSERT, (payload,)).fetchall()[0][0]
        self._server.commit()
        return key

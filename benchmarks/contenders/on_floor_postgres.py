"""The floor on a PostgreSQL server as a contender; run as a module it is its worker.

The least that a durable queue there can do: order by priority and time, a fence, results, claims in
batches and in one statement with the last batch's outcomes, wake-ups by NOTIFY. It has no retries,
leases, rescue, history, timeouts, slots or loops.
"""

from __future__ import annotations

import sys
import time
from importlib.metadata import version
from typing import TYPE_CHECKING

import psycopg
from benchmarks.contenders import workload
from benchmarks.contenders.postgres_server import url_in
from benchmarks.contenders.setup import Setup
from msgspec import json

if TYPE_CHECKING:
    from collections.abc import Sequence

BATCH = 256
PATIENCE = 60.0

SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
  key bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, priority int NOT NULL DEFAULT 0,
  run_at timestamptz NOT NULL DEFAULT now(), payload text NOT NULL,
  running boolean NOT NULL DEFAULT false, fence bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50);
CREATE INDEX IF NOT EXISTS ready ON jobs (priority, run_at, key) WHERE NOT running;
CREATE TABLE IF NOT EXISTS finished (
  key bigint PRIMARY KEY, payload text NOT NULL, ended_at timestamptz NOT NULL, result text
)
"""
ENQUEUE = "INSERT INTO jobs (payload) VALUES (%s) RETURNING key, pg_notify('ready', '')"
ENQUEUE_MANY = "INSERT INTO jobs (payload) SELECT unnest(%s::text[]) RETURNING key"
WAKE = "SELECT pg_notify(%s, '')"
EXCHANGE = """
WITH gone AS (
  DELETE FROM jobs USING unnest(%s::bigint[], %s::bigint[], %s::text[]) AS told (key, fence, result)
  WHERE jobs.key = told.key AND jobs.fence = told.fence RETURNING jobs.key, payload, result
), kept AS (
  INSERT INTO finished SELECT key, payload, now(), result FROM gone
)
UPDATE jobs SET running = true, fence = fence + 1 WHERE key IN (
  SELECT key FROM jobs WHERE NOT running AND run_at <= now()
  ORDER BY priority, run_at, key LIMIT %s FOR UPDATE SKIP LOCKED
) RETURNING key, fence, payload
"""


class Contender:
    """The two statements, and a connection that listens for results."""

    version = f"psycopg {version('psycopg')}"
    worker = (sys.executable, "-m", "benchmarks.contenders.on_floor_postgres")

    def __init__(self) -> None:
        setup = Setup.from_environment()
        self._url = url_in(setup.folder)
        self._server = psycopg.connect(self._url, autocommit=True)
        self._server.execute(SCHEMA.encode())
        # As the store plans: the tables are empty when the statements are.
        self._server.execute("SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off")
        if setup.durability == "normal":
            self._server.execute("SET synchronous_commit = off")
        self._ended = self.listening("ended")

    def listening(self, channel: str) -> psycopg.Connection:
        listener = psycopg.connect(self._url, autocommit=True)
        listener.execute(f"LISTEN {channel}".encode())
        return listener

    def enqueue(self, first: int, second: int) -> int:
        payload = json.encode((first, second)).decode()
        key: int = self._server.execute(ENQUEUE, (payload,)).fetchall()[0][0]
        return key

    share = enqueue

    def enqueue_many(self, calls: Sequence[tuple[int, int]]) -> Sequence[int]:
        payloads = [json.encode(call).decode() for call in calls]
        keys = [key for (key,) in self._server.execute(ENQUEUE_MANY, (payloads,))]
        self._server.execute(WAKE, ("ready",))
        return keys

    def exchange(self, outcomes: list[tuple[int, int, str]]) -> list[tuple[int, int, str]]:
        ended = [list(column) for column in zip(*outcomes, strict=True)] or [[], [], []]
        claims = self._server.execute(EXCHANGE, (*ended, BATCH)).fetchall()
        if outcomes:
            self._server.execute(WAKE, ("ended",))
        return claims

    def result(self, handle: int) -> object:
        deadline = time.monotonic() + PATIENCE
        asked = "SELECT result FROM finished WHERE key = %s"
        while (found := self._server.execute(asked, (handle,)).fetchone()) is None:
            if time.monotonic() > deadline:
                raise TimeoutError(handle)
            list(self._ended.notifies(timeout=PATIENCE, stop_after=1))
        return json.decode(found[0])

    def finished(self) -> int:
        row = self._server.execute("SELECT count(*) FROM finished").fetchone()
        return row[0] if row else 0


def work() -> None:
    floor, perform = Contender(), getattr(workload, Setup.from_environment().task)
    ready = floor.listening("ready")
    outcomes: list[tuple[int, int, str]] = []
    while True:
        claims = floor.exchange(outcomes)
        outcomes = [
            (key, fence, json.encode(perform(*json.decode(payload))).decode())
            for key, fence, payload in claims
        ]
        if not claims:
            list(ready.notifies(timeout=PATIENCE, stop_after=1))


if __name__ == "__main__":
    work()

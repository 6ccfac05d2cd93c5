"""procrastinate as a contender, with eight threads in its worker."""

from __future__ import annotations

import importlib.metadata
import sys
import time
from typing import TYPE_CHECKING, Any

import psycopg
from benchmarks.contenders import workload
from benchmarks.contenders.postgres_server import url_in
from benchmarks.contenders.setup import Setup
from procrastinate import App, PsycopgConnector

if TYPE_CHECKING:
    from collections.abc import Sequence

PATIENCE = 60.0
EXISTS = "SELECT to_regclass('procrastinate_jobs')"
STATE = "SELECT status FROM procrastinate_jobs WHERE id = %s"
FINISHED = "SELECT count(*) FROM procrastinate_jobs WHERE status = 'succeeded'"

setup = Setup.from_environment()
url = url_in(setup.folder)
app: Any = App(connector=PsycopgConnector(conninfo=url))
task = app.task(name=setup.task)(getattr(workload, setup.task))


class Contender:
    """The app above, and a connection to look at its jobs by."""

    version = f"procrastinate {importlib.metadata.version('procrastinate')}"
    worker = (
        *(sys.executable, "-m", "procrastinate", f"--app={__name__}.app"),
        *("worker", "--concurrency=8"),
    )

    def __init__(self) -> None:
        self._looks = psycopg.connect(url, autocommit=True)
        app.open()
        if self._looks.execute(EXISTS).fetchone() == (None,):
            app.schema_manager.apply_schema()

    def enqueue(self, first: int, second: int) -> object:
        return task.defer(first=first, second=second)

    share = enqueue

    def enqueue_many(self, calls: Sequence[tuple[int, int]]) -> Sequence[object]:
        many: Sequence[object] = task.batch_defer(
            *({"first": first, "second": second} for first, second in calls)
        )
        return many

    def result(self, handle: object) -> object:
        deadline = time.monotonic() + PATIENCE
        while self._looks.execute(STATE, (handle,)).fetchone() != ("succeeded",):
            if time.monotonic() > deadline:
                raise TimeoutError(handle)
            time.sleep(0.001)
        return None

    def finished(self) -> int:
        row = self._looks.execute(FINISHED).fetchone()
        return row[0] if row else 0

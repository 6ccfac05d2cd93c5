"""Four worker processes on one full queue: each job is completed once, and nobody waits in vain."""

from __future__ import annotations

from collections import Counter

import psycopg
import pytest

from mainspring.model.view import JobFilter

WORKERS = 4
EACH = 100_000
BATCH = 20_000

APP = """
    import os

    from mainspring import Queue

    queue = Queue({url!r}, workers=8, durability="normal")
    diary = os.open("diary.txt", os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    @queue.task
    def note(number):
        os.write(diary, b"%d\\n" % number)
"""


def deadlocks(request, url):
    """Return how many the server has seen; of others there are none to see."""
    if not url.startswith("postgresql"):
        return 0
    with psycopg.connect(request.getfixturevalue("postgres_database")) as connection:
        asked = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
        return connection.execute(asked).fetchone()[0]


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("url", "count"),
    [
        ("postgres", 4_000),
        *(
            pytest.param(kind, WORKERS * EACH, marks=pytest.mark.long)
            for kind in ("sqlite", "redis", "postgres")
        ),
    ],
    indirect=["url"],
)
def test_of_four_workers_on_one_queue_each_job_is_completed_once(
    request, make_app, start_worker, tmp_path, eventually, url, count
):
    app = make_app(APP.format(url=url))
    before = deadlocks(request, url)
    for first in range(0, count, BATCH):
        app.note.map([(number,) for number in range(first, min(first + BATCH, count))])
    workers = [start_worker() for _ in range(WORKERS)]
    eventually(lambda: app.queue.stats()["completed"] == count, within=600)
    stats = app.queue.stats()
    assert (stats["pending"], stats["running"], stats["failed"]) == (0, 0, 0)
    noted = Counter((tmp_path / "diary.txt").read_text().split())
    assert len(noted) == count
    assert set(noted.values()) == {1}
    assert all(worker.process.poll() is None for worker in workers)
    assert deadlocks(request, url) == before
    tries, last = Counter(), None
    while page := app.queue._store.jobs(JobFilter(), before=last, limit=1_000):
        tries.update(job.attempts for job in page)
        last = page[-1].key
    assert tries == {1: count}

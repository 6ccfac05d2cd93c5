"""A host that is cut off from the server: its jobs run elsewhere, its late results are refused."""

from __future__ import annotations

import time
from urllib.parse import urlsplit

import pytest

from histories import attempts, outcomes
from servers.proxy import Proxy

APP = """
    import os
    import time
    from pathlib import Path

    from mainspring import Queue
    from mainspring.stores import run_folder

    # Another host is one whose locks of the kernel can't be seen.
    HOST = Path(os.environ.get("HOST", "here"))
    run_folder.ROOT = HOST.absolute()
    lease = {lease}
    queue = Queue(
        os.environ.get("STORE", {url!r}), workers=4, durability="normal", lease=lease,
        heartbeat=lease / 3, busy_timeout=4, grace=2,
    )

    @queue.task
    def hold(number):
        (HOST / f"begun-{{number}}").touch()
        while not (HOST / "go").exists():
            time.sleep(0.01)
        (HOST / f"ended-{{number}}").touch()
        return HOST.name
"""
JOBS = 3


@pytest.fixture
def way(request, kind):
    """A proxy before the tests' server of that kind."""
    if kind == "redis":
        proxy = Proxy(urlsplit(request.getfixturevalue("redis_url")).port)
    else:
        folder = request.getfixturevalue("postgres_database").partition("host=")[2]
        if not folder.startswith("/"):
            pytest.skip("the proxy stands before a Unix socket")
        proxy = Proxy(f"{folder}/.s.PGSQL.5432")
    yield proxy
    proxy.close()


def through(way, url):
    """Return the URL of the same store by the proxy."""
    if url.startswith("redis"):
        return url.replace(urlsplit(url).netloc, f"127.0.0.1:{way.port}")
    schema = url.rpartition("schema=")[2]
    return (
        f"postgresql://mainspring@127.0.0.1:{way.port}/postgres?schema={schema}&connect_timeout=1"
    )


@pytest.mark.parametrize("lease", [1.0, pytest.param(15.0, marks=pytest.mark.long)])
@pytest.mark.parametrize("kind", ["redis", "postgres"])
def test_jobs_of_a_host_that_is_cut_off_run_elsewhere_and_its_late_results_are_refused(
    request, tmp_path, make_app, start_worker, way, eventually, kind, lease
):
    url = request.getfixturevalue("namespace_url" if kind == "redis" else "postgres_url")
    app = make_app(APP.format(url=url, lease=lease))
    there, here = tmp_path / "there", tmp_path / "here"
    there.mkdir()
    here.mkdir()
    cut = start_worker(env={"HOST": "there", "STORE": through(way, url)})
    jobs = app.hold.map([(number,) for number in range(JOBS)])
    eventually(lambda: len(list(there.glob("begun-*"))) == JOBS, within=30)
    start_worker()
    eventually(lambda: len(app.queue.nodes()) == 2, within=30)

    way.blackhole = True
    began = time.monotonic()
    eventually(lambda: len(list(here.glob("begun-*"))) == JOBS, within=30)
    assert time.monotonic() - began < 15 + 2  # the lease, and a look each second

    (there / "go").touch()  # its bodies end, and nobody hears of it
    eventually(lambda: len(list(there.glob("ended-*"))) == JOBS, within=30)
    way.blackhole = False
    way.break_all()
    eventually(lambda: len(app.queue.nodes()) == 2, within=60)  # it is back, as another node
    assert [job.status for job in jobs] == ["running"] * JOBS
    (here / "go").touch()
    assert [job.result(timeout=30) for job in jobs] == ["here"] * JOBS
    for job in jobs:
        assert outcomes(job) == ["crashed", "completed"]
        assert len({one.node for one in attempts(job)}) == 2
    assert cut.process.poll() is None

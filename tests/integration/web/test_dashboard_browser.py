"""The dashboard in a real browser, where one is installed: its script runs under its own policy."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from mainspring.web import dashboard

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
BROWSER = next(filter(None, map(shutil.which, NAMES)), None)
HOSTILE = "</code><script>document.title='owned'</script><img src=x onerror=alert(1)>"


@pytest.mark.skipif(BROWSER is None, reason="no browser: install chromium to run this test")
def test_a_live_page_changes_by_itself_and_nothing_hostile_runs(queue, serve, tmp_path):
    send, reads = queue.get_task("mail.send"), []
    inner = dashboard(queue, authorize=lambda _request: "operator")

    async def app(scope, receive, send_):
        if scope["type"] == "http" and scope["path"].endswith("/jobs"):
            reads.append(send.delay(HOSTILE).id)  # so each reading finds one more
        await inner(scope, receive, send_)

    server = serve(Starlette(routes=[Mount("/admin", app)]))
    done = subprocess.run(
        [
            *(BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr"),
            f"--user-data-dir={tmp_path}",
            *("--virtual-time-budget=7000", "--dump-dom", f"{server.url}/admin/jobs"),
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=90,
    )
    assert len(reads) > 1
    shown = re.findall(r'<tr data-key="([^"]+)"', done.stdout)
    assert len(shown) > 1
    assert set(shown) <= set(reads)
    assert "<title>Jobs · mainspring</title>" in done.stdout
    assert re.search(r'<button type="button" id="updates">Pause updates<', done.stdout)
    assert "<img" not in done.stdout
    assert not re.search("Refused to|violates|Uncaught", done.stderr)

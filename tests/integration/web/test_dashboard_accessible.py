"""Each page of the dashboard before axe-core, which looks for what keeps people out of it."""

from __future__ import annotations

import json

import pytest
from axe_playwright_python.base import AXE_SCRIPT

from mainspring.model.job import Failure, Want
from mainspring.model.note import Note
from mainspring.web.dashboard.routes import ROUTES

PAGES = [route.path for route in ROUTES if route.method == "GET"]
OTHERS = ["/none", "/jobs/{running}", "/jobs?status=failed"]
WAYS = [("light", 1280), ("dark", 390)]

LOOK = """
async () => {
  const { violations, passes } = await axe.run(document, { resultTypes: ["violations"] });
  const found = violations.map((one) => [one.id, one.impact, one.nodes.map((node) => node.html)]);
  return [found, passes.length, matchMedia("(prefers-color-scheme: dark)").matches];
}
"""


@pytest.fixture
def ids(queue, ended):
    """Ids of a failed and a running job, on a queue of which every page has something to show."""
    send, tidy = queue.get_task("mail.send"), queue.get_task("tidy")
    queue.every(60, name="hourly")(tidy)
    failed = send.delay("ana")
    ended(queue, failure=Failure("builtins.ValueError", "declined", "Traceback\n  it was declined"))
    running = send.delay({"to": ["ben"]})
    node = queue.store.join("worker-1", host="h", pid=1, lease=60)
    (claim,) = queue.store.claim(node, [Want(tasks=("mail.send",), queues=None, limit=1)])
    queue.store.note_many([Note(claim.key, claim.fence, 0.5, "half", ((0.0, "a line"),))])
    tidy.using(delay=100).delay()
    tidy.delay().cancel()
    queue.pause("mail")
    entry = {"actor": "ana", "via": "dashboard", "action": "jobs rm", "targets": ["x"]}
    queue.store.add_entry("audit", json.dumps({**entry, "count": 1, "details": {}}).encode())
    return {"job_id": failed.id, "running": running.id}


def test_no_page_has_anything_that_keeps_people_out(queue, ids, window):
    opened = window(queue)
    for path in PAGES + OTHERS:
        shown = path if path != "/queue" else "/queue?queue=mail"
        page = opened.open(shown.format(**ids))
        page.evaluate(AXE_SCRIPT)
        for scheme, width in WAYS:
            page.emulate_media(color_scheme=scheme)
            page.set_viewport_size({"width": width, "height": 900})
            violations, passes, dark = page.evaluate(LOOK)
            assert violations == [], (path, scheme, width)
            assert passes > 0
            assert dark == (scheme == "dark")
            wide = page.evaluate("document.documentElement.scrollWidth")
            assert wide <= width, f"{path} has to be scrolled sideways at {width}"


def test_axe_sees_what_it_is_for(queue, window):
    page = window(queue).open("/nodes")
    page.evaluate(AXE_SCRIPT)
    page.evaluate("document.querySelector('#main').append(document.createElement('button'))")
    (violation,) = page.evaluate(LOOK)[0]
    assert violation[0] == "button-name"

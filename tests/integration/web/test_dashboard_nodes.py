"""Nodes that are in trouble, on the pages of the dashboard."""

from __future__ import annotations

import json

import pytest

from mainspring.model.job import Rescued
from mainspring.model.lost_node import LOST, loss_text
from mainspring.model.view import NodeRecord
from mainspring.queue import nodes


@pytest.fixture
def lose(queue):
    """Note that a node was lost, some seconds ago."""

    def lose(name="web-1", *, ago=60.0):
        record = NodeRecord(1, name, "web", 77, 0.0, 2)
        text = loss_text(record, Rescued([1, 2], [3]))
        queue.store.add_entry(LOST, text, ago=ago)

    return lose


@pytest.mark.parametrize("live", [True, False])
def test_a_node_that_was_lost_and_rescued_is_shown(queue, browse, lose, live):
    if live:
        queue.store.join("n1", host="h", pid=1, lease=15)
    lose("web-<b>")
    page = browse(queue).words("/nodes")
    assert "Lost in the last 24 hours" in page
    assert "web-&lt;b&gt; web, process 77 1 min ago 2 jobs rescued, 1 failed for good" in page


def test_the_overview_tells_of_a_loss_for_a_quarter_of_an_hour(queue, browse, lose):
    queue.store.join("n1", host="h", pid=1, lease=15)
    lose("web-1")
    lose("web-2", ago=1000)
    page = browse(queue).words("/")
    assert "Worker web-1 was lost 1 min ago; 2 jobs rescued, 1 failed for good." in page
    assert "web-2" not in page
    assert "web-2" in browse(queue).text("/nodes")


def test_of_a_node_that_was_killed_here_it_is_said_that_it_has_died(queue, browse, monkeypatch):
    queue.store.join("n1", host="h", pid=1, lease=15)
    monkeypatch.setattr(nodes, "board_of", lambda *_: "board")
    monkeypatch.setattr(nodes, "shares_locks", lambda *_: True)
    monkeypatch.setattr(nodes, "is_dead", lambda _: True)
    assert "Lease its process has died" in browse(queue).words("/nodes")


def test_a_node_that_misses_heartbeats_is_silent(queue, browse):
    node = queue.store.join("n1", host="h", pid=1, lease=15)
    report = json.dumps({"lease": 60, "heartbeat": 5}).encode()
    queue.store.renew(node, lease=15, report=report)
    assert "silent" in browse(queue).words("/nodes")
    assert "1 worker has missed heartbeats: n1." in browse(queue).words("/")

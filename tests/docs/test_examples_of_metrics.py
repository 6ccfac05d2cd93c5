"""The dashboard and the alert rules in `examples/`: of metrics that workers really have."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml
from prometheus_client import CollectorRegistry

from mainspring import Queue
from mainspring.model.condition import METRICS, Condition, SlotCount
from mainspring.model.events import AttemptsEnded, NodeRescued, ScheduleTicked, ServiceCrashed
from mainspring.model.job import Claim, Outcome, OutcomeKind
from mainspring.telemetry.metrics.instruments import WorkerInstruments
from mainspring.telemetry.metrics.process_gauges import ProcessGauges
from mainspring.telemetry.metrics.store_gauges import StoreGauges

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
PAGE = Path(__file__).resolve().parents[2] / "docs" / "howto" / "metrics.md"
NAME = re.compile(r"\bmainspring_\w+")
LABEL = re.compile(r"\b(\w+)\s*(?:=~|!=|!~|=)\s*\"|by \(([\w, ]+)\)|on \(([\w, ]+)\)")


@pytest.fixture(scope="module")
def metrics():
    """The labels of each sample that a worker may show, by its name."""
    registry = CollectorRegistry()
    observe = WorkerInstruments(registry)
    claim = Claim(1, "1-0", 1, "task", "queue", b"[[],{}]", 1, 0, ready_at=1.0)
    observe(AttemptsEnded(((claim, Outcome(1, 1, OutcomeKind.COMPLETED, 2.0, 3.0)),)))
    observe(NodeRescued("node", 1, 1))
    observe(ScheduleTicked("schedule", None, ()))
    observe(ServiceCrashed("service", ValueError(), None))
    slots = (SlotCount("thread", 1, 1, 0),)
    now = Condition(
        slots,
        in_flight=1,
        draining=False,
        store_answers=True,
        loop_lag=0.0,
        restarts={"exchange": 0},
    )
    registry.register(ProcessGauges(lambda: now))
    queue = Queue("memory://")
    task = queue.task(name="task")(print)
    queue.schedules.add("hourly", task, every=3600)
    task.delay()
    key = queue._store.join("node", host="host", pid=1, lease=60)
    queue._store.renew(key, lease=60, report=json.dumps({METRICS: True}).encode())
    gauges = StoreGauges(queue._store, lambda: key)
    gauges.read()
    registry.register(gauges)
    found = {}
    for family in registry.collect():
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


def queries_of_the_dashboard():
    shown = json.loads((EXAMPLES / "grafana-dashboard.json").read_text())
    asked = [one["query"]["query"] for one in shown["templating"]["list"] if one["name"] == "queue"]
    return [*asked, *(target["expr"] for panel in shown["panels"] for target in panel["targets"])]


def alerts():
    (group,) = yaml.safe_load((EXAMPLES / "prometheus-alerts.yml").read_text())["groups"]
    return group["rules"]


def check(query, metrics):
    names = NAME.findall(query)
    assert names
    assert set(names) - set(metrics) == set(), query
    known = {"le", "instance"}.union(*(metrics[name] for name in names))
    labels = {one for groups in LABEL.findall(query) for text in groups for one in text.split(", ")}
    assert labels - {""} - known == set(), query
    assert query.count("(") == query.count(")")
    assert query.count("{") == query.count("}")


def test_every_metric_of_the_dashboard_is_one_of_a_workers(metrics):
    queries = queries_of_the_dashboard()
    assert len(queries) > 20
    for query in queries:
        check(query, metrics)


def test_no_panels_of_the_dashboard_lie_over_each_other():
    shown = json.loads((EXAMPLES / "grafana-dashboard.json").read_text())
    places = [
        (x, y)
        for at in (panel["gridPos"] for panel in shown["panels"])
        for x in range(at["x"], at["x"] + at["w"])
        for y in range(at["y"], at["y"] + at["h"])
    ]
    assert len(places) == len(set(places))
    assert max(x for x, _ in places) < 24
    assert len({panel["id"] for panel in shown["panels"]}) == len(shown["panels"])


def test_ten_alerts_ask_for_metrics_that_are_there_and_say_what_to_do(metrics):
    rules = alerts()
    assert len({rule["alert"] for rule in rules}) == len(rules) == 10
    for rule in rules:
        check(rule["expr"], metrics)
        assert rule["labels"] == {"severity": "page"}
        assert {*rule["annotations"]} == {"summary", "action"}


def test_every_metric_has_a_line_on_its_page_and_no_other_is_there(metrics):
    suffixes = ("_bucket", "_count", "_sum", "_created", "_total")
    families = {re.sub(rf"({'|'.join(suffixes)})$", "", name) for name in metrics}
    told = {name.removesuffix("_total") for name in NAME.findall(PAGE.read_text())}
    assert told == families

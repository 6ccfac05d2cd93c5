"""The dashboard's pure parts: HTML, groups of failures, the life of a job, rates, hidden values."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from mainspring.model.job import Failure, JobState
from mainspring.model.normalised import normalised
from mainspring.model.view import AttemptRecord, JobRecord
from mainspring.queue.failures import FailureSeen, groups_of
from mainspring.web.dashboard.chart import Line, chart
from mainspring.web.dashboard.hosts import Hosts
from mainspring.web.dashboard.html import Html, joined, tag, text
from mainspring.web.dashboard.redaction import HIDDEN, Redaction
from mainspring.web.dashboard.samples import GAP, Sample, rates
from mainspring.web.dashboard.timeline import stretches_of, timeline
from mainspring.web.dashboard.visit import path_in
from mainspring.web.dashboard.words import clipped, state_of

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)


def ago(seconds):
    return NOW - timedelta(seconds=seconds)


def record(state=JobState.PENDING, **fields):
    known = {
        "key": 1,
        "id": "1-00000000",
        "task": "task",
        "queue": "default",
        "priority": 0,
        "payload": b"[[],{}]",
        "attempts": 0,
        "crashes": 0,
        "created_at": ago(10),
        "run_at": ago(10),
    }
    return JobRecord(state=state, **{**known, **fields})


@given(st.text())
def test_no_text_becomes_an_element_or_leaves_an_attribute(said):
    element = tag("p", said, title=said).source
    inside = element.removeprefix('<p title="').removesuffix("</p>")
    assert element.count("<") == 2
    assert inside.count('"') == 1
    assert inside.count(">") == 1


def test_elements_and_attributes_are_written_as_browsers_read_them():
    assert tag("a", "x", href="/", class_="b", aria_label="c", hidden=True).source == (
        '<a href="/" class="b" aria-label="c" hidden>x</a>'
    )
    assert tag("input", value=None, disabled=False).source == "<input>"
    assert tag("rect", x=1, data_key="k").source == '<rect x="1" data-key="k"/>'
    assert joined("<", None, 1, [Html("<b>"), ["&"]]).source == "&lt;1<b>&amp;"
    assert text("a\x00\u202eb\nc").source == "a\\x00\\u202eb\nc"


@pytest.mark.parametrize(
    ("message", "normal"),
    [
        ("order 17 failed", "order <n> failed"),
        ("took 1,234.5 of 10:30", "took <n> of <n>"),
        ("no 'a-b' in \"c\"", "no <text> in <text>"),
        ("'a whole sentence 1'", "'a whole sentence <n>'"),
        ("at 0x7F01ab", "at <address>"),
        ("job 3f2504e0-4f89-11d3-9a0c-0305e82c3301", "job <id>"),
        ("commit deadbeef01 of cafe", "commit <id> of cafe"),
        ("first\nsecond 2", "first"),
        ("", ""),
    ],
)
def test_what_varies_in_messages_is_replaced(message, normal):
    assert normalised(message) == normal


def test_groups_say_how_many_since_and_until_when():
    def seen(key, number, age):
        return FailureSeen(key, f"{number}", "task", "ValueError", "m", ago(age))

    groups = groups_of([seen("a", 1, 1), seen("b", 2, 2), *(seen("b", n, n) for n in range(3, 8))])
    assert [(one.key, one.count, one.samples) for one in groups] == [
        ("b", 6, ("2", "3", "4")),
        ("a", 1, ("1",)),
    ]
    assert (groups[0].first, groups[0].last) == (ago(7), ago(2))


def attempt(number, start, end, outcome):
    ended = None if end is None else ago(end)
    return AttemptRecord(number, "node", ago(start), ended, outcome, None)


@pytest.mark.parametrize(
    ("job", "attempts", "kinds"),
    [
        (record(), [], ["waited 10"]),
        (record(JobState.RUNNING), [attempt(1, 8, None, None)], ["waited 2", "running 8"]),
        (
            record(JobState.COMPLETED, completed_at=ago(1)),
            [attempt(1, 9, 7, "retry"), attempt(2, 4, 1, "completed")],
            ["waited 1", "retry 2", "waited 3", "completed 3"],
        ),
        (
            record(),
            [attempt(1, 9, 7, "retry")],
            ["waited 1", "retry 2", "waited 7"],
        ),
        (record(JobState.CANCELLED, completed_at=ago(4)), [], ["waited 6"]),
        # The clock of a store may have jumped.
        (record(JobState.FAILED), [attempt(1, 12, 13, "failed")], ["failed 0"]),
    ],
)
def test_the_life_of_a_job_is_told_in_stretches(job, attempts, kinds):
    told = list(stretches_of(job, attempts, NOW))
    assert [f"{one.kind} {(one.end - one.start).total_seconds():g}" for one in told] == kinds
    assert "aria-label" in timeline(job, attempts, NOW).source


@pytest.mark.parametrize(
    ("job", "state"),
    [
        (record(), "ready"),
        (record(run_at=NOW + timedelta(seconds=1)), "scheduled"),
        (record(run_at=NOW + timedelta(seconds=1), attempts=1), "retrying"),
        (record(JobState.RUNNING, cancelling=True), "cancelling"),
        (record(JobState.CANCELLED), "cancelled"),
        (
            record(JobState.CANCELLED, failure=Failure("mainspring.errors.JobExpired", "")),
            "expired",
        ),
    ],
)
def test_states_are_told_apart(job, state):
    assert state_of(job, NOW) == state


def test_rates_are_what_came_and_what_is_gone_between_two_looks():
    looks = [Sample(0, 10, 2, 100), Sample(2, 14, 2, 120), Sample(4, 4, 0, 120)]
    assert [(one.enqueued, one.ended) for one in rates(looks)] == [(10, 8), (0, 6)]
    assert rates([Sample(0, 1, 0, 5), Sample(GAP + 1, 1, 0, 9)]) == []
    assert rates([Sample(0, 0, 0, None), Sample(1, 1, 0, 1)]) == []


def test_a_chart_says_its_newest_values_and_breaks_where_nobody_looked():
    points = [(200.0, 1.0), (198.0, 2.0), (20.0, 3.0), (18.0, 4.25)]
    drawn = chart("Depth", [Line("waiting", "c1", points, "/s"), Line("none", "c2", [])]).source
    assert 'aria-label="Depth: waiting 4.2/s, none' in drawn
    assert drawn.count("<polyline") == 2


def redacted(payload, names=("password",), parameters=("user", "password"), **fields):
    redaction = Redaction(names, lambda _task: parameters)
    return redaction.of(record(payload=payload, **fields))


@pytest.mark.parametrize(
    ("payload", "brief"),
    [
        (b'[["ana","secret"],{}]', f'"ana", "{HIDDEN}"'),
        (b'[["ana"],{"PassWord":{"a":["secret"]}}]', f'"ana", PassWord="{HIDDEN}"'),
        (b'[[{"password":"secret"}],{}]', f'{{"password": "{HIDDEN}"}}'),
        (b'[[{"$dict":[["password","secret"]]}],{}]', f'{{"$dict": [["password", "{HIDDEN}"]]}}'),
        (b'[[[{"deep":{"password":"secret"}}]],{}]', f'[{{"deep": {{"password": "{HIDDEN}"}}}}]'),
        (b'{"password":"secret"}', f'{{"password": "{HIDDEN}"}}'),
    ],
)
def test_values_are_hidden_by_name_wherever_they_stand(payload, brief):
    job = redacted(payload)
    assert job.brief == brief
    assert "secret" not in job.text("secret, 'secret' and \"secret\"")
    assert "secret" not in str(job.arguments)


def test_short_values_stay_in_other_texts_and_long_ones_go_first():
    job = redacted(b'[["ana"],{"password":["1","abc","abcdef","a\\"b\\n"]}]')
    assert job.text("1 abcdef abc") == f"1 {HIDDEN} {HIDDEN}"
    assert job.text(repr('a"b\n')) == f"'{HIDDEN}'"
    assert job.text('{"x": "a\\"b\\n"}') == f'{{"x": "{HIDDEN}"}}'


@pytest.mark.parametrize("host", ["localhost", "a.localhost:1", "127.0.0.1", "[::1]:80", "X.org:1"])
def test_a_known_host_is_answered(host):
    assert trouble("GET", host) is None
    assert trouble("POST", host, f"https://{host}") is None
    assert trouble("POST", host, "http://evil.example") is not None


@pytest.mark.parametrize(
    "host", ["x.org.evil", "evil", "127.0.0.1.evil", "x.org:a", "[::1", "x@y", "x/y"]
)
def test_a_foreign_host_is_not(host):
    assert trouble("GET", host) is not None


def trouble(method, host, origin=None):
    headers = [(b"host", host.encode())] + (
        [] if origin is None else [(b"origin", origin.encode())]
    )
    return Hosts(["x.org"]).trouble_with(
        Request({"type": "http", "method": method, "headers": headers})
    )


@pytest.mark.parametrize(
    "said", ["//evil", "http://evil", "evil", "/\\evil", "/a b", "/é", "/\t/evil", ""]
)
def test_a_way_back_stays_on_this_site(said):
    assert path_in(said) == "/"


def test_a_way_back_keeps_its_query():
    assert path_in("/jobs?status=failed&task=a%20b") == "/jobs?status=failed&task=a%20b"


def test_a_long_text_is_clipped_to_a_line():
    assert clipped("a\nb  c") == "a b c"
    assert clipped("a" * 200, 10) == "aaaaaaaaa…"

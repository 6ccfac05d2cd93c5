"""Which jobs are told to be taken by nobody."""

import json

import pytest

from mainspring.model.capabilities import capabilities_of, unclaimable
from mainspring.model.view import LaneRecord, NodeRecord

LANE = LaneRecord("mail", "send", 3)
UNREADABLE = [
    b"",
    b"no json",
    b'"a text"',
    b"null",
    b'{"tasks": "all"}',
    b'{"tasks": ["other"], "queues": 7}',
    b'{"tasks": ["\xff"]}',
    b"[" * 100_000,
]


def node(serves, *, expires_in=10.0):
    return NodeRecord(1, "n", "h", 1, expires_in, 0, serves=serves)


def serving(tasks, queues=None, **fields):
    return node(json.dumps({"tasks": tasks, "queues": queues}).encode(), **fields)


@pytest.mark.parametrize(
    ("nodes", "told"),
    [
        ([], [LANE]),
        ([serving(["send"])], []),
        ([serving(["send"], ["mail"])], []),
        ([serving(["send"], ["slow"])], [LANE]),
        ([serving(["other"])], [LANE]),
        ([serving([])], [LANE]),
        ([serving(["other"]), serving(["send"])], []),
        ([serving(["send"], expires_in=-1.0)], [LANE]),
    ],
)
def test_a_lane_is_unclaimable_if_no_live_node_is_known_to_serve_it(nodes, told):
    assert unclaimable([LANE, LaneRecord("mail", "done", 0)], nodes) == told


@pytest.mark.parametrize("text", [b"{}", *UNREADABLE])
def test_a_node_that_does_not_say_what_it_serves_raises_no_alarm_while_it_lives(text):
    assert unclaimable([LANE], [node(text)]) == []
    assert unclaimable([LANE], [node(text, expires_in=-1.0)]) == [LANE]


@pytest.mark.parametrize("text", UNREADABLE)
def test_what_cannot_be_read_is_not_known(text):
    serves = capabilities_of(node(text))
    assert (serves.tasks, serves.queues) == (None, None)


def test_what_a_newer_version_says_besides_is_passed_over():
    serves = capabilities_of(node(b'{"tasks": ["send"], "queues": ["mail"], "more": 1}'))
    assert (serves.tasks, serves.queues) == ({"send"}, {"mail"})

"""A body in a child process that waits for another such job: it can't ask, so it warns once."""

from __future__ import annotations

import pytest

from mainspring.engine.attempts.running import Awaited
from mainspring.engine.children.child_main import ChildHost
from mainspring.model.job import Claim

CLAIM = Claim(1, "1-x", 7, "parent", "default", b"[[],{}]", 1, 0)


def test_it_warns_once_of_a_job_that_needs_a_child_too(caplog):
    host = ChildHost(lambda: False)
    for _ in range(2):
        with host.waits(CLAIM, Awaited("2-x", "child", "process", pending=True)):
            pass
    assert len(caplog.records) == 1
    assert "1-x" in caplog.text
    assert "2-x" in caplog.text


@pytest.mark.parametrize(
    "awaited",
    [
        Awaited("2-x", "child", "thread", pending=True),
        Awaited("2-x", "child", None, pending=True),
        Awaited("2-x", "child", "process", pending=False),
    ],
)
def test_it_does_not_warn_of_others(caplog, awaited):
    with ChildHost(lambda: False).waits(CLAIM, awaited):
        pass
    assert caplog.records == []

"""The table of faults is true: its tests are there, and every fault point has one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mainspring.faults import POINTS

TESTS = Path(__file__).parent.parent
NAMED = re.findall(r"`(\S+\.py)::(test_\w+)`", Path(__file__).with_name("README.md").read_text())


def test_each_test_of_the_table_is_there():
    assert len(NAMED) > 40
    missing = [
        f"{path}::{name}"
        for path, name in NAMED
        if f"def {name}(" not in (TESTS / path).read_text()
    ]
    assert missing == []


@pytest.mark.parametrize("point", POINTS)
def test_each_fault_point_is_used_by_a_test_of_the_table(point):
    texts = [(TESTS / path).read_text() for path in {path for path, _ in NAMED}]
    assert any(f'"{point}' in text for text in texts)

"""The table of docs/howto/store.md names what is there, for each of the invariants."""

import re
from pathlib import Path

import pytest

from mainspring.testing import StoreContract, StoreMachine
from mainspring.testing.machine.check import StoreCheck
from mainspring.testing.machine.walk import StoreWalk

PAGE = Path(__file__).resolve().parents[2] / "docs" / "howto" / "store.md"
ROWS = re.findall(r"^\| (I\d+) (.*)$", PAGE.read_text(), re.MULTILINE)
WALK = {kind.__name__: kind for kind in (StoreMachine, StoreWalk, StoreCheck)}


def test_every_invariant_has_its_row():
    assert [name for name, _ in ROWS] == [f"I{number}" for number in range(1, 23)]


@pytest.mark.parametrize(("name", "row"), ROWS, ids=[name for name, _ in ROWS])
def test_what_holds_an_invariant_is_there(name, row):
    tests = re.findall(r"`(test_\w+)`", row)
    steps = re.findall(r"`(Store\w+)\.(\w+)`", row)
    assert tests or steps
    assert [test for test in tests if not hasattr(StoreContract, test)] == []
    assert [step for kind, step in steps if step not in vars(WALK[kind])] == []

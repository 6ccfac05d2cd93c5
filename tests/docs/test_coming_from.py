"""The pages for those who come from another package: its program runs with its import changed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "coming-from"
PROGRAM = re.compile(
    r"^## [^\n]*(before|after)\n.*?^```python[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL
)


@pytest.mark.parametrize("package", ["neotasker", "atasker", "async-task-worker"])
def test_the_program_after_is_the_one_before_with_its_import_changed(package):
    programs = dict(PROGRAM.findall((FOLDER / f"{package}.md").read_text()))
    module = package.replace("-", "_")
    changed = re.sub(
        rf"^from {module}\b",
        f"from mainspring.compat.{module}",
        programs["before"],
        flags=re.MULTILINE,
    )
    assert changed == programs["after"] != programs["before"]

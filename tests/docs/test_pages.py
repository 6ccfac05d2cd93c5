"""Pages for people: their links lead somewhere, and their Python runs.

The Python blocks of a page are one program, run in an empty folder. A block fenced as
`python no-run` (it waits for ever, or needs what a test has not) must only compile.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ +(.+)$", re.MULTILINE)
BLOCK = re.compile(r"^```(\w+)?([^\n]*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def anchors(page):
    prose = BLOCK.sub("", page.read_text())
    kept = (re.sub(r"[^\w\- ]", "", title.lower()) for title in HEADING.findall(prose))
    return {title.strip().replace(" ", "-") for title in kept}


def leads_somewhere(page, link):
    if re.match(r"[a-z]+:", link):
        return link.startswith(("https://", "mailto:"))
    name, _, anchor = link.partition("#")
    target = (page.parent / name).resolve() if name else page
    return target.exists() and (not anchor or anchor in anchors(target))


def blocks(page):
    return [
        (mode.strip(), text)
        for language, mode, text in BLOCK.findall(page.read_text())
        if language == "python"
    ]


def named(page):
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_link_leads_somewhere(page):
    prose = BLOCK.sub("", page.read_text())
    dead = [link for link in LINK.findall(prose) if not leads_somewhere(page, link)]
    assert dead == []


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page)], ids=named)
def test_the_python_of_a_page_runs(page, tmp_path):
    for mode, text in blocks(page):
        assert mode in {"", "no-run"}, f"a block fenced as python {mode}"
        compile(text, named(page), "exec", dont_inherit=True)
    program = "\n".join(text for mode, text in blocks(page) if mode != "no-run")
    (tmp_path / "page.py").write_text(program)
    done = subprocess.run(
        (sys.executable, "page.py"),
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr

"""Pages for people: their links lead somewhere, and what they show runs.

A page is run in an empty folder, as its reader would: a Python block after "Save as `name.py`:" is
saved, a worker that a console block starts runs from then on, and the other Python blocks are one
program. A block fenced as `python no-run` (it waits for ever, or needs what a test has not) must
only compile.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ +(.+)$", re.MULTILINE)
BLOCK = re.compile(
    r"(?:^Save as `([\w.]+)`:\n+)?^```(\w+)?([^\n]*)\n(.*?)^```", re.MULTILINE | re.DOTALL
)
WORKER = re.compile(r"^\$ mainspring worker (.*)$", re.MULTILINE)


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
    """The Python blocks of a page: the name to save as, the mode, the text."""
    return [
        (name, mode.strip(), text)
        for name, language, mode, text in BLOCK.findall(page.read_text())
        if language == "python"
    ]


def named(page):
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_link_leads_somewhere(page):
    prose = BLOCK.sub("", page.read_text())
    dead = [link for link in LINK.findall(prose) if not leads_somewhere(page, link)]
    assert dead == []


@pytest.fixture
def start_workers(tmp_path):
    """Start the workers that a page shows; they die with the test."""
    workers = []

    def start(page):
        for arguments in WORKER.findall(page.read_text()):
            command = (sys.executable, "-m", "mainspring", "worker", *shlex.split(arguments))
            with (tmp_path / "worker.log").open("ab") as log:
                workers.append(subprocess.Popen(command, cwd=tmp_path, stdout=log, stderr=log))

    yield start
    for worker in workers:
        worker.terminate()
        worker.wait(30)


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page)], ids=named)
def test_what_a_page_shows_runs(page, tmp_path, start_workers):
    program = []
    for name, mode, text in blocks(page):
        assert mode in {"", "no-run"}, f"a block fenced as python {mode}"
        compile(text, named(page), "exec", dont_inherit=True)
        if name:
            (tmp_path / name).write_text(text)
        elif not mode:
            program.append(text)
    start_workers(page)
    done = subprocess.run(
        (sys.executable, "-c", "\n".join(program)),
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr

"""The rules of the house that a machine can check."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "mainspring"
LINES = 400
FOLDERS = ("src", "tests", "benchmarks", "docs", "examples", ".ci")
ENDINGS = frozenset({".py", ".md", ".toml", ".txt", ".yml", ".yaml", ".cfg", ".sql", ".sh", ""})

# Where this checkout lies, and where people's and CI's homes do; and hosts that packages come from.
PLACES = re.compile(r"/(?:home|root|Users|work|opt)/\w+")
HOSTS = re.compile(r"\b(?:pythonhosted\.org|pypi\.org|index-url|find-links)\b")


# Not the project's: in a worktree `.git` is a file that says where the repository lies.
NOT_OURS = frozenset({"__pycache__", ".git"})


# A docstring begins with a noun, or with a verb of what it does.
RIDDLES = re.compile(
    r"(?:What|Which|Who|Whom|Whose|Whether|How|When|Where|Why|Those|They|So|Of|That|Take|Learn|Tell)s?\b"
)


def texts(root=ROOT):
    """Every text file of the project: what is tracked, and what may be soon."""
    found = [path for path in root.iterdir() if path.is_file()]
    for folder in FOLDERS:
        found += [path for path in (root / folder).rglob("*") if path.is_file()]
    return sorted(
        path
        for path in found
        if path.suffix in ENDINGS
        and NOT_OURS.isdisjoint(path.relative_to(root).parts)
        and path != Path(__file__)
    )


def lines_that_match(pattern):
    return [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in texts()
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if pattern.search(line)
    ]


def test_imports_only_point_down_the_floors_and_run_in_no_circle():
    command = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    done = subprocess.run(
        (sys.executable, "-c", command, "--no-cache", "--no-logo"),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("folder", ["src", "benchmarks"])
def test_no_source_file_is_longer_than_a_noun(folder):
    long = {
        str(path.relative_to(ROOT)): count
        for path in (ROOT / folder).rglob("*.py")
        if (count := len(path.read_text().splitlines())) >= LINES
    }
    assert not long


def test_no_file_names_a_place_on_somebodys_machine():
    assert not lines_that_match(PLACES)


def test_what_git_keeps_in_a_worktree_is_no_file_of_the_project(tmp_path):
    for name in (".git", ".gitignore", "README.md"):
        (tmp_path / name).write_text("gitdir: elsewhere")
    assert [path.name for path in texts(tmp_path)] == [".gitignore", "README.md"]


def test_no_file_names_where_packages_come_from():
    assert not lines_that_match(HOSTS)


def test_the_packages_have_names_and_versions_and_nothing_else():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert pins
    assert [pin for pin in pins if not re.fullmatch(r"[a-z0-9.-]+==[0-9][\w.]*", pin)] == []


def test_a_package_file_holds_names_and_no_logic():
    """Only two doors do more, and import each public name on first use."""
    logic = re.compile(r"^(?:async |def |class |for |while |with |try:)", re.MULTILINE)
    doors = set(PACKAGE.glob("*/**/__init__.py")) - {PACKAGE / "testing" / "__init__.py"}
    assert [str(door) for door in doors if logic.search(door.read_text())] == []


def test_the_picture_of_the_house_names_every_floor_and_room():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    layers = [one for rule in contracts["contracts"] for one in rule.get("layers", ())]
    rooms = {room for layer in layers for room in re.findall(r"\w+", layer)}
    pictures = (ROOT / "docs" / "architecture.md").read_text().split("```")[1::2]
    drawn = {word for picture in pictures for word in re.findall(r"\w+", picture)}
    assert rooms
    assert rooms - drawn == set()


def package_files():
    """Yield the path within the package, and the syntax tree, of every source file."""
    for path in sorted(PACKAGE.rglob("*.py")):
        yield path.relative_to(PACKAGE), ast.parse(path.read_text())


def docstrings(tree):
    """Yield the docstrings of a file: of the module, classes, functions and named values."""
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        for statement in body if isinstance(body, list) else ():
            match statement:
                case ast.Expr(value=ast.Constant(value=str(text))):
                    yield text


def test_a_class_name_stands_once_in_the_package():
    places = defaultdict(list)
    for place, tree in package_files():
        if place.parts[0] == "compat":
            continue  # its names are those of other packages
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                places[node.name].append(str(place))
    assert {name: where for name, where in places.items() if len(where) > 1} == {}


def test_no_docstring_begins_with_a_riddle():
    found = [
        f"{place}: {text.splitlines()[0]}"
        for place, tree in package_files()
        for text in docstrings(tree)
        if RIDDLES.match(text)
    ]
    assert found == []


def test_every_folder_of_the_package_is_on_the_page_of_the_architecture():
    page = (ROOT / "docs" / "architecture.md").read_text()
    folders = {place.parent.as_posix() for place, _ in package_files()} - {"."}
    assert sorted(folder for folder in folders if f"`{folder}/`" not in page) == []


ARCHITECTURE = ROOT / "docs" / "architecture.md"
NAMES_FROM, NAMES_TO = 4, 53
"""Columns of the names in a picture of rooms; what they are for stands behind."""


def pictures():
    return ARCHITECTURE.read_text().split("```")[1::2]


def is_there(name):
    """Whether a file or folder of the docs exists, named from the package or from the project."""
    return any((root / name).exists() for root in (PACKAGE, PACKAGE.parent, ROOT))


def test_each_file_and_folder_that_the_architecture_names_is_there():
    page = ARCHITECTURE.read_text() + (ROOT / "docs" / "howto" / "where-to-add.md").read_text()
    files = set(re.findall(r"(?<![\w/(.])[\w/]+\.py\b", page))
    folders = set(re.findall(r"`([\w/]+/)`", page))
    assert len(files) > 30
    assert len(folders) > 50
    made_by_hand = {name for name in files if name.endswith("NAME.py")}
    assert sorted(name for name in files - made_by_hand | folders if not is_there(name)) == []


def test_each_file_that_a_decision_names_is_there():
    pages = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    files = {
        (page.name, name)
        for page in pages
        for name in re.findall(r"`([\w/]+\.py)`", page.read_text())
    }
    assert len(files) > 15
    assert sorted((page, name) for page, name in files if not is_there(name)) == []


def test_each_room_in_the_pictures_of_the_house_is_there():
    rooms, folder = [], None
    for picture in pictures()[:2]:
        for line in picture.splitlines():
            if head := re.fullmatch(r" {4}([\w/]+)/", line):
                folder = head[1]
            elif line.strip() and "─" not in line:
                names = re.findall(r"\w+", line[NAMES_FROM:NAMES_TO])
                rooms += [f"{folder}/{name}" if folder else name for name in names]
    assert len(rooms) > 150
    gone = [room for room in rooms if not (is_there(room) or is_there(f"{room}.py"))]
    assert gone == []

"""The demo's work on source files: list, read, parse, count. It knows nothing of queues."""

from __future__ import annotations

import ast
import hashlib
import os
import warnings
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ALWAYS_SKIPPED = frozenset({"__pycache__", "site-packages", "dist-packages"})
TESTS = frozenset({"idle_test", "test", "tests"})
LONGEST = 10
Definition: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
UNPARSABLE = (SyntaxError, ValueError, RecursionError, MemoryError)
"""Errors of `ast.parse` for files that are no Python: bad syntax, null bytes, too deep nesting."""


@dataclass(frozen=True, slots=True)
class Function:
    """A function or method: its name within the file, where it begins, how many lines it has."""

    name: str
    path: str
    line: int
    lines: int


@dataclass(frozen=True, slots=True)
class SourceFile:
    """Figures of a file; `problem` says why it can't be read or parsed."""

    path: str
    sha256: str = ""
    lines: int = 0
    functions: int = 0
    classes: int = 0
    longest: tuple[Function, ...] = ()
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Listing:
    """The source files and the folders in a folder, as paths."""

    files: list[str]
    folders: list[str]


def list_sources(folder: str, skip: Iterable[str]) -> Listing:
    """List a folder without what is in it; `skip` holds names of folders to leave out."""
    with os.scandir(folder) as found:
        entries = sorted(found, key=attrgetter("name"))
    return Listing(
        files=[one.path for one in entries if is_source(one.name) and one.is_file()],
        folders=[
            one.path
            for one in entries
            if is_entered(one.name, skip) and one.is_dir(follow_symlinks=False)
        ],
    )


def walk_sources(root: str, skip: Iterable[str]) -> Iterator[str]:
    """Yield the path of each source file under `root`, in a plain loop."""
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if is_entered(name, skip)]
        paths = (os.path.join(folder, name) for name in names if is_source(name))  # noqa: PTH118  # joins as scandir does
        yield from (path for path in paths if Path(path).is_file())


def is_source(name: str) -> bool:
    """Return True for the name of a Python file."""
    return name.endswith(".py")


def is_entered(name: str, skip: Iterable[str]) -> bool:
    """Return True for the name of a folder that is searched."""
    return not name.startswith(".") and name not in ALWAYS_SKIPPED and name not in skip


def measure(path: str) -> SourceFile:
    """Read, hash, parse and count a file."""
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        return SourceFile(path, problem=f"{type(error).__name__}: {error.strerror}")
    sha256 = hashlib.sha256(data).hexdigest()
    lines = len(data.splitlines())
    try:
        tree = parse(data, path)
    except UNPARSABLE as error:
        said = getattr(error, "msg", error)  # without the file's name
        return SourceFile(path, sha256, lines, problem=f"{type(error).__name__}: {said}")
    found = list(definitions(tree))
    functions = [function_of(name, path, node) for name, node in found if not is_class(node)]
    classes = len(found) - len(functions)
    return SourceFile(path, sha256, lines, len(functions), classes, longest_of(functions))


def is_class(node: Definition) -> bool:
    """Return True for the definition of a class."""
    return isinstance(node, ast.ClassDef)


def function_of(name: str, path: str, node: Definition) -> Function:
    """Return what is kept of a function, whose lines count from its `def`."""
    return Function(name, path, node.lineno, (node.end_lineno or node.lineno) - node.lineno + 1)


def parse(data: bytes, path: str) -> ast.Module:
    """Parse a file in the encoding that it names, and keep its warnings to ourselves."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(data, path)


def definitions(tree: ast.Module) -> Iterator[tuple[str, Definition]]:
    """Yield each function and class with its dotted name."""
    waiting: list[tuple[str, ast.AST]] = [("", tree)]
    while waiting:
        prefix, node = waiting.pop()
        for child in ast.iter_child_nodes(node):
            if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                yield prefix + child.name, child
                waiting.append((f"{prefix}{child.name}.", child))
            elif not isinstance(child, ast.expr):  # no definition stands in an expression
                waiting.append((prefix, child))


def longest_of(functions: Iterable[Function]) -> tuple[Function, ...]:
    """Return the longest ones, the longest first, in an order that does not depend on theirs."""
    ranked = sorted(functions, key=lambda one: (-one.lines, one.path, one.line))
    return tuple(ranked[:LONGEST])

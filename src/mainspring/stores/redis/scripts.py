"""The scripts: Lua files, each with the files that its first line says it uses."""

from __future__ import annotations

import pkgutil
from functools import cache
from hashlib import sha1
from typing import NamedTuple

from msgspec.json import encode

from mainspring.model.crash import SUSPECT_CRASHES
from mainspring.model.job import CANCELLED, EXPIRED, OutcomeKind

CONSTANTS = f"""
local CANCELLED = [==[{encode(CANCELLED).decode()}]==]
local EXPIRED = [==[{encode(EXPIRED).decode()}]==]
local SUSPECT_CRASHES = {SUSPECT_CRASHES}
local RELEASED = {{'', 0, -1, 0, '', '', '{OutcomeKind.RELEASED.value}', 0, 0, -1, '', -1}}
"""

USES = "-- uses "


class Script(NamedTuple):
    """A script's text, and the name that a server which has seen it knows it by."""

    text: str
    sha: str


@cache
def script(name: str) -> Script:
    """Return the script of that name."""
    text = CONSTANTS + "".join(_file(one) for one in _parts(name))
    return Script(text, sha1(text.encode(), usedforsecurity=False).hexdigest())


def _parts(name: str) -> list[str]:
    """Return the names of the files that a file uses, in order, itself the last."""
    first, _, _ = _file(name).partition("\n")
    words = first.removeprefix(USES).split() if first.startswith(USES) else []
    return [*dict.fromkeys(one for word in words for one in _parts(word)), name]


@cache
def _file(name: str) -> str:
    return (pkgutil.get_data(__name__.rpartition(".")[0], f"lua/{name}.lua") or b"").decode()

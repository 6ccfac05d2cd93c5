"""Results of an examination of a store."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

Level = Literal["ok", "warning", "problem"]


class Diagnosis(Struct, frozen=True):
    """One thing that was looked at, how it is, and what to do where it is not well."""

    check: str
    level: Level
    says: str
    remedy: str = ""

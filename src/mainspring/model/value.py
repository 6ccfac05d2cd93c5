"""Base of the values that the program makes and never decodes: frozen, and cheap to declare.

A dataclass compiles its methods while its module is imported, about 1 ms each; this takes 0.03 ms.
Its annotations are not evaluated, so they may name what only type checkers import.
"""

from __future__ import annotations

from msgspec import Struct


class Value(Struct, frozen=True):
    """Base of frozen values; `msgspec.structs.replace` changes one, checked like the first."""

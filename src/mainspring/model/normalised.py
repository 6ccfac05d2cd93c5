"""Messages of errors without what varies in them, so that those which are alike can be told."""

from __future__ import annotations

import re

LONGEST_MESSAGE = 300

_VARYING = [
    (
        re.compile(
            r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", re.IGNORECASE
        ),
        "<id>",
    ),
    (re.compile(r"\b0x[0-9a-f]+\b", re.IGNORECASE), "<address>"),
    (re.compile(r"'[^'\s]*'|\"[^\"\s]*\""), "<text>"),
    (re.compile(r"\b(?=[0-9a-f]*\d)[0-9a-f]{8,}\b", re.IGNORECASE), "<id>"),
    (re.compile(r"\d+(?:[.,:]\d+)*"), "<n>"),
]


def normalised(message: str) -> str:
    """Return a message's first line with numbers, ids and quoted texts replaced."""
    line = message.strip().split("\n", 1)[0][:LONGEST_MESSAGE]
    for pattern, word in _VARYING:
        line = pattern.sub(word, line)
    return line

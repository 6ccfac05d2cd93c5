"""Text of unknown origin as text that a terminal or a log can show: the one function that cleans.

Control characters could move the cursor, begin another line or another log record; format
characters could turn the direction of what follows; lone surrogates can't be encoded.
"""

from __future__ import annotations

from unicodedata import category


def printable(text: str) -> str:
    r"""Return a text of one line; what can't be shown is written as `\x1b`, `\n`, `\u202e`."""
    if text.isprintable():
        return text
    return "".join(map(_shown, text))


def printable_lines(text: str) -> str:
    """Return a text whose line feeds stay, as those of a traceback; the rest is cleaned."""
    return "\n".join(map(printable, text.split("\n")))


def _shown(letter: str) -> str:
    # Spaces of other widths are not printable for Python, but do no harm.
    if letter.isprintable() or category(letter) == "Zs":
        return letter
    return letter.encode("unicode_escape").decode("ascii")

"""Statements of ours that put up with a row which is there already do not in these tests.

A forged row must hold up nobody, so they replace it; but a row of ours is never there twice, and a
fault of ours that writes one must show.
"""

from __future__ import annotations

import pytest

from mainspring.stores.sqlite import controls
from mainspring.stores.sqlite.transitions import endings, returns

LENIENT = "INSERT OR REPLACE INTO"


@pytest.fixture(autouse=True)
def _strict(monkeypatch):
    for module in (controls, endings, returns):
        lenient = [
            (name, text)
            for name, text in vars(module).items()
            if isinstance(text, str) and LENIENT in text
        ]
        assert lenient, f"{module.__name__} is strict itself"
        for name, text in lenient:
            monkeypatch.setattr(module, name, text.replace(LENIENT, "INSERT INTO"))

"""The suite is a program of its own, which the tests beside it run."""

from __future__ import annotations

collect_ignore = ["suite"]

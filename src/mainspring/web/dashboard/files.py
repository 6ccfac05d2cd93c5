"""The files that browsers load: style, scripts, icon; each at an address that names its content."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).with_name("static")
TYPES = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}


class StaticFile(NamedTuple):
    """A file: its address below `static/`, its content and media type."""

    address: str
    content: bytes
    media_type: str


def _read(name: str) -> StaticFile:
    content = (FOLDER / name).read_bytes()
    stem, ending = name.split(".")
    digest = hashlib.sha256(content).hexdigest()[:12]
    return StaticFile(f"{stem}.{digest}.{ending}", content, TYPES[ending])


FILES = {name: _read(name) for name in ("icon.svg", "dashboard.css", "dashboard.js", "chart.js")}
BY_ADDRESS = {file.address: file for file in FILES.values()}

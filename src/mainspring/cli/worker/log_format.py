"""How a command's log is written: as lines for people, or as one JSON object a line."""

from __future__ import annotations

import logging
import os
import sys
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from msgspec import json

from mainspring.model.printable import printable, printable_lines

FORMATS = ("text", "json")

_log = logging.getLogger("mainspring.worker")


class TextFormatter(logging.Formatter):
    """One line a record, and below it a traceback; no text of a job's can forge a record."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  # logging's name
        """Return the record's line."""
        return printable(super().formatMessage(record))

    def formatException(self, ei: Any) -> str:  # noqa: N802  # as above
        """Return a traceback; no line of it begins as a record does."""
        return printable_lines(super().formatException(ei)).replace("\n", "\n  ")


class JsonFormatter(logging.Formatter):
    """One object a line: `at` (UTC, ISO 8601), `level`, `logger`, `message`, perhaps `error`."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record's line."""
        line = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        # Lone surrogates (from file names, for one) are no UTF-8.
        clean = {name: text.encode(errors="backslashreplace") for name, text in line.items()}
        return json.encode({name: text.decode() for name, text in clean.items()}).decode()


class Voice:
    """What a command says on standard error: its log, and lines of its own in the same format."""

    def __init__(self, log_format: str) -> None:
        self._json = JsonFormatter() if log_format == "json" else None
        handler = logging.StreamHandler()
        handler.setFormatter(self._json or TextFormatter("[mainspring] %(levelname)s %(message)s"))
        logging.basicConfig(level=logging.INFO, handlers=[handler])

    def say(self, line: str) -> None:
        """Write a line of the command's own."""
        # Not print(): this is also called from a signal handler, in the midst of another print.
        descriptor = sys.__stderr__.fileno() if sys.__stderr__ else 2
        with suppress(OSError):  # a terminal that was closed, a pipe that nobody reads
            os.write(descriptor, f"{self._told(line)}\n".encode())

    def _told(self, line: str) -> str:
        if self._json is None:
            return printable(f"[mainspring] {line}")
        record = _log.makeRecord(_log.name, logging.INFO, "", 0, line, (), None)
        return self._json.format(record)

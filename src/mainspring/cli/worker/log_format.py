"""Format of a command's log: lines for people, or one JSON object a line.

The command owns the root logger's handler: a `basicConfig` of the app changes nothing, in the
worker as in its child processes, and records of all loggers look alike.
"""

from __future__ import annotations

import logging
import os
import sys
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from msgspec import Raw, json

from mainspring.model.printable import printable, printable_lines
from mainspring.telemetry.job_fields import PREFIX, job_of

if TYPE_CHECKING:
    import argparse

FORMATS = ("text", "json")
LEVELS = ("debug", "info", "warning", "error", "critical")

_log = logging.getLogger("mainspring.worker")

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonFormatter(logging.Formatter):
    """One object a line: `at` (UTC, ISO 8601), `level`, `logger`, `message`.

    In a job also `job`, `task`, `queue` and `attempt`; if there is one the traceback as `error`;
    as `extra` the fields that the program gave.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the record's line."""
        line: dict[str, object] = {
            "at": _moment(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **job_of(record),
        }
        if error := _traceback(self, record):
            line["error"] = error
        if extra := _extra(record):
            line["extra"] = extra
        return json.encode({name: _encoded(value) for name, value in line.items()}).decode()


class TextFormatter(logging.Formatter):
    """A line a record: time (UTC), level, logger and message, then the job that it is of.

    No text of a job's can forge a record, nor can a line of a traceback.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the record's line, and below it the lines of its traceback."""
        message, of = record.getMessage(), job_of(record)
        if str(of.get("job")) in message:  # ours name the job and its task themselves
            of = {name: value for name, value in of.items() if name not in {"job", "task"}}
        fields = ", ".join(f"{name} {value}" for name, value in of.items())
        job = f" ({fields})" if fields else ""
        line = f"{_moment(record)} {record.levelname} {record.name}: {message}{job}"
        below = printable_lines(_traceback(self, record)).replace("\n", "\n  ")
        return f"{printable(line)}\n  {below}" if below else printable(line)


def _moment(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")


def _traceback(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    if record.exc_info and not record.exc_text:
        record.exc_text = formatter.formatException(record.exc_info)
    return "\n".join(filter(None, (record.exc_text, record.stack_info)))


def _extra(record: logging.LogRecord) -> dict[str, object]:
    return {
        name: _encoded(value)
        for name, value in vars(record).items()
        if name not in _STANDARD and not name.startswith(PREFIX)
    }


def _encoded(value: object) -> Raw:
    try:
        return Raw(json.encode(value, enc_hook=str))
    except Exception:  # noqa: BLE001  # an object of the user's may raise anything
        return Raw(json.encode(_text_of(value)))


def _text_of(value: object) -> str:
    try:
        # Lone surrogates (from file names, for one) are no UTF-8.
        return f"{value!s}".encode(errors="backslashreplace").decode()
    except Exception as error:  # noqa: BLE001  # as above, and the record must not be lost of it
        return f"<its text raised {type(error).__name__}>"


def add_log_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say how the log is written."""
    parser.add_argument(
        "--log-format", choices=FORMATS, default="text", help="how the log is written"
    )
    parser.add_argument(
        "--log-level", choices=LEVELS, default="info", help="the least that is logged"
    )


class Printer:
    """Prints to standard error: the log, and a command's own lines in the same format."""

    def __init__(self, log_format: str, level: str) -> None:
        self._json = JsonFormatter() if log_format == "json" else None
        handler = logging.StreamHandler()
        handler.setFormatter(self._json or TextFormatter())
        logging.basicConfig(level=level.upper(), handlers=[handler])

    def say(self, line: str) -> None:
        """Write a line of the command's own."""
        # Not print(): this is also called from a signal handler, in the midst of another print.
        descriptor = sys.__stderr__.fileno() if sys.__stderr__ else 2
        with suppress(OSError):  # a terminal that was closed, a pipe that nobody reads
            os.write(descriptor, f"{self._formatted(line)}\n".encode())

    def _formatted(self, line: str) -> str:
        if self._json is None:
            return printable(f"[mainspring] {line}")
        record = _log.makeRecord(_log.name, logging.INFO, "", 0, line, (), None)
        return self._json.format(record)

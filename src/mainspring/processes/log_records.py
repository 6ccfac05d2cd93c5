"""Log records that cross from a child process to its parent.

In a child the root logger has one handler, which sends each record over the child's connection. The
parent gives it to the handlers of its own loggers, so that all processes write one log.
"""

from __future__ import annotations

import logging
import marshal
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypedDict

if TYPE_CHECKING:
    from collections.abc import Callable


_SCALARS = frozenset({type(None), bool, int, float, str, bytes})
_CONTAINERS = frozenset({list, tuple, set, frozenset})


class LogLevels(TypedDict):
    """The levels that a process has set; marshal carries it, so only plain values."""

    loggers: dict[str, int]
    disabled: int


def levels_now() -> LogLevels:
    """Return the levels of this process, for a child of it to begin with."""
    manager = logging.root.manager
    loggers = {
        # A level, and a name, may be of a class of the user's, as of an enum.
        str.__str__(name): int(logger.level)
        for name, logger in manager.loggerDict.copy().items()
        if isinstance(logger, logging.Logger) and logger.level
    }
    own = {"": int(logging.root.level)}
    return {"loggers": {**loggers, **own}, "disabled": int(manager.disable)}


def send_records(levels: LogLevels, send: Callable[[bytes], bool]) -> None:
    """Let the root logger send what it gets; `send` returns False when there is no parent.

    Asked again it does nothing.
    """
    if any(isinstance(handler, RecordSender) for handler in logging.root.handlers):
        return
    for name, level in levels["loggers"].items():
        logging.getLogger(name).setLevel(level)
    logging.disable(levels["disabled"])
    logging.root.addHandler(RecordSender(send))


def handle_packed(payload: bytes) -> None:
    """Handle a record from a child as one of this process; a handler that raises harms nobody."""
    with suppress(Exception):
        fields, handled = marshal.loads(payload)  # noqa: S302  # from our own child
        record = logging.makeLogRecord(fields)
        logger = logging.getLogger(record.name)
        if logger.isEnabledFor(record.levelno) and (kept := logger.filter(record)):
            # From 3.12 a filter may return another record.
            _call_handlers(logger, kept if isinstance(kept, logging.LogRecord) else record, handled)


class RecordSender(logging.Handler):
    """Sends records to the parent; in a process that a body forked off, it writes to stderr."""

    def __init__(self, send: Callable[[bytes], bool]) -> None:
        super().__init__()
        self._send = send

    def emit(self, record: logging.LogRecord) -> None:
        """Send the record."""
        try:
            if not self._send(_packed(record)):
                _write_as_unconfigured(record)
        except Exception:  # noqa: BLE001  # as all handlers of the standard library do
            self.handleError(record)


def _packed(record: logging.LogRecord) -> bytes:
    fields = {**vars(record), "msg": record.getMessage(), "args": None, "exc_info": None}
    if record.exc_info and not record.exc_text:
        fields["exc_text"] = logging.Formatter().formatException(record.exc_info)
    plain = {_built_in(name): _plain(value) for name, value in fields.items()}
    return marshal.dumps((plain, _handled_by(record.name)))


def _plain(value: Any) -> Any:
    """Return the value in built-in kinds; what is of no such kind, or in itself, as its text."""
    try:
        return _built_in(value)
    except RecursionError:
        return f"{value!s}"


def _built_in(value: Any) -> Any:
    # Not what marshal takes: of an array, and of a number of NumPy's, that is the bytes.
    kind = type(value)
    if kind in _SCALARS:
        return value
    if kind in _CONTAINERS:
        return kind(map(_built_in, value))
    if kind is dict:
        return {_built_in(name): _built_in(one) for name, one in value.items()}
    return _of_subclass(value)


def _of_subclass(value: Any) -> Any:
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    return str.__str__(value) if isinstance(value, str) else f"{value!s}"


def _handled_by(name: str) -> list[str]:
    """Return the loggers below the root whose handlers have had a record of logger `name` here."""
    return [
        str.__str__(logger.name) for logger in _lineage(logging.getLogger(name)) if logger.handlers
    ]


def _call_handlers(logger: logging.Logger, record: logging.LogRecord, handled: list[str]) -> None:
    lineage = _lineage(logger)
    handlers = [one for each in lineage if each.name not in handled for one in each.handlers]
    if all(each.propagate for each in lineage):
        handlers += logging.root.handlers
    for handler in handlers:
        if record.levelno >= handler.level:
            handler.handle(record)
    if not handlers and not handled:
        _write_as_unconfigured(record)


def _lineage(logger: logging.Logger) -> list[logging.Logger]:
    """Return the loggers below the root that a record of this one passes."""
    passed = []
    current: logging.Logger | None = logger
    while current is not None and current is not logging.root:
        passed.append(current)
        current = current.parent if current.propagate else None
    return passed


def _write_as_unconfigured(record: logging.LogRecord) -> None:
    last = logging.lastResort
    if last is not None and record.levelno >= last.level:
        last.handle(record)

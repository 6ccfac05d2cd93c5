"""The program that a child of a process pool runs: take a frame, run it, answer, until let go.

It knows nothing of pools. It imports little, and nothing of asyncio: a child's start waits for it.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, TypedDict

from mainspring.processes import main as process_main
from mainspring.processes import parent_watch
from mainspring.processes.call import pack_error, run_call
from mainspring.processes.frame import (
    CALL,
    LOG,
    NOTE,
    RAISED,
    READY,
    REPLY,
    SPENT,
    FrameReader,
    frame,
)
from mainspring.supervision.stop_signals import STOP_SIGNALS
from mainspring.supervision.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Callable

    from mainspring.processes.log_records import LogLevels

_SET_PARENT_DEATH_SIGNAL = 1
_PARENT_STOP_PATIENCE = 2.0
"""Seconds within which a parent that is to stop has said so to its children."""
_UNSENT_RECORDS = 1_000
"""So many records that are logged between two calls wait for the next; older ones are dropped."""


class Boot(TypedDict):
    """The values that a child starts with; marshal carries them, so they are plain."""

    path: list[str]
    argv: list[str]
    main: tuple[str, str] | None
    parent: int
    line_fd: int
    parent_fd: int
    kernel_kills: bool
    startup: bytes
    max_memory_bytes: int | None
    log_levels: LogLevels


class ParentLine:
    """The child's end of its socket."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._speaking = threading.RLock()  # a body's signal handler may log
        self._sending = False
        self._asked = False
        self._unsent: deque[bytes] = deque(maxlen=_UNSENT_RECORDS)
        self._reader = FrameReader(lambda limit_bytes: os.read(self._fd, limit_bytes))

    def hear(self) -> tuple[int, bytes]:
        """Wait to be asked; EOFError if the parent has hung up."""
        kind, request = self._reader.next()
        self._asked = True
        return kind, request

    def answer(self, kind: int, payload: bytes) -> None:
        """Say the last word of a call, or of the start."""
        with self._speaking:
            self._send_records()
            self._asked = False
            self._send(kind, payload)

    def tell(self, note: bytes) -> None:
        """Say something in the middle of a call; from any thread."""
        with self._speaking:
            if self._asked:
                self._send(NOTE, note)

    def log(self, record: bytes) -> bool:
        """Send a packed log record, between calls with the next one; False if nobody hears it."""
        if self._fd == -1:
            return False
        self._unsent.append(record)
        with suppress(OSError), self._speaking:  # a parent that is gone kills this process
            # In a signal handler: the interrupted call sends it.
            if self._asked and not self._sending:
                self._send_records()
        return True

    def forsake(self) -> None:
        """Let go of it, in a process that a body forked off: the line is not that process's."""
        os.close(self._fd)
        self._fd = -1
        self._speaking = threading.RLock()

    def _send_records(self) -> None:
        while self._unsent:
            self._send(LOG, self._unsent.popleft())

    def _send(self, kind: int, payload: bytes) -> None:
        self._sending = True
        try:
            for piece in frame(kind, payload):
                self._write(piece)
        finally:
            self._sending = False

    def _write(self, piece: bytes) -> None:
        rest = memoryview(piece)
        while rest:
            rest = rest[os.write(self._fd, rest) :]


_line: ParentLine | None = None


def tell(note: bytes) -> None:
    """Say something to the caller in the middle of a call; at other times it does nothing.

    A thread that a body has left behind speaks in the name of whichever call runs then.
    """
    if _line is not None:
        with suppress(OSError):
            _line.tell(note)


def main(boot: Boot) -> None:
    """Be a child: get ready, then serve until the parent hangs up or ends."""
    global _line  # noqa: PLW0603  # a process is a child once, with one line
    _bind_to_parent(boot)
    parent_watch.hold(boot["parent_fd"])
    _leave_stops_to_the_parent()
    Terminal().guard_output()
    _line = line = ParentLine(boot["line_fd"])
    _keep_from_others(boot)
    sys.argv[:] = boot["argv"]
    process_main.inherit(boot["main"])
    handler = _prepared(boot, line)
    # The parent may have hung up already.
    with suppress(EOFError, OSError):
        line.answer(READY, b"")
        _send_log_records(boot, line)
        _serve(line, handler, _Scales(boot["max_memory_bytes"]))


def _bind_to_parent(boot: Boot) -> None:
    bound = boot["kernel_kills"] and _ask_kernel_to_kill()
    # The parent may have died before the kernel was asked.
    if os.getppid() != boot["parent"]:
        os._exit(1)
    if not bound:
        threading.Thread(target=_end_with, args=(boot["parent_fd"],), daemon=True).start()


def _ask_kernel_to_kill() -> bool:
    result = ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)
    return bool(result == 0)


def _end_with(parent_fd: int) -> None:
    with suppress(OSError):
        parent_watch.wait_for_end(parent_fd)
    os._exit(1)


def _leave_stops_to_the_parent() -> None:
    # A terminal or a service manager signals the whole group; the parent decides what ends, and
    # kills. They were blocked before we were started.
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
        # From a terminal. What a body starts inherits it, so that it can end with its job.
        signal.signal(number, signal.SIG_IGN)
    # Caught, and so not inherited: what a body starts can be terminated.
    signal.signal(signal.SIGTERM, _end_unless_parent_stops)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)


def _end_unless_parent_stops(number: int, _frame: object) -> None:
    # Sent to the group, it has asked the parent, too; sent to this process, it means this one.
    if not parent_watch.stop_asked(_PARENT_STOP_PATIENCE):
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)


def _keep_from_others(boot: Boot) -> None:
    for fd in (boot["line_fd"], boot["parent_fd"]):
        os.set_inheritable(fd, False)  # noqa: FBT003  # the standard library's signature
    os.register_at_fork(after_in_child=_forsake)


def _forsake() -> None:
    # A process forked off by a body would hide our end from the parent, and answer in our place;
    # and whoever forked it must be able to end it.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    parent_watch.hold(-1)
    if _line is not None:
        _line.forsake()


def _prepared(boot: Boot, line: ParentLine) -> Callable[[bytes], bytes]:
    try:
        handler, initializer, initargs = process_main.loads(boot["startup"])
        if initializer is not None:
            _send_log_records(boot, line)
            initializer(*initargs)
    except BaseException as error:  # noqa: BLE001  # the border of a child: the parent is told
        with suppress(OSError):
            line.answer(RAISED, pack_error(error))
        sys.exit(1)
    return handler  # type: ignore[no-any-return]  # the pool packed it


def _send_log_records(boot: Boot, line: ParentLine) -> None:
    """Let the log of this process go to the parent; again it does nothing."""
    # Not at the top: without an initializer a child is ready before this, which takes 10 ms.
    from mainspring.processes import log_records  # noqa: PLC0415

    log_records.send_records(boot["log_levels"], line.log)


def _serve(line: ParentLine, handler: Callable[[bytes], bytes], scales: _Scales) -> None:
    while True:
        kind, request = line.hear()
        kind, reply = _answer(run_call if kind == CALL else handler, request)
        _flush()
        line.answer(kind | scales.verdict(), reply)
        del request, reply


def _answer(handler: Callable[[bytes], bytes], request: bytes) -> tuple[int, bytes]:
    try:
        return REPLY, handler(request)
    except BaseException as error:  # noqa: BLE001  # the border of a call: the caller is told
        return RAISED, pack_error(error)


def _flush() -> None:
    # What a body printed must not be lost when its child is killed later.
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, OSError, ValueError):
            stream.flush()


class _Scales:
    """Weighs this process after each call, if there is a limit."""

    def __init__(self, limit_bytes: int | None) -> None:
        self._limit_bytes = limit_bytes

    def verdict(self) -> int:
        """Return SPENT if more memory is resident than allowed, else 0."""
        if self._limit_bytes is None or _resident_bytes() <= self._limit_bytes:
            return 0
        return SPENT


def _resident_bytes() -> int:
    if sys.platform == "linux":
        with open("/proc/self/statm", "rb") as statm:  # noqa: PTH123  # pathlib costs 5 ms
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return _peak_bytes()


def _peak_bytes() -> int:
    import resource  # noqa: PLC0415  # needed only where there is no /proc

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024

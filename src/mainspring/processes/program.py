"""The program that a child of a process pool runs: read a request, run it, answer, until closed.

It knows nothing of pools. It imports little, and nothing of asyncio: a child's start waits for it.
"""

from __future__ import annotations

import ctypes
import faulthandler
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
_PARENT_STOP_TIMEOUT = 2.0
"""Seconds within which a parent that is to stop has said so to its children."""
_UNSENT_RECORDS = 1_000
"""Most records logged between two calls that wait for the next; older ones are dropped."""


class Startup(TypedDict):
    """The values that a child starts with; marshal carries them, so they are plain."""

    path: list[str]
    argv: list[str]
    main: tuple[str, str] | None
    parent: int
    connection_fd: int
    parent_fd: int
    stack_fd: int
    stack_signal: int
    kernel_kills: bool
    startup: bytes
    max_memory_bytes: int | None
    log_levels: LogLevels


class ParentConnection:
    """The child's end of the socket to its parent."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._lock = threading.RLock()  # a body's signal handler may log
        self._sending = False
        self._asked = False
        self._unsent: deque[bytes] = deque(maxlen=_UNSENT_RECORDS)
        self._reader = FrameReader(lambda limit_bytes: os.read(self._fd, limit_bytes))

    def receive(self) -> tuple[int, bytes]:
        """Return the next request; EOFError if the parent has closed the connection."""
        kind, request = self._reader.next()
        self._asked = True
        return kind, request

    def answer(self, kind: int, payload: bytes) -> None:
        """Send the reply of a call, or of the start."""
        with self._lock:
            self._send_records()
            self._asked = False
            self._send(kind, payload)

    def send_note(self, note: bytes) -> None:
        """Send a note in the middle of a call; from any thread."""
        with self._lock:
            if self._asked:
                self._send(NOTE, note)

    def log(self, record: bytes) -> bool:
        """Send a packed log record, between calls with the next one; False after a fork."""
        if self._fd == -1:
            return False
        self._unsent.append(record)
        with suppress(OSError), self._lock:  # a parent that is gone kills this process
            # In a signal handler: the interrupted call sends it.
            if self._asked and not self._sending:
                self._send_records()
        return True

    def drop_after_fork(self) -> None:
        """Close it in a process that a body forked off: the parent is not that process's."""
        os.close(self._fd)
        self._fd = -1
        self._lock = threading.RLock()

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


_parent: ParentConnection | None = None


def send_note(note: bytes) -> None:
    """Send the caller a note in the middle of a call; at other times do nothing.

    A note of a thread that a body has left behind belongs to whichever call runs then.
    """
    if _parent is not None:
        with suppress(OSError):
            _parent.send_note(note)


def main(startup: Startup) -> None:
    """Run a child: get ready, then serve until the parent closes the connection or ends."""
    global _parent  # noqa: PLW0603  # a process is a child once
    _bind_to_parent(startup)
    parent_watch.hold(startup["parent_fd"])
    _leave_stops_to_the_parent()
    _tell_stack_at_signal(startup)
    Terminal().guard_output()
    _parent = parent = ParentConnection(startup["connection_fd"])
    _keep_from_others(startup)
    sys.argv[:] = startup["argv"]
    process_main.inherit(startup["main"])
    handler = _prepared(startup, parent)
    # The parent may have closed it already.
    with suppress(EOFError, OSError):
        parent.answer(READY, b"")
        _send_log_records(startup, parent)
        _serve(parent, handler, _MemoryLimit(startup["max_memory_bytes"]))


def _bind_to_parent(startup: Startup) -> None:
    bound = startup["kernel_kills"] and _ask_kernel_to_kill()
    # The parent may have died before the kernel was asked.
    if os.getppid() != startup["parent"]:
        os._exit(1)
    if not bound:
        threading.Thread(target=_end_with, args=(startup["parent_fd"],), daemon=True).start()


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


def _tell_stack_at_signal(startup: Startup) -> None:
    if startup["stack_signal"]:
        faulthandler.register(startup["stack_signal"], file=startup["stack_fd"], all_threads=False)


def _end_unless_parent_stops(number: int, _frame: object) -> None:
    # Sent to the group, it has asked the parent, too; sent to this process, it means this one.
    if not parent_watch.stop_asked(_PARENT_STOP_TIMEOUT):
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)


def _keep_from_others(startup: Startup) -> None:
    for fd in (startup["connection_fd"], startup["parent_fd"], startup["stack_fd"]):
        os.set_inheritable(fd, False)  # noqa: FBT003  # the standard library's signature
    os.register_at_fork(after_in_child=_drop_after_fork)


def _drop_after_fork() -> None:
    # A process forked off by a body would hide our end from the parent, and answer in our place;
    # and whoever forked it must be able to end it.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    parent_watch.hold(-1)
    if _parent is not None:
        _parent.drop_after_fork()


def _prepared(startup: Startup, parent: ParentConnection) -> Callable[[bytes], bytes]:
    try:
        handler, initializer, initargs = process_main.loads(startup["startup"])
        if initializer is not None:
            _send_log_records(startup, parent)
            initializer(*initargs)
    except BaseException as error:  # noqa: BLE001  # the border of a child: the parent gets it
        with suppress(OSError):
            parent.answer(RAISED, pack_error(error))
        sys.exit(1)
    return handler  # type: ignore[no-any-return]  # the pool packed it


def _send_log_records(startup: Startup, parent: ParentConnection) -> None:
    """Send the log of this process to the parent; again it does nothing."""
    # Not at the top: without an initializer a child is ready before this, which takes 10 ms.
    from mainspring.processes import log_records  # noqa: PLC0415

    log_records.send_records(startup["log_levels"], parent.log)


def _serve(
    parent: ParentConnection, handler: Callable[[bytes], bytes], memory_limit: _MemoryLimit
) -> None:
    while True:
        kind, request = parent.receive()
        kind, reply = _answer(run_call if kind == CALL else handler, request)
        _flush()
        parent.answer(kind | memory_limit.spent_flag(), reply)
        del request, reply


def _answer(handler: Callable[[bytes], bytes], request: bytes) -> tuple[int, bytes]:
    try:
        return REPLY, handler(request)
    except BaseException as error:  # noqa: BLE001  # the border of a call: the caller gets it
        return RAISED, pack_error(error)


def _flush() -> None:
    # What a body printed must not be lost when its child is killed later.
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):  # a body may have put anything in its place
            stream.flush()


class _MemoryLimit:
    """Compares the memory of this process with its limit after each call."""

    def __init__(self, limit_bytes: int | None) -> None:
        self._limit_bytes = limit_bytes

    def spent_flag(self) -> int:
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

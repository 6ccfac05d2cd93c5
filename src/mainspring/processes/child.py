"""One child of a process pool, as its parent holds it: ask it, kill it, learn how it ended.

It knows how a child is started and nothing of pools. One thread at a time may ask a child; `kill`
and `reap` may come from any.
"""

from __future__ import annotations

import marshal
import os
import signal
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from mainspring.clock import monotonic
from mainspring.errors import AttemptTimeout, ChildDied
from mainspring.processes import main as process_main
from mainspring.processes.call import unpack_error
from mainspring.processes.frame import LOG, NOTE, RAISED, SPENT, FrameReader, frame
from mainspring.processes.log_records import handle_packed, levels_now
from mainspring.processes.stack_pipe import ANSWER_SECONDS, DUMP_SIGNAL, StackPipe

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from mainspring.processes.program import Startup

_EXIT_PATIENCE = 2.0
"""Seconds within which a child that has hung up must have ended."""
_STARTUP_TIMEOUT = 10.0
"""Seconds within which a child must have read its startup values."""
_WARM_UP_TIMEOUT = 60.0
"""Seconds that a warm-up may take for a request that has less time itself."""
_LONGEST_WAIT = 86_400.0
"""Most seconds that a socket is told to wait in one go: it refuses more than 24 days."""

# Only built-in modules until the path is the parent's: the working folder may hold a `struct.py`.
_PROGRAM = """\
import marshal, sys
try:
    startup = marshal.load(open(int(sys.argv[1]), "rb", closefd=False))
except EOFError:
    sys.exit(1)
sys.path[:] = startup["path"]
from mainspring.processes.program import main
main(startup)
"""


class ChildGone(Exception):
    """The child had ended before it took the request: another child can take it."""


@dataclass(frozen=True, slots=True)
class ChildPlan:
    """The plan for the children of one pool; `startup` is pickled, the limit may be None."""

    name: str
    startup: bytes
    max_memory_bytes: int | None
    kernel_kills: bool = sys.platform == "linux"


class Request(NamedTuple):
    """A request to a child; `label` names it in errors, `timeout` is in seconds.

    `on_note` gets the notes of the body, in the thread that waits. `warm_up` is a
    request that a child answers first, unless it has answered one of that key; what that raises
    is passed over, and its time is not the request's. `on_begin` is called right before the request
    itself is handed to the child.
    """

    kind: int
    payload: bytes
    label: str = "request"
    timeout: float | None = None
    on_note: Callable[[bytes], object] | None = None
    warm_up: tuple[Hashable, bytes] | None = None
    on_begin: Callable[[], object] | None = None


class Child:
    """A started child process; `pid` is its process id, `calls` how many it was asked."""

    def __init__(
        self, process: subprocess.Popen[bytes], connection: socket.socket, stack_pipe: StackPipe
    ) -> None:
        self.pid = process.pid
        self.calls = 0
        self.connection = connection
        self.ended = threading.Event()
        self.exit_fd = _exit_fd(process.pid)
        self._process = process
        self._reaping = threading.RLock()  # kill() may come from a signal handler
        self._stack_pipe = stack_pipe
        self._asking = threading.Lock()
        self._reader = FrameReader(self._read)
        self._deadline: float | None = None
        self._midway = False
        self._doomed = False
        self._spent = False
        self._warm: set[Hashable] = set()

    @classmethod
    def start(cls, plan: ChildPlan, *, parent_fd: int) -> Child:
        """Start a child, not ready yet; to be called from a thread that lives as long as it."""
        stack_pipe = StackPipe()
        try:
            ours, theirs = socket.socketpair()
        except BaseException:
            stack_pipe.close()
            raise
        try:
            with theirs:
                fds = theirs.fileno(), parent_fd, stack_pipe.child_fd
                startup = _startup(plan, fds)  # first: if it raises, there is no child yet
                child = cls(_spawn(plan.name, fds), ours, stack_pipe)
                stack_pipe.close_child_end()
        except BaseException:
            ours.close()
            stack_pipe.close()
            raise
        ours.settimeout(_STARTUP_TIMEOUT)
        with suppress(OSError):  # it died: its end tells how
            ours.sendall(startup)
        return child

    @property
    def usable(self) -> bool:
        """True if it can be asked: alive as far as known, unspent, and not in the middle."""
        return not (self._midway or self._doomed or self._spent or self.ended.is_set())

    def run(self, request: Request) -> bytes:
        """Have it run a request and return the reply; a child that is overdue is killed.

        Raises what the handler raised, AttemptTimeout, ChildDied, or ChildGone.
        """
        self.calls += 1
        self._midway = True
        if request.warm_up is not None and request.warm_up[0] not in self._warm:
            self._warm_up(request, *request.warm_up)
        if request.on_begin is not None:
            request.on_begin()
        kind, reply = self._exchange(request)
        self._midway = False
        self._spent = bool(kind & SPENT)
        if kind & ~SPENT == RAISED:
            raise unpack_error(reply, request.label)
        return reply

    def first_reply(self, timeout: float) -> tuple[int, bytes]:
        """Return the frame that says how its start went; OSError or EOFError: it sent none."""
        self._deadline = monotonic() + timeout
        return self._next_frame()

    def kill(self) -> None:
        """End it at once, and with it the call that it runs."""
        self._doomed = True
        with self._reaping:
            self._process.kill()

    def stack(self) -> str | None:
        """Return the stack of its main thread as text; None if it does not answer. Thread-safe."""
        with self._asking:
            return self._stack_pipe.ask(self._signal)

    def _signal(self, number: int) -> None:
        with self._reaping:
            self._process.send_signal(number)

    def reap(self) -> bool:
        """Return whether it has ended."""
        with self._reaping:
            if self._process.poll() is None:
                return False
        self.ended.set()
        return True

    def let_go(self) -> None:
        """Close its connection, so that it ends by itself; in the middle of a call kill it."""
        if self._midway:
            self.kill()
        self.connection.close()

    def cut(self) -> None:
        """Wake a caller who still listens after its end.

        A process that the body left behind may hold the other end of the connection open.
        """
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def release(self) -> None:
        """Close the descriptors, after its end."""
        self.connection.close()
        # Not for ever: in a forked process whoever asks is not there.
        asked = self._asking.acquire(timeout=2 * ANSWER_SECONDS)
        self._stack_pipe.close()
        if asked:
            self._asking.release()
        fd, self.exit_fd = self.exit_fd, None
        if fd is not None:
            os.close(fd)

    def evidence(self) -> str:
        """Return in words how it ended."""
        code = self._process.returncode
        asked = ", on request" if self._doomed else ""
        if code is None:
            return f"child {self.pid} does not answer any more"
        if code < 0:
            return f"child {self.pid} was ended by {_signal_name(-code)}{asked}"
        return f"child {self.pid} exited with code {code}{asked}"

    def _warm_up(self, request: Request, key: Hashable, payload: bytes) -> None:
        timeout = request.timeout
        longest = None if timeout is None else max(timeout, _WARM_UP_TIMEOUT)
        self._exchange(request._replace(payload=payload, timeout=longest))
        self._warm.add(key)

    def _exchange(self, request: Request) -> tuple[int, bytes]:
        timeout = request.timeout
        self._deadline = None if timeout is None else monotonic() + timeout
        self._send(request)
        kind, reply = self._receive(request)
        while kind == NOTE:
            if request.on_note is not None:
                request.on_note(reply)
            kind, reply = self._receive(request)
        return kind, reply

    def _send(self, request: Request) -> None:
        wait = None if request.timeout is None else min(request.timeout, _LONGEST_WAIT)
        if self.connection.gettimeout() != wait:  # it asks the system anew
            self.connection.settimeout(wait)
        try:
            for piece in frame(request.kind, request.payload):
                self.connection.sendall(piece)
        except TimeoutError:
            raise self._overdue(request) from None
        except OSError:
            raise self._lost(request) from None

    def _receive(self, request: Request) -> tuple[int, bytes]:
        try:
            return self._next_frame()
        except TimeoutError:
            raise self._overdue(request) from None
        except ConnectionResetError:  # it left our request unread
            raise self._lost(request) from None
        except (EOFError, OSError):
            raise self.death(request) from None

    def _next_frame(self) -> tuple[int, bytes]:
        """Return the next frame that is no log record."""
        kind, payload = self._reader.next()
        while kind == LOG:
            handle_packed(payload)
            kind, payload = self._reader.next()
        return kind, payload

    def _read(self, limit_bytes: int) -> bytes:
        while self._deadline is not None:
            # Zero would mean "do not wait", which is another error.
            left = max(self._deadline - monotonic(), 1e-6)
            self.connection.settimeout(min(left, _LONGEST_WAIT))
            try:
                return self.connection.recv(limit_bytes)
            except TimeoutError:
                if left <= _LONGEST_WAIT:
                    raise
        return self.connection.recv(limit_bytes)

    def _overdue(self, request: Request) -> AttemptTimeout:
        self.kill()
        return AttemptTimeout(request.label, request.timeout or 0.0)

    def death(self, request: Request) -> ChildDied:
        """Return the error that says how it ended; it has hung up, and is killed if it goes on."""
        goes_on = not self.ended.wait(_EXIT_PATIENCE)
        if goes_on:
            self.kill()
            self.ended.wait(_EXIT_PATIENCE)
        code, evidence = self._process.returncode, self.evidence()
        if goes_on and code in (None, -signal.SIGKILL):
            # A body that closes all descriptors, as those do that make a daemon, closes this one.
            evidence = f"child {self.pid} closed its connection, and was killed"
        return ChildDied(request.label, pid=self.pid, code=code, evidence=evidence)

    def _lost(self, request: Request) -> Exception:
        return self.death(request) if self._doomed else ChildGone()


def python_command() -> list[str]:
    """Return the words that start this interpreter anew, with its flags; OSError if none do."""
    if not sys.executable:
        raise OSError("this Python does not know its own path: sys.executable is empty")
    if getattr(sys, "frozen", False) is True:
        # It would run the whole program again, which would start children, and so on.
        raise OSError(f"this program is frozen, and {sys.executable} is no Python interpreter")
    # Its own words for the flags of this interpreter: -O, -X, -W and the rest, carried over.
    return [sys.executable, *subprocess._args_from_interpreter_flags()]  # type: ignore[attr-defined]  # noqa: SLF001  # not in typeshed


def _spawn(name: str, fds: tuple[int, int, int]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603  # sys.executable and our own program
        [*python_command(), "-c", _PROGRAM, str(fds[0]), name],
        stdin=subprocess.DEVNULL,
        close_fds=True,
        pass_fds=fds,
    )


def _startup(plan: ChildPlan, fds: tuple[int, int, int]) -> bytes:
    connection_fd, parent_fd, stack_fd = fds
    startup: Startup = {
        "path": _path(),
        "argv": [str(word) for word in sys.argv],
        "main": process_main.origin(),
        "parent": os.getpid(),
        "connection_fd": connection_fd,
        "parent_fd": parent_fd,
        "stack_fd": stack_fd,
        "stack_signal": DUMP_SIGNAL,
        "kernel_kills": plan.kernel_kills,
        "startup": plan.startup,
        "max_memory_bytes": plan.max_memory_bytes,
        "log_levels": levels_now(),
    }
    return marshal.dumps(cast("dict[str, Any]", startup))


def _path() -> list[str]:
    path = [str.__str__(entry) for entry in sys.path if isinstance(entry, str)]
    try:
        here = os.getcwd()  # noqa: PTH109  # sys.path holds strings
    except OSError:
        # It was removed: nothing can be imported from there, nor anything else with such an entry.
        return [entry for entry in path if entry not in {"", "."}]
    return [entry or here for entry in path]


def _exit_fd(pid: int) -> int | None:
    # Readable at the child's end; None where the system has none and the supervisor must look.
    with suppress(AttributeError, OSError):
        return os.pidfd_open(pid)
    return None


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"

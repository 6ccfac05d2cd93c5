"""What the tests of the process pool run in its children."""

import array
import atexit
import ctypes
import enum
import os
import signal
import sys
import threading
import time
import warnings
from dataclasses import dataclass
from pathlib import Path

from mainspring.errors import ChildDied
from mainspring.processes import program as process_program
from mainspring.processes.frame import FrameReader
from mainspring.processes.pool import ProcessPool


class Picky(Exception):
    """Can't be unpickled the usual way: its `__init__` takes other arguments than its args."""

    def __init__(self, first, *, second):
        self.second = second
        super().__init__(f"{first} and {second}")


class Unspeakable(Exception):
    def __str__(self):
        raise ValueError("no words")


class Doubling(Exception):
    """Unpickles without an error, but to another sentence."""

    def __init__(self, who):
        super().__init__(f"not found: {who}")


def echo(payload):
    return payload


def shout(payload):
    process_program.send_note(b"first")
    process_program.send_note(b"x" * 200_000)
    return payload.upper()


def tell_later(payload):
    threading.Timer(0.05, process_program.send_note, (b"late",)).start()
    return payload


def sleep_when_cold(payload):
    if payload != b"hey":
        time.sleep(float(payload))
    return payload


def raise_in_handler(payload):
    raise KeyError(payload.decode())


def add(first, second=0):
    return first + second


def raise_this(error):
    raise error


def raise_picky():
    raise Picky(1, second=2)


def raise_this_kind():
    raise ChildDied("call", pid=1, code=9, evidence="gone")


def raise_doubling():
    raise Doubling("x")


@dataclass(frozen=True)
class Sealed(Exception):
    code: int


def raise_sealed():
    raise Sealed(7)


def raise_local():
    class Hidden(Exception):
        pass

    raise Hidden("you can't see me")


def raise_caused():
    try:
        {}["missing"]
    except KeyError as error:
        raise RuntimeError("outer") from error


def return_a_lock():
    return threading.Lock()


def exit_politely(code):
    sys.exit(code)


def die_by(number):
    os.kill(os.getpid(), number)


def wait_for(path):
    while not Path(path).exists():
        time.sleep(0.002)
    return os.getpid()


def mark_and_wait(mark, path):
    Path(mark).touch()
    return wait_for(path)


def append(path, text):
    with Path(path).open("a") as file:
        file.write(text)


def fail_while(path):
    append(path + ".starts", ".")
    if Path(path).exists():
        raise LookupError("the cupboard is bare")


def have_no_memory_for_large_requests():
    def rest(reader, begun, length):
        raise MemoryError

    FrameReader._rest = rest


def close_all_descriptors():
    os.closerange(3, 256)
    time.sleep(60)


class BrokenStream:
    closed = False

    def write(self, text):
        return len(text)

    def flush(self):
        if not self.closed:  # as the interpreter asks at its exit
            raise RuntimeError("no paper")


def leave_a_broken_stream(result):
    sys.stdout = BrokenStream()
    atexit.register(setattr, BrokenStream, "closed", True)  # noqa: FBT003
    return result


def set_variable(name, value):
    os.environ[name] = value


def wait_and_mark(path, mark):
    wait_for(path)
    Path(mark).touch()


def surroundings():
    return {
        "path": sys.path,
        "argv": sys.argv,
        "cwd": str(Path.cwd()),
        "optimize": sys.flags.optimize,
        "xoptions": sys._xoptions,
        "warnings": sys.warnoptions,
        "executable": sys.executable,
        "modules": sorted(sys.modules),
        "interrupt": signal.getsignal(signal.SIGINT),
        "blocked": signal.pthread_sigmask(signal.SIG_BLOCK, ()),
        "terminate": signal.getsignal(signal.SIGTERM),
        "descriptors": sorted(int(entry.name) for entry in Path("/dev/fd").iterdir()),
        "threads": threading.active_count(),
    }


def has_descriptor(device, inode):
    for entry in list(Path("/dev/fd").iterdir()):
        try:
            status = os.fstat(int(entry.name))
        except OSError:
            continue
        if (status.st_dev, status.st_ino) == (device, inode):
            return True
    return False


def leave_a_fork_behind_and_die(pid_file):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid == 0:
        time.sleep(60)
        os._exit(0)
    Path(pid_file).write_text(str(pid))
    os._exit(7)


def leave_a_hidden_fork_behind_and_die(pid_file):
    """Fork in C, so that no hook of Python closes what the fork inherits."""
    pid = ctypes.PyDLL(None).fork()
    if pid == 0:
        time.sleep(60)
        os._exit(0)
    Path(pid_file).write_text(str(pid))
    os._exit(7)


def answer_twice(pid_file):
    pid = os.fork()
    if pid:
        Path(pid_file).write_text(str(pid))
        os.waitpid(pid, 0)
    return "parent" if pid else "fork"


class Hoard:
    kept = b""


def hoard(size_bytes):
    Hoard.kept = b"x" * size_bytes
    return os.getpid()


def mark_at_exit(folder):
    atexit.register((Path(folder) / str(os.getpid())).touch)


def refuse_to_leave():
    threading.Thread(target=time.sleep, args=(60,)).start()


def add_in_a_pool(first, second):
    with ProcessPool(1) as pool:
        return pool.call(add, first, second)


def log(*texts):
    import logging  # noqa: PLC0415  # a child that never logs does without

    for text in texts:
        logging.getLogger("shop").info(text)


class Level(enum.IntEnum):
    NOTICE = 25


def log_notice():
    import logging  # noqa: PLC0415

    sizes, knot = array.array("d", [1.5]), []
    knot += [knot, knot]
    nested = {"level": Level.NOTICE, "sizes": [sizes]}
    extra = {"sizes": sizes, "nested": nested, "knot": knot}
    logging.getLogger("shop").log(Level.NOTICE, "noticed", extra=extra)


def log_between_calls():
    threading.Thread(target=_log_when_free).start()


def _log_when_free():
    while process_program._parent._asked:
        time.sleep(0.001)
    log("between")


def log_in_signal_handler():
    import logging  # noqa: PLC0415

    signal.signal(signal.SIGUSR1, lambda *_: log("in a handler"))
    send, logging.getLogger("shop").handlers = process_program._parent._write, []

    def interrupted(piece):
        process_program._parent._write = send
        send(piece[:3])
        signal.raise_signal(signal.SIGUSR1)
        send(piece[3:])

    process_program._parent._write = interrupted
    log("interrupted")


def level_of(name):
    import logging  # noqa: PLC0415

    return logging.getLogger(name).getEffectiveLevel()


def stuck_here(seconds):
    time.sleep(seconds)


def hold_the_interpreter():
    """Stay in C code for longer than anybody lives, without letting other threads run."""
    import re  # noqa: PLC0415

    return re.match(r"(a+)+$", "a" * 64 + "b")


def stop_itself():
    os.kill(os.getpid(), signal.SIGSTOP)

"""Another user of the same host, who makes files before us: he harms, slows and learns nothing.

Victim and attacker are users without names. Only root can become both, so that others skip these.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

VICTIM, ATTACKER = 100_000 + os.getpid() % 100_000, 65534  # tests in parallel share /tmp

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("setpriv") is None, reason="needs root, to be two users"
)

# Each reads its own arguments; the victim reports as JSON what it was answered.
VICTIM_PROGRAM = """
import json, logging, sys, time
logging.basicConfig(stream=sys.stderr)
from mainspring import Queue
from mainspring.errors import StoreUnusable

queue = Queue(db_path=sys.argv[1], busy_timeout=3, durability="normal")

@queue.task(name="add")
def add(first, second):
    return first + second

try:
    seconds = []
    for number in range(int(sys.argv[2])):
        began = time.monotonic()
        job = add.delay("secret", number)
        seconds.append(time.monotonic() - began)
    job.cancel()
    report = {"kept": queue.stats()["cancelled"], "seconds": sorted(seconds)}
    if len(sys.argv) > 3:
        with queue.worker():
            report["result"] = add.delay(1, 2).result(timeout=20)
except StoreUnusable as error:
    report = {"refused": str(error)}
print(json.dumps(report))
"""


@pytest.fixture(scope="module", autouse=True)
def _installed_for_all():
    if os.geteuid() == 0:
        try:
            run_as(VICTIM, "import mainspring")
        except (AssertionError, OSError):
            pytest.skip("other users can't use this installation")


def run_as(user, program, *arguments):
    """Run a Python program as that user; return what it printed, and its log."""
    done = subprocess.run(
        [
            *("setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"),
            *(sys.executable, "-c", program, *map(str, arguments)),
        ],
        cwd="/",
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


def victim(path, jobs=3, *more):
    told, _ = run_as(VICTIM, VICTIM_PROGRAM, path, jobs, *more)
    return json.loads(told)


def attack(program, *arguments):
    """Let the attacker do something; his files are open to everybody."""
    return run_as(ATTACKER, f"import os, sys\nos.umask(0)\n{program}", *arguments)[0]


@pytest.fixture
def shared():
    """A folder in which anybody may make files, as in /tmp."""
    # Not in pytest's own folder: nobody but its owner may pass through that.
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o1777)
        yield Path(folder)


@pytest.fixture
def private(shared):
    """A folder of the victim's, where nobody else can write; others may look."""
    folder = shared / "private"
    folder.mkdir(mode=0o755)
    os.chown(folder, VICTIM, VICTIM)
    return folder


def test_in_a_shared_folder_what_is_ours_is_open_to_nobody_else(shared):
    assert victim(shared / "jobs.db")["kept"] == 1
    looked = attack(
        """
for path in sys.argv[1:]:
    for act in (os.listdir, os.unlink, lambda path: open(path, "rb").read()):
        try:
            print(path, act(path))
        except OSError:
            pass
""",
        shared / "jobs.db",
        shared / "jobs.db.run",
        shared / "jobs.db.run/gate.lock",
        shared / "jobs.db.run/wake",
    )
    assert looked == ""
    assert victim(shared / "jobs.db")["kept"] == 2


@pytest.mark.parametrize(
    "made",
    [
        "os.mkdir(run)",
        "os.mkdir(run); os.symlink(target, run + '/gate.lock')",
        "os.mkdir(run); os.mkfifo(run + '/gate.lock'); os.mkfifo(run + '/pen.lock')",
        "os.symlink(os.path.dirname(target), run)",
        "open(run, 'w').close()",
    ],
)
def test_a_run_folder_that_somebody_else_made_is_refused(shared, private, made):
    path, target = shared / "jobs.db", private / "keys"
    attack(f"run, target = sys.argv[1:]\n{made}", f"{path}.run", target)
    refused = victim(path)["refused"]
    assert f"{path}.run" in refused
    assert "remove" in refused
    assert list(private.iterdir()) == []


@pytest.mark.parametrize("suffix", ["", "-wal", "-shm", "-journal"])
def test_a_database_or_log_that_somebody_else_made_is_refused_and_gets_no_job(shared, suffix):
    path = shared / "jobs.db"
    if suffix:
        assert victim(path)["kept"] == 1
    made = Path(f"{path}{suffix}")
    attack("open(sys.argv[1], 'w').close()", made)
    refused = victim(path)["refused"]
    assert f"user {ATTACKER}" in refused
    assert suffix == "" or str(made) in refused
    assert b"secret" not in made.read_bytes()


def test_a_link_that_somebody_else_made_leads_to_no_database(shared, private):
    assert victim(private / "own.db")["kept"] == 1
    attack("os.symlink(sys.argv[1], sys.argv[2])", private / "own.db", shared / "link.db")
    attack("os.symlink(sys.argv[1], sys.argv[2])", private, shared / "folder")
    for path, link in [
        (shared / "link.db", shared / "link.db"),
        (shared / "folder/own.db", shared / "folder"),
    ]:
        assert f"the link {link} belongs to" in victim(path)["refused"]
    assert victim(private / "own.db")["kept"] == 2


@pytest.mark.parametrize("suffix", ["", "-wal", "-journal"])
def test_a_second_name_of_ones_own_file_is_not_used_where_anybody_may_make_one(
    shared, private, suffix
):
    """As he can make it where the kernel lets anybody link any file: `fs.protected_hardlinks`."""
    path, diary = shared / "jobs.db", private / "diary"
    if suffix:
        assert victim(path)["kept"] == 1
    diary.write_text("mine")
    os.chown(diary, VICTIM, VICTIM)
    Path(f"{path}{suffix}").hardlink_to(diary)
    assert "2 names (hard links)" in victim(path)["refused"]
    assert diary.read_text() == "mine"


def test_a_second_name_of_a_database_gets_no_second_log(shared, private):
    assert victim(private / "own.db")["kept"] == 1
    (shared / "jobs.db").hardlink_to(private / "own.db")
    assert "2 names (hard links)" in victim(shared / "jobs.db")["refused"]
    # Where nobody else may make names, one that leads out of there costs nothing.
    assert victim(private / "own.db")["kept"] == 2
    assert [path.name for path in shared.iterdir() if path.name != "private"] == ["jobs.db"]


def test_a_link_of_ones_own_is_followed(shared, private):
    assert victim(private / "own.db")["kept"] == 1
    (shared / "link.db").symlink_to(private / "own.db")
    os.chown(shared / "link.db", VICTIM, VICTIM, follow_symlinks=False)
    assert victim(shared / "link.db")["kept"] == 2
    assert sorted(path.name for path in shared.iterdir()) == ["link.db", "private"]


OPEN_TO_ALL = """
import os, sys
os.umask(0)
from mainspring import Queue

queue = Queue(db_path=sys.argv[1], workers=1)

@queue.task(name="add")
def add(first, second):
    return first + second

with queue.worker():
    assert add.delay(1, 2).result(timeout=20) == 3
    print(os.getpid(), flush=True)
    sys.stdin.readline()
    print(add.delay("secret", "s").result(timeout=20), flush=True)
"""

GET_IN = """
import fcntl, glob, os, signal, socket, sys

path, pid = sys.argv[1:3]
paths = sys.argv[3:] + [f"/proc/{pid}/{name}" for name in ("environ", "fd", "mem")]

def lock(path):
    fcntl.flock(os.open(path, os.O_RDONLY), fcntl.LOCK_EX | fcntl.LOCK_NB)

def send(path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        sender.sendto(b"x" * 100_000, path)

acts = [
    lock,
    send,
    os.listdir,
    os.unlink,
    os.rmdir,
    lambda path: os.rename(path, path + "-gone"),
    lambda path: os.chmod(path, 0o777),
    lambda path: os.link(path, path + "-link"),
    lambda path: open(path, "rb").read(1),
    lambda path: open(path, "ab").write(b"x"),
    lambda path: os.truncate(path, 0),
    lambda path: os.utime(path),
]
for path in paths:
    for act in acts:
        try:
            print(path, acts.index(act), act(path))
        except OSError:
            pass
try:
    os.kill(int(pid), signal.SIGTERM)
    print("killed")
except OSError:
    pass
"""


def test_a_worker_whose_umask_is_open_lets_nobody_near_its_files_locks_and_sockets(shared):
    path = shared / "jobs.db"
    as_victim = ("setpriv", f"--reuid={VICTIM}", f"--regid={VICTIM}", "--clear-groups")
    with subprocess.Popen(
        [*as_victim, sys.executable, "-c", OPEN_TO_ALL, path],
        cwd="/",
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as worker:
        pid = worker.stdout.readline().strip()
        files = [item for item in shared.rglob("*") if item.exists()]
        assert {"jobs.db-wal", "gate.lock", "wake"} <= {item.name for item in files}
        assert any(item.is_socket() for item in files)
        modes = [oct(item.stat().st_mode & 0o777) for item in files if not item.is_socket()]
        assert run_as(ATTACKER, GET_IN, path, pid, *files)[0] == ""
        answered, _ = worker.communicate("go\n", timeout=30)
    assert answered == "secrets\n"
    assert worker.returncode == 0
    assert set(modes) == {"0o600", "0o700"}


PLACES = Path("/tmp")  # where sockets were once, by the victim's number


@pytest.fixture
def old_place():
    """The name under which the victim's sockets could be expected."""
    place = PLACES / f"mainspring-{VICTIM}"
    yield place
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place)
    else:
        place.unlink(missing_ok=True)


def test_a_meeting_place_in_tmp_of_somebody_else_costs_no_file_and_no_time(private, old_place):
    path = private / "jobs.db"
    quick = victim(path, 10)["seconds"]
    found = path.stat()
    books = private / "books"
    books.mkdir()
    kept = ["orders-2026.csv", "ready", "ended.txt"]
    for name in kept:
        (books / name).write_text("1")
    os.chown(books, VICTIM, VICTIM)
    attack("os.mkdir(sys.argv[1])", old_place)
    name = f"{found.st_dev:x}-{found.st_ino:x}"
    attack("os.symlink(sys.argv[1], sys.argv[2])", books, old_place / name)
    slow = victim(path, 10, "with a worker")
    assert slow["result"] == 3
    assert sorted(item.name for item in books.iterdir()) == sorted(kept)
    assert slow["seconds"][5] < 20 * quick[5] + 0.05


FALLBACK = """
import sys, time
from pathlib import Path
import logging
logging.basicConfig(stream=sys.stderr)
from mainspring.stores.wake import socket_folder as folders
from mainspring.stores.wake.socket_listener import SocketListener
from mainspring.stores.wake.socket_notifier import SocketNotifier

# As on a system that has no short path to an open folder, and where the private one is long.
folders.DESCRIPTORS = "/nowhere"
place = folders.socket_folder(Path("/" + "x" * 200), name="1-2")
notifier = SocketNotifier(place)
for _ in range(3):
    notifier.notify("ready")
listener = SocketListener(folders.socket_folder(Path("/" + "x" * 200), name="1-2"), "ready",
                          changed=lambda: False)
began = time.monotonic()
notifier.notify("ready")
print(listener._bound, listener.wait(0.2) is not None)
listener.close()
notifier.close()
"""


@pytest.mark.parametrize(
    "made",
    [
        "os.mkdir(place); os.mkdir(place + '/1-2'); open(place + '/1-2/ready-x', 'w').close()",
        "os.symlink(target, place)",
        "open(place, 'w').close()",
    ],
)
def test_a_short_meeting_place_of_somebody_else_is_done_without_and_told(private, old_place, made):
    (private / "1-2").mkdir()
    (private / "1-2/ready-mine").write_text("1")
    os.chown(private / "1-2", VICTIM, VICTIM)
    attack(f"place, target = sys.argv[1:]\n{made}", old_place, private)
    told, log = run_as(VICTIM, FALLBACK)
    assert told == "False False\n"
    assert log.count("can't wake each other") == 1
    assert str(old_place) in log
    assert (private / "1-2/ready-mine").exists()


LOCKS = """
import logging, sys
logging.basicConfig(stream=sys.stderr)
from mainspring.stores.run_folder import run_folder
print(run_folder("redis-0123456789abcdef"), run_folder("redis-0123456789abcdef"))
"""


@pytest.mark.parametrize(
    "made",
    [
        "os.mkdir(place); os.mkdir(place + '/redis-0123456789abcdef')",
        "os.symlink(target, place)",
    ],
)
def test_locks_of_a_store_on_a_server_are_in_no_folder_of_somebody_else(private, old_place, made):
    attack(f"place, target = sys.argv[1:]\n{made}", old_place, private)
    told, log = run_as(VICTIM, LOCKS)
    assert told == "None None\n"
    assert log.count("is seen by its lease only") == 1
    assert str(old_place) in log
    assert list(private.iterdir()) == []
    assert [path.name for path in old_place.rglob("*/*")] == []


def test_nobody_else_looks_into_the_locks_of_a_store_on_a_server(old_place):
    told, log = run_as(VICTIM, LOCKS)
    assert (told.split()[0], log) == (str(old_place / "redis-0123456789abcdef"), "")
    looked = attack(
        """
for path in sys.argv[1:]:
    for act in (os.listdir, os.rmdir, lambda path: open(path + "/n0", "w")):
        try:
            print(path, act(path))
        except OSError:
            pass
""",
        old_place,
        old_place / "redis-0123456789abcdef",
    )
    assert looked == ""


def test_a_short_meeting_place_of_ones_own_is_used(old_place):
    told, log = run_as(VICTIM, FALLBACK)
    assert (told, log) == ("True True\n", "")
    assert oct(old_place.stat().st_mode & 0o777) == "0o700"


def test_a_database_that_root_opens_first_stays_its_owners(private):
    path = private / "jobs.db"
    path.touch(mode=0o600)
    os.chown(path, VICTIM, VICTIM)
    told, _ = run_as(0, VICTIM_PROGRAM, path, 1, "with a worker")
    assert json.loads(told)["result"] == 3
    assert {item.stat().st_uid for item in path.parent.rglob("*")} == {VICTIM}
    assert victim(path, 1, "with a worker")["result"] == 3


def test_root_takes_no_run_folder_of_a_stranger(private):
    path = private / "jobs.db"
    path.touch(mode=0o600)
    os.chown(path, VICTIM, VICTIM)
    run = Path(f"{path}.run")
    run.mkdir(mode=0o700)
    os.chown(run, ATTACKER, ATTACKER)
    told, _ = run_as(0, VICTIM_PROGRAM, path, 1)
    assert f"user {ATTACKER}" in json.loads(told)["refused"]


CACHE = """
import asyncio, sys
from mainspring import SQLiteCache

async def use():
    try:
        await SQLiteCache(sys.argv[1]).set("key", "secret")
    except OSError as error:
        print(error)

asyncio.run(use())
"""


def test_a_cache_that_somebody_else_made_gets_no_result(shared):
    path = shared / "cache.db"
    attack("open(sys.argv[1], 'w').close()", path)
    told, _ = run_as(VICTIM, CACHE, path)
    assert f"user {ATTACKER}" in told
    assert path.read_bytes() == b""

"""What SqliteStore does with files that are not as they should be."""

import contextlib
import errno
import os
import shutil
import socket
import sqlite3
import stat
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from mainspring import Queue
from mainspring.errors import InvalidOption, LeaseLost, StoreUnusable
from mainspring.model.job import NewJob, Outcome, OutcomeKind, Want
from mainspring.stores.sqlite import SqliteStore
from mainspring.stores.sqlite.connections import writer
from mainspring.stores.sqlite.file import file_system
from mainspring.stores.sqlite.file.trouble import meaning_of
from mainspring.stores.sqlite.schema import migration
from mainspring.stores.url import file_of
from mainspring.testing import FrozenClock

JOB = NewJob(task="task", queue="queue", payload=b"[[],{}]")


def refused(path):
    store = SqliteStore(path)
    with pytest.raises(StoreUnusable) as caught:
        store.enqueue_many([JOB])
    store.close()
    sentence = str(caught.value)
    assert str(path) in sentence
    assert "\n" not in sentence
    return sentence


def test_nothing_is_made_before_the_first_use(path):
    SqliteStore(path).close()
    assert not path.exists()


def test_files_are_readable_to_their_owner_alone(path):
    store = SqliteStore(path)
    store.enqueue_many([JOB])
    node = store.join("node", host="host", pid=1, lease=15)
    made = [path, *path.parent.glob("jobs.db-*"), *store.run_dir.rglob("*"), store.run_dir]
    folders = [file for file in made if file.is_dir()]
    assert {stat.S_IMODE(file.stat().st_mode) for file in folders} == {0o700}
    assert {stat.S_IMODE(file.stat().st_mode) for file in made if file not in folders} == {0o600}
    store.leave(node)
    store.close()


@pytest.mark.parametrize(
    "table",
    [
        "mainspring_jobs (x)",
        "mainspring_schema_version (version, x)",
        "mainspring_schema_version (version)",
    ],
)
def test_a_database_with_a_table_of_our_name_is_left_alone(path, table):
    with sqlite3.connect(path) as connection:
        connection.execute(f"CREATE TABLE {table}")
    connection.close()
    before = path.read_bytes()
    assert "which is not as mainspring makes it; rename it if it is yours" in refused(path)
    assert path.read_bytes() == before


def test_a_newer_schema_is_refused(path):
    store = SqliteStore(path)
    store.enqueue_many([JOB])
    store.close()
    connection = sqlite3.connect(path)
    connection.execute(migration.WRITE_VERSION, (migration.VERSION + 1,))
    connection.commit()
    connection.close()
    assert "upgrade mainspring" in refused(path)


def test_a_file_that_is_no_database_is_refused(path):
    path.write_text("To whom it may concern, " * 100)
    assert "not a SQLite database" in refused(path)


def test_a_folder_is_refused(path):
    path.mkdir()
    assert "it is a folder" in refused(path)


def test_a_missing_folder_is_named(tmp_path):
    assert "make the folder first" in refused(tmp_path / "nowhere" / "jobs.db")


READ_ONLY = (
    "{0} can't be used: this user may not both read and write {1}; "
    "change the owner or the mode of {1}"
)

# Root may write everywhere, so it becomes somebody else first.
READER = """
import os, sys
from mainspring.errors import StoreUnusable
from mainspring.model.job import NewJob
from mainspring.stores.sqlite import SqliteStore

folder, path = sys.argv[1], sys.argv[1] + "/jobs.db"
job = NewJob("task", "queue", b"[[],{}]")
store = SqliteStore(path)
store.enqueue_many([job])
store.close()
os.chmod(folder, 0o755)
os.chmod(path, 0o444)
if os.getuid() == 0:
    os.setresuid(65534, 65534, 65534)
for use in (lambda store: store.enqueue_many([job]), lambda store: store.stats()):
    try:
        use(SqliteStore(path))
    except StoreUnusable as error:
        print(error)
"""


def test_a_read_only_file_is_refused():
    # Not in pytest's own folder: nobody but its owner may pass through that.
    with tempfile.TemporaryDirectory() as folder:
        child = subprocess.run(
            [sys.executable, "-c", READER, folder],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        assert child.stdout.splitlines() == [READ_ONLY.format(f"{folder}/jobs.db", "it")] * 2


@pytest.mark.parametrize("named", ["it", "its folder"])
def test_a_file_or_folder_that_became_read_only_is_told_once(path, named, monkeypatch):
    path.touch()
    closed = path if named == "it" else path.parent
    monkeypatch.setattr(os, "access", lambda needed, _: needed != closed)
    assert refused(path) == READ_ONLY.format(path, named)


@pytest.mark.parametrize("beside", ["", ".run"])
def test_what_the_system_does_not_permit_is_named_once(path, beside, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied", f"{path}{beside}")

    monkeypatch.setattr(os, "mkdir" if beside else "open", refuse)
    named = f"{path}{beside}" if beside else "it"
    why = f"this user may not open {named}; change its owner or its mode"
    assert refused(path) == f"{path} can't be used: {why}"


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("beside", ["", ".run"])
def test_a_disk_without_room_for_a_new_file_is_full(path, beside, code, monkeypatch):
    def refuse(*_, **__):
        raise OSError(code, "No space left on device", f"{path}{beside}")

    monkeypatch.setattr(os, "mkdir" if beside else "open", refuse)
    assert refused(path) == f"{path} can't be used: the disk is full; free some space and try again"


@pytest.mark.parametrize(("free_bytes", "full"), [(4096, True), (1 << 30, False)])
def test_an_error_of_the_disk_says_if_it_is_full(path, free_bytes, full, monkeypatch):
    disk = SimpleNamespace(f_bavail=free_bytes, f_frsize=1, f_flag=0)
    monkeypatch.setattr(os, "statvfs", lambda _: disk)
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = sqlite3.SQLITE_IOERR
    assert ("the disk is full" in str(meaning_of(error, path, 1.0))) == full


def test_a_damaged_file_is_told(path):
    store = SqliteStore(path)
    store.enqueue_many([JOB] * 2000)
    store.close()
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 4096 * 20)
    assert "damaged" in refused(path)


@pytest.mark.parametrize("replaced", [True, False])
def test_a_file_that_was_deleted_or_replaced_is_told(path, replaced, monkeypatch):
    monkeypatch.setattr(writer, "LOOK_EVERY_SECONDS", 0.0)
    store = SqliteStore(path)
    store.enqueue_many([JOB])
    path.unlink()
    if replaced:
        path.touch()
    with pytest.raises(StoreUnusable, match="deleted or replaced"):
        store.enqueue_many([JOB])
    store.close()


@pytest.mark.parametrize("replaced", [False, True])
def test_who_only_reads_is_told_so_too(path, replaced, monkeypatch):
    monkeypatch.setattr(writer, "LOOK_EVERY_SECONDS", 0.0)
    store = SqliteStore(path)
    (job_id,) = store.enqueue_many([JOB])
    assert store.ended([job_id]) == {}
    path.unlink()
    if replaced:
        path.touch()
    for read in (store.stats, lambda: store.get(job_id), lambda: store.ended([job_id])):
        with pytest.raises(StoreUnusable, match="deleted or replaced"):
            read()
    store.close()


def test_a_file_that_was_deleted_with_its_locks_is_not_made_anew(path, monkeypatch):
    monkeypatch.setattr(writer, "LOOK_EVERY_SECONDS", 0.0)
    store = SqliteStore(path)
    store.enqueue_many([JOB])
    shutil.rmtree(store.run_dir)
    path.unlink()
    with pytest.raises(StoreUnusable, match="deleted or replaced"):
        store.enqueue_many([JOB])
    assert not path.exists()
    store.close()


def test_who_begins_to_listen_on_a_deleted_file_is_told(path):
    store = SqliteStore(path)
    store.enqueue_many([JOB])
    path.unlink()
    with pytest.raises(StoreUnusable, match="can't be opened"):
        store.listen("ended")
    store.close()


def test_a_full_disk_loses_nothing_acknowledged(path):
    store = SqliteStore(path)
    kept = store.enqueue_many([JOB] * 10)
    connection = store._session.writer._connection
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {pages + 2}")
    with pytest.raises(StoreUnusable, match="disk is full"):
        store.enqueue_many([JOB] * 10_000)
    connection.execute("PRAGMA max_page_count = 1000000")
    assert store.stats()["queue"]["pending"] == len(kept)
    store.enqueue_many([JOB])
    assert store.stats()["queue"]["pending"] == len(kept) + 1
    store.close()


def test_jobs_survive_close_and_reopen(path):
    store = SqliteStore(path)
    (job_id,) = store.enqueue_many([JOB])
    store.close()
    store.close()
    other = SqliteStore(path)
    assert other.get(job_id).task == "task"
    other.close()


def test_a_closed_store_opens_again_when_it_is_used(path):
    store = SqliteStore(path)
    store.enqueue_many([JOB])
    store.close()
    assert store.stats()["queue"]["pending"] == 1
    store.close()


def test_a_path_keeps_its_meaning_when_the_folder_changes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    store = SqliteStore("jobs.db")
    monkeypatch.chdir("/")
    store.enqueue_many([JOB])
    store.close()
    assert (tmp_path / "jobs.db").exists()


def test_odd_characters_in_a_path_are_characters(tmp_path):
    path = tmp_path / "jobs? 100%#.db"
    store = SqliteStore(path)
    store.enqueue_many([JOB])
    store.close()
    assert path.exists()


@pytest.mark.parametrize(
    "options",
    [{"durability": "some"}, {"busy_timeout": 0.0}, {"path": ":memory:"}, {"path": ""}],
)
def test_an_option_that_makes_no_sense_is_refused_at_once(path, options):
    with pytest.raises(InvalidOption, match=next(iter(options))):
        SqliteStore(**{"path": path, **options})


def test_a_migration_that_fails_leaves_the_file_as_it_was(path, monkeypatch):
    first = list(migration.statements_of(1))
    monkeypatch.setattr(migration, "statements_of", lambda _: [*first, "CREATE nonsense"])
    store = SqliteStore(path)
    with pytest.raises(sqlite3.OperationalError):
        store.enqueue_many([JOB])
    monkeypatch.undo()
    assert store.enqueue_many([JOB])
    store.close()


MOUNTS = """\
22 27 0:21 / /proc rw,relatime - proc proc rw
40 27 8:1 / / rw - ext4 /dev/sda1 rw
41 27 {device} / /srv rw,relatime shared:1 - {kind} server:/export rw
"""


@pytest.mark.parametrize("kind", ["nfs4", "cifs", "fuse.sshfs", "ext4"])
def test_a_network_file_system_is_refused(path, monkeypatch, tmp_path, kind):
    device = path.parent.stat().st_dev
    mounts = tmp_path / "mountinfo"
    mounts.write_text(
        MOUNTS.format(device=f"{os.major(device)}:{os.minor(device)}", kind=kind), "utf-8"
    )
    monkeypatch.setattr(file_system, "MOUNTS", mounts)
    if kind == "ext4":
        store = SqliteStore(path)
        assert store.enqueue_many([JOB])
        store.close()
        return
    sentence = refused(path)
    assert f"network file system ({kind})" in sentence
    assert "PostgreSQL" in sentence
    assert "local disk" in sentence
    assert not path.exists()


def test_a_file_that_is_mounted_without_its_folder_is_refused(path, monkeypatch, tmp_path):
    path = path.with_name("my jobs.db")
    mounts = tmp_path / "mountinfo"
    escaped = str(path).replace(" ", "\\040")
    mounts.write_text(f"41 27 8:1 /jobs.db {escaped} rw - ext4 /dev/sda1 rw\n", "utf-8")
    monkeypatch.setattr(file_system, "MOUNTS", mounts)
    assert "mount the folder" in refused(path)
    mounts.write_text(f"41 27 8:1 / {path.parent} rw - ext4 /dev/sda1 rw\n", "utf-8")
    store = SqliteStore(path)
    assert store.enqueue_many([JOB])
    store.close()


@pytest.mark.parametrize("link", ["link.db", "folder/jobs.db", "folder/../link.db"])
def test_a_link_leads_to_one_file_with_one_log_and_one_run_folder(tmp_path, link):
    real = tmp_path / "real"
    real.mkdir()
    (tmp_path / "link.db").symlink_to("real/jobs.db")
    (tmp_path / "folder").symlink_to(real)
    (real / "link.db").symlink_to("jobs.db")
    # The first of them dangles: the file is made where the link leads.
    stores = [SqliteStore(tmp_path / link), SqliteStore(real / "jobs.db")]
    for store in stores:
        store.enqueue_many([JOB])
    assert stores[0].run_dir == stores[1].run_dir == real / "jobs.db.run"
    assert stores[0].stats()["queue"]["pending"] == 2
    listener = stores[0].listen("ready")
    stores[1].enqueue_many([JOB])
    assert listener.wait(0) is not None
    listener.close()
    for store in stores:
        store.close()
    made = {item.name for item in real.iterdir()} - {"link.db"}
    assert made == {"jobs.db", "jobs.db.run"}
    assert {item.name for item in tmp_path.iterdir()} == {"real", "link.db", "folder"}


def test_a_run_folder_that_became_open_to_others_is_closed_again(path):
    store = SqliteStore(path)
    store.enqueue_many([JOB])
    store.run_dir.chmod(0o777)
    store.close()
    store.enqueue_many([JOB])
    assert stat.S_IMODE(store.run_dir.stat().st_mode) == 0o700
    store.close()


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_a_lock_that_is_no_plain_file_is_refused(path, kind):
    run = path.with_name("jobs.db.run")
    run.mkdir(mode=0o700)
    lock = run / "gate.lock"
    if kind == "link":
        lock.symlink_to(path.with_name("elsewhere"))
    elif kind == "pipe":
        os.mkfifo(lock)
    else:
        lock.mkdir()
    assert f"{lock}: it is a link or no plain file" in refused(path)
    assert not path.with_name("elsewhere").exists()


@pytest.mark.parametrize("kind", ["device", "pipe", "socket"])
def test_what_is_no_plain_file_is_no_database_and_not_to_be_removed(tmp_path, kind):
    path = tmp_path / "jobs.db"
    with contextlib.ExitStack() as stack:
        if kind == "device":
            path = Path("/dev/null")
        elif kind == "pipe":
            os.mkfifo(path)
        else:
            stack.enter_context(socket.socket(socket.AF_UNIX)).bind(str(path))
        with pytest.raises(StoreUnusable, match="it is no plain file; give the path of one"):
            SqliteStore(path).enqueue_many([JOB])
        assert not any("remove" in str(one) for one in SqliteStore(path).examine())


def test_sockets_that_cannot_be_used_are_done_without_and_told_once(path, caplog):
    store = SqliteStore(path)
    store.enqueue_many([JOB])
    store._file.sockets_dir.rmdir()
    store._file.sockets_dir.write_text("no folder")
    for _ in range(2):
        listener = store.listen("ready")
        store.enqueue_many([JOB])
        assert listener.wait(30) is not None
        listener.close()
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 1
    assert str(store._file.sockets_dir) in told[0]
    assert store._file.sockets_dir.read_text() == "no folder"
    store.close()


def test_a_tilde_is_a_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for queue in (Queue(db_path="~/jobs.db"), Queue("sqlite:///~/jobs.db")):
        queue.stats()
        queue.close()
    assert sorted(item.name for item in tmp_path.iterdir()) == ["jobs.db", "jobs.db.run"]
    assert file_of("sqlite:///~/jobs.db") == str(tmp_path / "jobs.db")


def test_a_machine_that_tells_no_mounts_is_no_network(path, monkeypatch, tmp_path):
    monkeypatch.setattr(file_system, "MOUNTS", tmp_path / "nowhere")
    store = SqliteStore(path)
    assert store.enqueue_many([JOB])
    store.close()


# The limit of a file's size is the kernel's own no, as a full disk's is; it holds for the process.
FILLER = """
import resource, signal, sys
from mainspring.errors import StoreUnusable
from mainspring.model.job import NewJob
from mainspring.stores.sqlite import SqliteStore

store = SqliteStore(sys.argv[1])
job = NewJob(task="task", queue="queue", payload=b'[["' + b"x" * 2000 + b'"],{}]')
store.enqueue_many([job])
print(1)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, resource.RLIM_INFINITY))
try:
    while True:
        print(len(store.enqueue_many([job] * 100)), flush=True)
except StoreUnusable as error:
    print(error, file=sys.stderr)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
print(len(store.enqueue_many([job])))
"""


def test_when_the_kernel_writes_no_more_nothing_acknowledged_is_lost(path):
    child = subprocess.run(
        [sys.executable, "-c", FILLER, str(path)],
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
    )
    assert str(path) in child.stderr
    assert "check the disk" in child.stderr or "disk is full" in child.stderr
    acknowledged = sum(map(int, child.stdout.split()))
    assert acknowledged > 101
    store = SqliteStore(path)
    assert store.stats()["queue"]["pending"] == acknowledged
    store.close()


def test_a_damaged_page_is_told_by_who_reads_it_and_the_rest_goes_on(path):
    store = SqliteStore(path)
    job_ids = store.enqueue_many([JOB] * 5000)
    store.pause("other")
    store.close()
    connection = sqlite3.connect(path)
    (page,) = connection.execute(
        "SELECT rootpage FROM sqlite_master WHERE name = 'mainspring_jobs'"
    ).fetchone()
    connection.close()
    with path.open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(b"\x00" * 4096)
    store = SqliteStore(path)
    with pytest.raises(StoreUnusable, match="damaged; restore it from a backup"):
        store.get(job_ids[0])
    assert store.paused() == ["other"]
    store.close()


@pytest.mark.parametrize("seconds", [-3600.0, 3600.0])
def test_a_clock_that_jumps_an_hour_makes_no_second_lease(path, seconds):
    clock = FrozenClock()
    store = SqliteStore(path, clock=clock)
    first, second = store.enqueue_many([JOB, JOB])
    node, other = (store.join(name, host="host", pid=1, lease=15) for name in "ab")
    want = [Want(("task",), None, 1)]
    (claim,) = store.claim(node, want)
    clock.jump(seconds)
    store.renew(other, lease=15)
    assert [one.id for one in store.claim(other, want)] == [second]
    rescued = store.rescue(node, dead=False, begun=None)
    # Back: its lease runs on. Forth: it seems to have run out, and what it held runs elsewhere.
    assert (rescued is None) == (seconds < 0)
    told = [Outcome(claim.key, claim.fence, OutcomeKind.COMPLETED, result=b"1")]
    if rescued is None:
        assert store.renew(node, lease=15) is not None
        assert store.finish_many(node, told) == [True]
    else:
        assert store.renew(node, lease=15) is None
        with pytest.raises(LeaseLost):
            store.finish_many(node, told)
    assert store.get(first).state == ("completed" if seconds < 0 else "pending")
    store.close()


DROPPED = """
import gc, os, sys
from mainspring.stores.sqlite import SqliteStore

def descriptors():
    return len(os.listdir("/dev/fd"))

def use(path):
    store = SqliteStore(path, durability="normal")
    store.pause("queue")
    assert store.paused() == ["queue"]

use(sys.argv[1])
gc.collect()
before = descriptors()
for _ in range(3):
    use(sys.argv[1] + str(_))
gc.collect()
assert descriptors() == before
"""


def test_a_store_that_is_dropped_leaves_nothing_open(tmp_path):
    command = (sys.executable, "-X", "dev", "-W", "error", "-c", DROPPED, str(tmp_path / "a.db"))
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_doctor_warns_of_a_folder_for_everybody_and_of_a_second_name(path):
    store = SqliteStore(path)
    store.enqueue_many([JOB])

    def told(level):
        return {one.check: one.says for one in store.examine() if one.level == level}

    assert not told("warning").keys() & {"privacy", "names"}
    path.parent.chmod(0o777)
    assert "everybody may write" in told("warning")["privacy"]
    os.link(path, path.with_name("second.db"))
    assert "2 names (hard links), and anybody may make one" in told("problem")["file"]
    path.parent.chmod(0o700)
    assert "2 names" in told("warning")["names"]
    store.close()

"""A power cut: what was written and not yet synced is lost, whole, in part, or torn.

`power_cut/recorder.c` records what the processes of a queue write, when they sync, and here what
they were acknowledged. Files are then made as a power cut could have left them at many a moment.
"""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import struct
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from mainspring import Queue

RECORDER = Path(__file__).with_name("power_cut") / "recorder.c"
HEADER = struct.Struct("<IIQQ")
WRITTEN, TRUNCATED, SYNC_BEGUN, SYNC_ENDED, ACKNOWLEDGED = range(1, 6)
SECTOR_BYTES = 512
SEED = 20_251_128

TABLES = {("mainspring_jobs",), ("mainspring_finished",)}
JOBS = """
SELECT key, nonce FROM mainspring_jobs UNION ALL SELECT key, nonce FROM mainspring_finished
"""

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or shutil.which("cc") is None, reason="needs Linux and a C compiler"
)

PROGRAM = """
import os, random, struct, sys
from mainspring import Queue

queue = Queue(db_path="jobs.db", durability=sys.argv[1], workers=2)
recording = os.open(os.environ["RECORDING"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
rng = random.Random(5)

@queue.task(name="nop", retries=0)
def nop(number, text):
    return number

def acknowledged(jobs):
    ids = "\\n".join(job.id for job in jobs).encode()
    os.writev(recording, [struct.pack("<IIQQ", 5, 0, 0, len(ids)), ids])

with queue.worker():
    for turn in range(int(sys.argv[2])):
        kind = rng.random()
        if kind < 0.7:
            wait = rng.choice([None, None, 3600])
            job = nop.using(delay=wait).delay(turn, "x" * rng.randint(0, 3000))
            acknowledged([job])
        elif kind < 0.9:
            acknowledged(nop.map([(one, "y" * 100) for one in range(rng.randint(2, 40))]))
        else:
            nop.using(delay=3600).delay(1, "to be cancelled").cancel()
        if turn % 20 == 19:
            job = nop.delay(turn, "awaited")
            acknowledged([job])
            job.result(timeout=30)
"""


@dataclass
class File:
    """One of the two files: what a sync has put on the disk, and what is written and not synced."""

    kept: bytearray = field(default_factory=bytearray)
    unsynced: list[tuple[int, int, bytes]] = field(default_factory=list)
    syncing: list[int] = field(default_factory=list)

    def note(self, kind, offset, data):
        if kind in (WRITTEN, TRUNCATED):
            self.unsynced.append((kind, offset, data))
        elif kind == SYNC_BEGUN:
            self.syncing.append(len(self.unsynced))
        elif kind == SYNC_ENDED:
            count = self.syncing.pop(0)
            for change in self.unsynced[:count]:
                apply(self.kept, *change)
            del self.unsynced[:count]
            self.syncing = [max(0, begun - count) for begun in self.syncing]

    def after_a_cut(self, how, rng):
        """Return what the disk may have: of what was not synced nothing, some, or parts."""
        image = bytearray(self.kept)
        for kind, offset, data in self.unsynced:
            if how != "nothing" and rng.random() < 0.5:
                torn = how == "torn" and rng.random() < 0.5
                apply(image, kind, offset, data[:SECTOR_BYTES] if torn else data)
        return bytes(image)


def apply(image, kind, offset, data):
    """Do to the bytes of a file what was done to it."""
    end = offset + len(data)
    if kind == TRUNCATED:
        del image[end:]
    image.extend(bytes(max(0, end - len(image))))
    image[offset:end] = data


@pytest.fixture(scope="module")
def recorder(tmp_path_factory):
    """Return the compiled recorder."""
    library = tmp_path_factory.mktemp("recorder") / "recorder.so"
    command = ["cc", "-shared", "-fPIC", "-O1", "-o", str(library), str(RECORDER), "-ldl"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    if done.returncode:
        pytest.skip(f"the compiler can't: {done.stderr[:200]}")
    return library


def record(folder, recorder, durability, turns):
    """Run the program; return what was recorded, as values (kind, file, offset, data)."""
    recording = folder / "recording"
    subprocess.run(
        [sys.executable, "-c", PROGRAM, durability, str(turns)],
        cwd=folder,
        env={**os.environ, "LD_PRELOAD": str(recorder), "RECORDING": str(recording)},
        check=True,
        timeout=300,
    )
    events, raw, at = [], recording.read_bytes(), 0
    while at < len(raw):
        kind, file, offset, length = HEADER.unpack_from(raw, at)
        at += HEADER.size
        data = raw[at : at + length] if kind in (WRITTEN, ACKNOWLEDGED) else b""
        at += len(data)
        events.append((kind, file, offset, data))
    return events


def cut(folder, events, moments):
    """Yield for each image where and how it was made, what SQLite says, and which jobs it lacks."""
    rng, files, acknowledged = random.Random(SEED), (File(), File()), []
    for moment, (kind, file, offset, data) in enumerate(events):
        if moment in moments:
            for how in ("nothing", "some", "torn"):
                images = [one.after_a_cut(how, rng) for one in files]
                found, jobs = read(folder / "cut", images)
                yield moment, how, found, [job for job in acknowledged if job not in jobs]
        if kind == ACKNOWLEDGED:
            acknowledged += data.decode().split("\n")
        else:
            files[file].note(kind, offset, data)


def read(folder, images):
    """Return what SQLite says of the files of an image, and the ids of the jobs in it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, image in zip(("jobs.db", "jobs.db-wal"), images, strict=True):
        (folder / name).write_bytes(image)
    with closing(sqlite3.connect(folder / "jobs.db")) as connection:
        (found,) = connection.execute("PRAGMA integrity_check").fetchone()
        tables = connection.execute("SELECT name FROM sqlite_schema").fetchall()
        # Without them: a power cut before they were synced.
        rows = connection.execute(JOBS).fetchall() if set(tables) >= TABLES else []
    return found, {f"{key}-{nonce:08x}" for key, nonce in rows}


def cut_power(folder, recorder, durability, turns, cuts):
    """Record a program and cut its power; return what was found of each image."""
    events = record(folder, recorder, durability, turns)
    (begun, *_) = [at for at, event in enumerate(events) if event[0] == ACKNOWLEDGED]
    folds = [at for at, event in enumerate(events) if event[:2] == (WRITTEN, 0) and at > begun]
    rng = random.Random(SEED)
    moments = set(rng.sample(range(begun, len(events)), cuts))
    if folds:  # as many near where the log is folded into the database
        near = [rng.choice(folds) + rng.randint(-3, 3) for _ in range(cuts)]
        moments |= {min(max(begun, moment), len(events) - 1) for moment in near}
    found = list(cut(folder, events, moments))
    assert len(found) >= 3 * cuts
    assert [image for image in found if image[2] != "ok"] == []
    with closing(Queue(db_path=folder / "cut/jobs.db")) as queue, queue.worker():
        job = queue.task(name="nop", retries=0)(lambda *_: "goes on").delay(1, "after")
        assert job.result(timeout=30) == "goes on"
    return found


def test_full_durability_loses_nothing_acknowledged_to_a_power_cut(tmp_path, recorder):
    found = cut_power(tmp_path, recorder, "full", turns=60, cuts=12)
    assert [image for image in found if image[3]] == []


def test_normal_durability_loses_the_last_moments_at_most_and_damages_nothing(tmp_path, recorder):
    found = cut_power(tmp_path, recorder, "normal", turns=60, cuts=12)
    assert any(image[3] for image in found), "it should have lost something, or nothing was cut"


@pytest.mark.long
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("durability", ["full", "normal"])
def test_hundreds_of_power_cuts_damage_nothing(tmp_path, recorder, durability):
    found = cut_power(tmp_path, recorder, durability, turns=2000, cuts=60)
    lost = [image for image in found if image[3]]
    print(f"{durability}: {len(found)} images, jobs are missing in {len(lost)}")  # noqa: T201  # -s
    assert durability == "normal" or lost == []

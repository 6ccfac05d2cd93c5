"""A process that may open no further file: it is told that, and goes on when it may again."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import os, resource, sys
from mainspring import Queue
from mainspring.errors import StoreError

queue = Queue(db_path="jobs.db")
noop = queue.task(name="noop")(lambda: None)
noop.delay()
if sys.argv[1] == "opened anew":
    queue.close()
import mainspring.stores.sqlite.file.examination
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
said, counted = set(), 1
for free in range(25):
    most = int(max(os.listdir("/proc/self/fd"), key=int))
    resource.setrlimit(resource.RLIMIT_NOFILE, (most + free, hard))
    try:
        noop.delay()
        counted += 1
    except StoreError as error:
        said.add(str(error).partition(" can't be used: ")[2])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if sys.argv[1] == "opened anew":
        queue.close()
noop.delay()
print(queue.stats()["pending"] == counted + 1)
for sentence in said:
    print(sentence)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="it looks into /proc")
@pytest.mark.parametrize("store", ["opened anew", "open"])
def test_too_many_open_files_are_named_and_lose_nothing(tmp_path, store):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, store],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    same, *said = done.stdout.splitlines()
    assert same == "True"
    sentence = "this process has too many files open; raise its limit (ulimit -n)"
    assert said == ([] if store == "open" else [f"{sentence}, or close what it leaves open"])

"""The queue of the long kill harness: a task of each kind, which write what they do to a ledger."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from pathlib import Path

from mainspring import Exponential, Queue, current_job
from mainspring.engine.node.board import FileBoard

HERE = Path(__file__).parent
DATABASE = HERE / "jobs.db"
queue = Queue(db_path=DATABASE, workers=4, durability="full", grace=10)


def write(name, *words):
    """Append a line in one piece: several processes write to the file."""
    file = os.open(HERE / name, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, (" ".join(map(str, words)) + "\n").encode())
    os.close(file)


def note(what, worker):
    write("ledger", what, current_job.id, worker, time.monotonic())


def note_before_board(self, slot, key, fence, to_board=FileBoard.note):
    write("board", key, fence, os.getpid(), time.monotonic())
    to_board(self, slot, key, fence)


FileBoard.note = note_before_board


@queue.task
def in_thread(_number, seconds):
    note("begin", os.getpid())
    time.sleep(seconds)
    note("end", os.getpid())


@queue.task
async def in_loop(_number, seconds):
    note("begin", os.getpid())
    await asyncio.sleep(seconds)
    note("end", os.getpid())


@queue.task(executor="process")
def in_process(_number, seconds):
    note("begin", os.getppid())
    time.sleep(seconds)
    note("end", os.getppid())


@queue.task(retries=3, backoff=Exponential(base=0.05, cap=0.5))
def retried(_number, seconds):
    note("begin", os.getpid())
    time.sleep(seconds)
    if current_job.attempt < 3:
        raise OSError(f"attempt {current_job.attempt}")
    note("end", os.getpid())


@queue.task
def unique(_number, seconds, _key):
    note("begin", os.getpid())
    time.sleep(seconds)
    note("end", os.getpid())


@queue.task
def booked(number, seconds):
    note("begin", os.getpid())
    own = sqlite3.connect(DATABASE, timeout=30)
    with own:
        own.execute("INSERT INTO books VALUES (?, ?)", (number, current_job.id))
        time.sleep(seconds)
        current_job.complete_in(own)
    own.close()
    note("end", os.getpid())


@queue.cron("* * * * * *", name="tick", catch_up="all")
def tick():
    note("begin", os.getpid())


@queue.every(1, name="beat", catch_up="all")
def beat():
    note("begin", os.getpid())

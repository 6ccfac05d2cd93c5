"""huey on SQLite as a contender; run as a module it is its consumer.

It drops a job when a worker takes it.
"""

from __future__ import annotations

from benchmarks.contenders.huey_queue import HueyContender
from benchmarks.contenders.setup import Setup
from huey import SqliteHuey

setup = Setup.from_environment()
queue = SqliteHuey(filename=setup.database, fsync=setup.durability == "full", timeout=30)
contender = HueyContender(queue, setup, "benchmarks.contenders.on_huey")


def Contender() -> HueyContender:  # noqa: N802  # what a row calls
    return contender


if __name__ == "__main__":
    contender.work()

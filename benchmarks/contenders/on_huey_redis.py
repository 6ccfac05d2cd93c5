"""huey on a Redis-compatible server as a contender; run as a module it is its consumer."""

from __future__ import annotations

from benchmarks.contenders.huey_queue import HueyContender
from benchmarks.contenders.redis_server import socket_in
from benchmarks.contenders.setup import Setup
from huey import RedisHuey

setup = Setup.from_environment()
queue = RedisHuey(url=f"unix://{socket_in(setup.folder)}", blocking=True)
contender = HueyContender(queue, setup, "benchmarks.contenders.on_huey_redis")


def Contender() -> HueyContender:  # noqa: N802  # what a row calls
    return contender


if __name__ == "__main__":
    contender.work()

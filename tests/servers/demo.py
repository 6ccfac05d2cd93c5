"""The demo over a server of its own: `python -m servers.demo valkey`, or `postgres`."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

from servers import postgres
from servers.valkey import ValkeyServer


@contextmanager
def valkey_server():
    with tempfile.TemporaryDirectory() as folder:
        server = ValkeyServer(Path(folder), appendonly="yes", appendfsync="always")
        server.start()
        try:
            yield server
        finally:
            server.stop()


@contextmanager
def postgres_server():
    server = postgres.make_server()
    try:
        server.start()
        yield server
    finally:
        postgres.throw_away(server)


SERVERS = {"valkey": valkey_server, "postgres": postgres_server}


def main(kind, *options):
    with SERVERS[kind]() as server:
        command = (sys.executable, "-m", "mainspring", "demo", "--url", server.url, *options)
        return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

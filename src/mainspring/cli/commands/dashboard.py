"""`mainspring dashboard`: a queue in a browser."""

from __future__ import annotations

import os
import socket
import sys
from ipaddress import ip_address
from typing import TYPE_CHECKING

from mainspring.cli.app_loader.queue import add_source, queue_of
from mainspring.errors import InvalidOption, UsageError

if TYPE_CHECKING:
    import argparse

    from mainspring.queue import Queue

PORT = 8420
MOST_PORTS = 65_535
_OWNER = "mainspring dashboard"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    add_source(parser)
    parser.add_argument(
        "--host", default="127.0.0.1", help="the address to listen on (default: %(default)s)"
    )
    parser.add_argument(
        "--port", type=int, default=PORT, help="0 for a free one (default: %(default)s)"
    )
    parser.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="a name that browsers call it by, besides addresses and localhost; may be repeated",
    )
    parser.add_argument(
        "--redact",
        metavar="A,B",
        default="",
        help="names of arguments whose values are shown nowhere",
    )


def run(options: argparse.Namespace) -> int:
    """Serve the dashboard until it is asked to stop; 0 when it has."""
    # A lazy door: the web frameworks take half a second to import.
    from mainspring.web.dashboard.access import VARIABLE, checked_token, new_token  # noqa: PLC0415

    given = os.environ.get(VARIABLE)
    if given is None and not _is_loopback(options.host):
        raise UsageError(
            f"{_OWNER}: on {options.host} others can reach it, and there is no token: set "
            f"{VARIABLE} to one of at least 16 letters, or listen on 127.0.0.1"
        )
    token = new_token() if given is None else checked_token(given)
    queue = queue_of(options)
    try:
        _serve(queue, options, token, printed=given is None)
    finally:
        queue.close()
    return 0


def _serve(queue: Queue, options: argparse.Namespace, token: str, *, printed: bool) -> None:
    from mainspring.cli.dashboard_server import DashboardServer  # noqa: PLC0415  # as above
    from mainspring.web import dashboard  # noqa: PLC0415  # as above

    redact = [name.strip() for name in options.redact.split(",") if name.strip()]
    app = dashboard(queue, token=token, hosts=options.allow_host, redact=redact)
    with _bound(options.host, options.port) as listening:
        address = _address(options.host, listening.getsockname()[1])
        entry = f"{address}/?token={token}" if printed else f"{address}/"
        sys.stdout.write(f"Dashboard: {entry}\nCtrl+C stops it.\n")
        sys.stdout.flush()
        DashboardServer(app).run_on(listening)


def _bound(host: str, port: int) -> socket.socket:
    if not 0 <= port <= MOST_PORTS:
        expected = f"a number from 0 to {MOST_PORTS}"
        raise InvalidOption("--port", port, owner=_OWNER, expected=expected)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except (OSError, UnicodeError) as error:
        why = f"can't be listened on at port {port}: {error}"
        remedy = "give another --host or --port; --port 0 takes a free one"
        raise InvalidOption("--host", host, owner=_OWNER, why=why, remedy=remedy) from error


def _address(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"

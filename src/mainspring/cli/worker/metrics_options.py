"""The options that say where a worker serves its metrics, and those of one process of several."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from mainspring.errors import InvalidOption
from mainspring.queue.options import LOOPBACK, METRICS_PORT

if TYPE_CHECKING:
    import argparse


def add_metrics_options(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "--metrics-port",
        type=int,
        metavar="PORT",
        help="serve /metrics, /livez and /readyz there, 0 for a free one; with --processes the "
        "second one has PORT + 1, and so on",
    )
    parser.add_argument(
        "--metrics-host",
        metavar="HOST",
        help=f"the address to serve them on, as in 0.0.0.0 (default: {LOOPBACK})",
    )


def metrics_options(options: argparse.Namespace, number: int) -> list[str]:
    """Return the options of the process with that number, from 1: each has a port of its own."""
    port = options.metrics_port
    if port is None:
        return []
    own = port + number - 1 if port else 0
    return ["--metrics-port", str(own), "--metrics-host", options.metrics_host]


def check_metrics_address(options: argparse.Namespace) -> None:
    """Raise InvalidOption unless each process will have its port; the host has its default then.

    Asked before a process is started, which could only say it again and again.
    """
    first, host = options.metrics_port, options.metrics_host
    if host is not None and first is None:
        why, remedy = "does nothing by itself", "give --metrics-port, too"
        raise InvalidOption("--metrics-host", host, owner="worker", why=why, remedy=remedy)
    options.metrics_host = LOOPBACK if host is None else host
    for port in range(first, first + options.processes) if first else ():
        METRICS_PORT("worker", "--metrics-port", port)
        _check_free(options.metrics_host, port)


def _check_free(host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host, port), family=family).close()
    except (OSError, UnicodeError) as error:
        why = f"can't be listened on at {host}: {error}"
        remedy = "give another one, or 0 for any that is free"
        raise InvalidOption(
            "--metrics-port", port, owner="worker", why=why, remedy=remedy
        ) from error

"""Hosts that the dashboard answers to, and origins whose changes it takes.

A page of another site can send requests to this server, and by a name of its own that leads here
(DNS rebinding) read the answers. So a name that nobody has named is refused; addresses and
`localhost` are no names that somebody else can have.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from mainspring.errors import InvalidOption

if TYPE_CHECKING:
    from collections.abc import Collection

    from starlette.requests import Request


class Hosts:
    """The names that it may be called by. Raises InvalidOption."""

    def __init__(self, names: Collection[str]) -> None:
        if isinstance(names, str) or not all(isinstance(name, str) for name in names):
            expected = 'names without port, as in hosts=["jobs.example.com"]'
            raise InvalidOption("hosts", names, owner="dashboard()", expected=expected)
        self._names = frozenset(name.lower() for name in names)

    def trouble_with(self, request: Request) -> str | None:
        """Return what is wrong with the host, or with the origin of a change."""
        said = request.headers.getlist("host")
        host = _name_of(f"//{said[0]}") if len(said) == 1 else None
        if host is None or not self._knows(host):
            return (
                "This server is not known by that name. Name it when the dashboard is made: "
                "hosts=[...], or --allow-host of mainspring dashboard."
            )
        if request.method in {"GET", "HEAD"}:
            return None
        origins = request.headers.getlist("origin")
        # The same host and port; a proxy before us may have changed the scheme.
        if len(origins) != 1 or urlsplit_netloc(origins[0]) != said[0].lower():
            return "The request comes from another site, or from no page at all, and is refused."
        return None

    def _knows(self, host: str) -> bool:
        if host in self._names or host == "localhost" or host.endswith(".localhost"):
            return True
        try:
            ip_address(host)
        except ValueError:
            return False
        return True


def urlsplit_netloc(origin: str) -> str | None:
    """Return host and port of an origin, None for one that is none."""
    try:
        parts = urlsplit(origin)
    except ValueError:
        return None
    whole = f"{parts.scheme}://{parts.netloc}"
    is_origin = parts.scheme in {"http", "https"} and origin == whole
    return parts.netloc.lower() if is_origin else None


def _name_of(url: str) -> str | None:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    clean = not (parts.path or parts.query or parts.fragment or "@" in parts.netloc)
    return parts.hostname if clean else None

"""A store's URL as people may read it, in messages and logs."""

from __future__ import annotations

PUBLIC = ("namespace=", "schema=")
"""Parts of a query that name no secret."""

FILES = ("sqlite", "memory")
"""Schemes whose URLs hold no secret, but perhaps a file's name with a question mark."""


def public_url(url: str) -> str:
    """Return a URL without user and password, and without a query that could hold another."""
    scheme, separator, rest = url.partition("://")
    if scheme in FILES:
        return url
    place, _, query = rest.partition("?")
    host, slash, path = place.partition("/")
    kept = "&".join(part for part in query.split("&") if part.startswith(PUBLIC))
    begin = f"{scheme}{separator}{host.rpartition('@')[2]}{slash}{path}"
    return f"{begin}?{kept}" if kept else begin

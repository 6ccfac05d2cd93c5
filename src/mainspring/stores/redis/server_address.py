"""The parts of a URL that names a Redis or Valkey server. Needs no client library."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import parse_qsl, urlencode

from mainspring.errors import InvalidOption
from mainspring.stores.public_url import public_url

NAMESPACE = re.compile(r"[A-Za-z0-9._:-]{1,100}", re.ASCII)
DEFAULT_NAMESPACE = "mainspring"


class ServerAddress(NamedTuple):
    """A server and where our keys are in it.

    `url` is what the client library takes, `label` is for people and holds no password, and
    `prefix` begins every key. It holds a hash tag, so that a cluster keeps all keys together.
    """

    url: str
    label: str
    prefix: str


def address_of(url: str) -> ServerAddress:
    """Return the parts of a URL: `redis://`, `rediss://` or `unix://`; raises InvalidOption."""
    place, _, parameters = url.partition("?")
    query = dict(parse_qsl(parameters, keep_blank_values=True))
    namespace = query.pop("namespace", DEFAULT_NAMESPACE)
    if NAMESPACE.fullmatch(namespace) is None:
        expected = "1 to 100 letters, digits or any of . _ : -"
        raise InvalidOption("namespace", namespace, owner="Queue", expected=expected)
    plain = f"{place}?{urlencode(query)}" if query else place
    return ServerAddress(plain, public_url(url), f"{{{namespace}}}:")

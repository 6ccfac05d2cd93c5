"""The host of a node: the kernel it runs on, and the namespace its process number is of.

Containers may bear the same host name, and a folder may be shared between machines, where a lock
that one kernel holds is free for the other. Both ids are Linux's; elsewhere a node has none.
"""

from __future__ import annotations

import re
import socket
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import DecodeError, Struct, json

if TYPE_CHECKING:
    from mainspring.model.view import NodeRecord

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
"""One for each start of a kernel."""

NAMESPACE = Path("/proc/self/ns/pid")
"""A link to the namespace of process numbers: `pid:[4026531836]`."""


class HostIdentity(Struct, frozen=True):
    """The host that a node says it is on. `boot` and `namespace` are "" where it does not know."""

    boot: str = ""
    namespace: str = ""


class _Serves(Struct, frozen=True):
    host: HostIdentity = HostIdentity()


_decode = json.Decoder(_Serves).decode


def this_host() -> HostIdentity:
    """Return the host of this process."""
    boot = namespace = ""
    with suppress(OSError, UnicodeDecodeError):
        boot = BOOT_ID.read_text().strip()
    with suppress(OSError):
        namespace = "".join(re.findall(r"\d+", str(NAMESPACE.readlink())))
    return HostIdentity(boot, namespace)


def host_of(node: NodeRecord) -> HostIdentity:
    """Return the host that a node has said it is on; one without ids if that can't be read."""
    try:
        return _decode(node.serves).host
    except (DecodeError, UnicodeDecodeError, RecursionError):
        return HostIdentity()


def is_here(node: NodeRecord) -> bool:
    """Return whether a node is on this host, in the container of this process if that is one."""
    there = host_of(node)
    same = there == this_host() or not there.boot
    return same and node.host == socket.gethostname()


def shares_locks(node: NodeRecord, here: HostIdentity) -> bool:
    """Return whether a lock of the kernel tells about a node: not if another kernel runs it.

    Containers of one kernel share its locks, if they share the folder. Where one of the two has no
    id, the folder is all there is to go by.
    """
    there = host_of(node)
    return not there.boot or not here.boot or there.boot == here.boot

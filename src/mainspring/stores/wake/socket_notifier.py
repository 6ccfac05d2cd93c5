"""Wake-ups to the other processes of one host: a datagram to each socket in a private folder.

Knows nothing of databases. To notify never blocks, and costs a look at the folder's time when
nobody listens.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainspring.clock import wall_clock_ns
from mainspring.stores.wake.datagram import ANY, datagram_of

if TYPE_CHECKING:
    import socket
    from collections.abc import Collection, Iterable

    from mainspring.stores.wake.socket_folder import SocketFolder

MOST_CONNECTED = 64
"""Listeners to which a socket is kept connected."""

SETTLED_NANOSECONDS = 50_000_000
"""A folder changed since less than this may change again without a change of its time."""


class SocketNotifier:
    """Wakes the listeners of a folder, by a connected socket for each: a path is walked once."""

    def __init__(self, folder: SocketFolder) -> None:
        self._folder = folder
        self._listed_at = 0
        self._names: list[str] = []
        self._connected: dict[str, socket.socket] = {}

    def notify(self, topic: str, keys: Collection[int] = ()) -> None:
        """Wake the listeners of the topic; `keys` are those of the jobs it is about, none: any."""
        names = [name for name in self._listening() if name.startswith(topic)]
        datagram = datagram_of(keys) if names else ANY
        for name in names:
            self._send(name, datagram)

    def close(self) -> None:
        """Close the sockets and the folder."""
        self._disconnect(list(self._connected))
        self._folder.close()

    def _listening(self) -> list[str]:
        changed_at = self._folder.changed_at()
        if changed_at is None:
            return []
        if changed_at != self._listed_at:
            self._names = self._folder.names()
            self._disconnect(self._connected.keys() - self._names)
            settled = wall_clock_ns() - changed_at > SETTLED_NANOSECONDS
            self._listed_at = changed_at if settled else 0
        return self._names

    def _send(self, name: str, datagram: bytes) -> None:
        try:
            (self._connected.get(name) or self._connect(name)).send(datagram)
        except ConnectionRefusedError:
            self._disconnect([name])
            self._folder.remove_dead(name)  # its process has gone
        except BlockingIOError:
            return  # its listener sees that its socket was full
        except OSError:
            self._disconnect([name])  # the fallback poll catches any other case

    def _connect(self, name: str) -> socket.socket:
        if len(self._connected) >= MOST_CONNECTED:
            self._disconnect(list(self._connected))
        import socket  # noqa: PLC0415  # a lazy door: there may be nobody to wake

        connected = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        connected.setblocking(False)  # noqa: FBT003  # the standard library's signature
        try:
            connected.connect(self._folder.address(name))
        except BaseException:
            connected.close()
            raise
        kept = self._connected.setdefault(name, connected)
        if kept is not connected:  # another thread was faster
            connected.close()
        return kept

    def _disconnect(self, names: Iterable[str]) -> None:
        for name in names:
            connected = self._connected.pop(name, None)
            if connected is not None:
                connected.close()

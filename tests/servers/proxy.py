"""A TCP proxy before a server, which loses replies and breaks connections as a test asks it to."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress

CHUNK = 1 << 16


class Proxy:
    """Passes bytes on to a port of this host, or to a Unix socket; `close` ends its threads.

    While `blackhole` is set it passes nothing on.
    """

    def __init__(self, target: int | str) -> None:
        self._target = target
        self._lost_words: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.lost = 0
        self.blackhole = False
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._start(self._accept)

    @property
    def all_lost(self) -> bool:
        """True if as many replies were lost as were to be."""
        return not self._lost_words

    def lead_to(self, target: int | str) -> None:
        """Lead new connections elsewhere; those that there are stay."""
        self._target = target

    def lose_reply_to(self, word: bytes, times: int = 1) -> None:
        """Pass on what holds the word, and break the connection in the place of its reply."""
        self._lost_words += [word] * times

    def lose_replies(self, number: int) -> None:
        """Break the connection in the place of each of the next replies."""
        self.lose_reply_to(b"", number)

    def break_all(self) -> None:
        """Break every connection."""
        for one in list(self._open):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Take no more connections, and break those that there are."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.break_all()
        for thread in self._threads:
            thread.join(5)
        for one in self._open:
            one.close()

    def _start(self, target, *args) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
                server = self._connected()
            except OSError:
                return
            self._open += [client, server]
            doomed = threading.Event()
            self._start(self._pass_on, client, server, doomed)
            self._start(self._pass_back, server, client, doomed)

    def _connected(self) -> socket.socket:
        if isinstance(self._target, int):
            return socket.create_connection(("127.0.0.1", self._target))
        server = socket.socket(socket.AF_UNIX)
        server.connect(self._target)
        return server

    def _pass_on(self, client: socket.socket, server: socket.socket, doomed: threading.Event):
        with suppress(OSError):
            while data := client.recv(CHUNK):
                if self._lost_words and self._lost_words[0] in data:
                    del self._lost_words[0]
                    doomed.set()
                if not self.blackhole:
                    server.sendall(data)
        _break(server, client)

    def _pass_back(self, server: socket.socket, client: socket.socket, doomed: threading.Event):
        with suppress(OSError):
            while data := server.recv(CHUNK):
                if doomed.is_set():
                    self.lost += 1
                    break
                if not self.blackhole:
                    client.sendall(data)
        _break(client, server)


def _break(*both: socket.socket) -> None:
    for one in both:
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)

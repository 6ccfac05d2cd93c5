"""A TCP proxy before a server, which loses answers and breaks connections when it is told to."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress


class Proxy:
    """Listens on a free port of this host and hands on to another; `close` ends its threads."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._lost = 0
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    @property
    def all_lost(self) -> bool:
        """True if as many answers were lost as were to be."""
        return self._lost == 0

    def lose_answers(self, number: int) -> None:
        """Break the connection in the place of each of the next answers."""
        self._lost = number

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

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                return
            self._open += [client, server]
            for source, sink in ((client, server), (server, client)):
                answers = source is server
                thread = threading.Thread(
                    target=self._hand_on,
                    args=(source, sink),
                    kwargs={"answers": answers},
                    daemon=True,
                )
                self._threads.append(thread)
                thread.start()

    def _hand_on(self, source: socket.socket, sink: socket.socket, *, answers: bool) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if answers and self._lost:
                    self._lost -= 1
                    break
                sink.sendall(data)
        for one in (source, sink):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

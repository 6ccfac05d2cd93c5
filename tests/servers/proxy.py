"""A TCP proxy before a server's Unix socket, which breaks connections as a test asks it to."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress

CHUNK = 1 << 16


class Proxy:
    """Passes bytes on. `lose_reply_to(word)`: what holds the word is passed on, its reply is not.

    The connection is reset instead, once the server has answered. `blackhole` passes nothing on.
    """

    def __init__(self, target: str) -> None:
        self._target = target
        self._lost_words: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.lost = 0
        self.blackhole = False
        threading.Thread(target=self._accept, daemon=True).start()

    def lose_reply_to(self, word: bytes, times: int = 1) -> None:
        self._lost_words += [word] * times

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        server = socket.socket(socket.AF_UNIX)
        server.connect(self._target)
        doomed = threading.Event()
        back = threading.Thread(target=self._pass_back, args=(server, client, doomed), daemon=True)
        back.start()
        with suppress(OSError):
            while data := client.recv(CHUNK):
                if self._lost_words and self._lost_words[0] in data:
                    del self._lost_words[0]
                    doomed.set()
                if not self.blackhole:
                    server.sendall(data)
        server.close()

    def _pass_back(self, server: socket.socket, client: socket.socket, doomed: threading.Event):
        with suppress(OSError):
            while data := server.recv(CHUNK):
                if doomed.is_set():
                    self.lost += 1
                    break
                if not self.blackhole:
                    client.sendall(data)
        with suppress(OSError):
            client.shutdown(socket.SHUT_RDWR)
        client.close()

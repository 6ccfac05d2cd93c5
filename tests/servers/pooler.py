"""A pooler before PostgreSQL, as PgBouncer is: a client has a session of the server for a while."""

from __future__ import annotations

import socket
import struct
import threading
import time
from contextlib import suppress

SSL, GSS = 80877103, 80877104
READY, IDLE = b"Z", b"I"
KEY_DATA = b"K" + struct.pack("!iii", 12, 0x7FFF0000, 1)
"""A process number of the pooler's own."""


class Pooler:
    """Gives each transaction of a client the session that was free last.

    `sticky`: a client keeps its session, as in session mode. `lag`: seconds from an answer until
    its session is free. The server is at a Unix socket and asks for no password.
    """

    def __init__(self, server: str, *, sticky: bool = False, lag: float = 0.0) -> None:
        self._server = server
        self._sticky = sticky
        self._lag = lag
        self._free: list[Session] = []
        self._lock = threading.Lock()
        self._open: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Break every connection."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        for one in (self._listener, *self._open):
            with suppress(OSError):
                one.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._open.append(client)
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        session = None
        with suppress(OSError, EOFError), client:
            startup = startup_of(client)
            session = self._take(startup)
            client.sendall(session.greeting)
            if not self._sticky:
                session = self._give(session)
            while (message := message_of(client))[:1] != b"X":
                session = session or self._take(startup)
                session.send(message)
                if message[:1] in b"QS" and session.relay(client) == IDLE and not self._sticky:
                    session = self._give(session)
        if session is not None:
            session.close()

    def _take(self, startup: bytes) -> Session:
        with self._lock:
            if self._free:
                return self._free.pop()
        session = Session(self._server, startup)
        self._open.append(session.socket)
        return session

    def _give(self, session: Session) -> None:
        time.sleep(self._lag)
        with self._lock:
            self._free.append(session)


class Session:
    """A connection to the server, and what that said at its start but for the process number."""

    def __init__(self, server: str, startup: bytes) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(server)
        self.socket.sendall(startup)
        self.greeting = b""
        while (message := message_of(self.socket))[:1] != READY:
            self.greeting += KEY_DATA if message[:1] == b"K" else message
        self.greeting += message
        self.send = self.socket.sendall
        self.close = self.socket.close

    def relay(self, client: socket.socket) -> bytes:
        """Pass on what the server says until it is ready; return the state of its transaction."""
        said = b""
        while (message := message_of(self.socket))[:1] != READY:
            said += message
        client.sendall(said + message)
        return message[-1:]


def startup_of(client: socket.socket) -> bytes:
    """Return the message with which a client begins; encryption is refused."""
    while True:
        length = read(client, 4)
        rest = read(client, struct.unpack("!i", length)[0] - 4)
        if struct.unpack("!i", rest[:4])[0] not in (SSL, GSS):
            return length + rest
        client.sendall(b"N")


def message_of(one: socket.socket) -> bytes:
    """Return the next message, with its type and length."""
    head = read(one, 5)
    return head + read(one, struct.unpack("!i", head[1:])[0] - 4)


def read(one: socket.socket, count: int) -> bytes:
    """Return so many bytes."""
    data = b""
    while len(data) < count:
        if not (part := one.recv(count - len(data))):
            raise EOFError
        data += part
    return data

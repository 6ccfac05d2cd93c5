"""The frames that travel between a process pool and its children: a kind, a length, the bytes.

It knows nothing of what the bytes mean. Both ends import it, so it stays light.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

REQUEST: Final = 0
"""To a child: bytes for the handler that the pool was made with."""
CALL: Final = 1
"""To a child: a pickled function and its arguments."""
READY: Final = 2
"""From a child: it has started."""
REPLY: Final = 3
"""From a child: what came of a request or a call."""
RAISED: Final = 4
"""From a child: what a request, a call or the start raised."""
NOTE: Final = 5
"""From a child: said in the middle of a request or a call; more follows."""
LOG: Final = 6
"""From a child: a log record, before READY or in the middle of a request or a call."""
SPENT: Final = 0x80
"""Added to the kind of the last frame of a child that has grown too large to go on."""

_HEAD = Struct("<BQ")
_GULP_BYTES = 1 << 16
_MOUTHFUL_BYTES = 1 << 20
_JOINED_BYTES = 1 << 16


def frame(kind: int, payload: bytes) -> tuple[bytes, ...]:
    """Return the pieces to send in order; a large payload is not copied."""
    head = _HEAD.pack(kind, len(payload))
    return (head + payload,) if len(payload) <= _JOINED_BYTES else (head, payload)


class FrameReader:
    """Cuts a stream into frames; `read(limit_bytes)` gives what is there, or b"" at the end."""

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self._read = read
        self._left = b""

    def next(self) -> tuple[int, bytes]:
        """Return the next frame's kind and payload; EOFError if the stream ends before."""
        data = self._left or self._more(_GULP_BYTES)
        while len(data) < _HEAD.size:
            data += self._more(_GULP_BYTES)
        kind, length = _HEAD.unpack_from(data)
        end = _HEAD.size + length
        self._left = data[end:]
        if len(data) >= end:
            return kind, data[_HEAD.size : end]
        return kind, self._rest(data[_HEAD.size :], length)

    def _rest(self, begun: bytes, length: int) -> bytes:
        pieces = [begun]
        missing = length - len(begun)
        while missing:
            pieces.append(self._more(min(missing, _MOUTHFUL_BYTES)))
            missing -= len(pieces[-1])
        return b"".join(pieces)

    def _more(self, limit_bytes: int) -> bytes:
        data = self._read(limit_bytes)
        if not data:
            raise EOFError
        return data

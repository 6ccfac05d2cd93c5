"""The answer of a script, MessagePack, as values. Texts that are no UTF-8 are shown as they are."""

from __future__ import annotations

import struct
from typing import Any

from msgspec import DecodeError, msgpack

_decode = msgpack.Decoder().decode

FIXED: dict[int, Any] = {
    **{kind: kind for kind in range(0x80)},
    **{kind: kind - 0x100 for kind in range(0xE0, 0x100)},
    0xC0: None,
    0xC2: False,
    0xC3: True,
}
NUMBERS = {
    0xCA: ">f",
    0xCB: ">d",
    0xCC: ">B",
    0xCD: ">H",
    0xCE: ">I",
    0xCF: ">Q",
    0xD0: ">b",
    0xD1: ">h",
    0xD2: ">i",
    0xD3: ">q",
}
# The size of each kind, or the form of the number that says it.
TEXTS: dict[int, int | str] = {
    **{0xA0 + size: size for size in range(0x20)},
    0xD9: ">B",
    0xDA: ">H",
    0xDB: ">I",
    0xC4: ">B",
    0xC5: ">H",
    0xC6: ">I",
}
LISTS: dict[int, int | str] = {0x90 + size: size for size in range(0x10)} | {0xDC: ">H", 0xDD: ">I"}
MAPS: dict[int, int | str] = {0x80 + size: size for size in range(0x10)} | {0xDE: ">H", 0xDF: ">I"}


def decode(data: bytes) -> Any:
    """Return what an answer says."""
    try:
        return _decode(data)
    except (DecodeError, UnicodeError):
        # What somebody else has written is in it: one text must not cost the whole answer.
        return Reader(data).value()


class Reader:
    """Reads one value after the other. Slow: for answers with texts that are no UTF-8."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def value(self) -> Any:
        """Return the next value."""
        kind = self._bytes(1)[0]
        if kind in FIXED:
            return FIXED[kind]
        if kind in NUMBERS:
            return self._number(NUMBERS[kind])
        if kind in TEXTS:
            return self._bytes(self._size(TEXTS[kind])).decode("utf-8", "backslashreplace")
        if kind in LISTS:
            return [self.value() for _ in range(self._size(LISTS[kind]))]
        return {str(self.value()): self.value() for _ in range(self._size(MAPS[kind]))}

    def _size(self, size: int | str) -> int:
        return size if isinstance(size, int) else int(self._number(size))

    def _number(self, form: str) -> Any:
        (number,) = struct.unpack(form, self._bytes(struct.calcsize(form)))
        return number

    def _bytes(self, size: int) -> bytes:
        part = self._data[self._at : self._at + size]
        self._at += size
        return part

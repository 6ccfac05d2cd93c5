"""PickleCodec: arguments and results as signed pickles, for a queue that asks for it.

Unpickling can run any code, so a pickle is read only if its signature is right: whoever can write
to the store but does not know the key can't make one. A text of plain JSON is read as a JsonCodec
reads it, since that is safe whoever wrote it: so jobs that wait when a queue is given this codec
still run.
"""

from __future__ import annotations

import hashlib
import hmac
import pickle
from binascii import a2b_base64, b2a_base64
from typing import Any

from msgspec import DecodeError, json

from mainspring.errors import InvalidArguments, InvalidOption
from mainspring.model.codec import LIMIT_BYTES, JsonCodec
from mainspring.model.record import Undecodable, Unstorable

LEAST_KEY_BYTES = 16
PROTOCOL = 5
"""The same for every Python that shares a store."""

_CALL, _RESULT = b"mainspring call\0", b"mainspring result\0"
"""Signed along with a pickle and its task, so that neither passes for what it was not made for."""

_MARK = b'{"$pickle":'
_decode = json.Decoder(dict[str, tuple[str, str]]).decode
_encode = json.Encoder().encode


class PickleCodec:
    """Encodes calls and results as pickles, signed with a secret key by HMAC-SHA256.

    `signing_key`: at least 16 bytes (a text counts as UTF-8), the same in every process that uses
    the queue, and known to nobody who must not run code there. `limit_bytes`: how long a stored
    text may be. Plain JSON is read, too, so that jobs which wait when a queue is given this codec
    still run. Thread-safe. The store's search can't look into pickles. Raises InvalidOption.
    """

    def __init__(self, signing_key: bytes | str, *, limit_bytes: int = LIMIT_BYTES) -> None:
        self.limit_bytes = limit_bytes
        self._key = _key(signing_key)
        self._json = JsonCodec(limit_bytes)

    def __repr__(self) -> str:
        # Never the key: this may end up in a log.
        return f"<PickleCodec limit_bytes={self.limit_bytes}>"

    def encode_call(self, task: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bytes:
        """Return the signed pickle of `(args, kwargs)`, or raise `InvalidArguments`."""
        try:
            return self._sign(_CALL, task, (args, kwargs))
        except Unstorable as fault:
            raise InvalidArguments(f"task {task!r}: its arguments: {fault.why}") from fault

    def decode_call(self, payload: bytes, task: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the `(args, kwargs)` that were signed for that task, or raise `Undecodable`."""
        if not payload.startswith(_MARK):
            return self._json.decode_call(payload)
        args, kwargs = self._open(_CALL, task, payload)
        return args, kwargs

    def canonical_call(self, task: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bytes:
        """Return a text that equal arguments share; they must be such as JSON can carry.

        Pickles of equal values differ.
        """
        return self._json.canonical_call(task, args, kwargs)

    def encode_result(self, value: object, task: str) -> bytes:
        """Return the signed pickle of a task's result, or raise `Unstorable`."""
        return self._sign(_RESULT, task, value)

    def decode_result(self, raw: bytes, task: str) -> Any:
        """Return the result that was signed for that task, or raise `Undecodable`."""
        if not raw.startswith(_MARK):
            return self._json.decode_result(raw)
        return self._open(_RESULT, task, raw)

    def _sign(self, role: bytes, task: str, value: object) -> bytes:
        try:
            pickled = pickle.dumps(value, PROTOCOL)
        except Exception as error:  # a class may raise what it likes in __reduce__
            raise Unstorable(f"can't be pickled: {type(error).__name__}: {error}") from error
        signature = _base64(self._signature(role, task, pickled))
        text = _encode({"$pickle": (signature, _base64(pickled))})
        if len(text) > self.limit_bytes:
            raise Unstorable(
                f"takes {len(text):,} bytes as a pickle, over limit_bytes={self.limit_bytes:,}"
            )
        return text

    def _open(self, role: bytes, task: str, text: bytes) -> Any:
        what = "arguments" if role is _CALL else "result"
        try:
            signature, pickled = map(a2b_base64, _decode(text)["$pickle"])
        except (DecodeError, UnicodeDecodeError, KeyError, ValueError) as error:
            raise Undecodable(f"the stored {what} can't be read: {error}") from error
        if not hmac.compare_digest(signature, self._signature(role, task, pickled)):
            raise Undecodable(
                f"the stored {what} can't be read: the pickle is not signed with this queue's key "
                f"as {what} of task {task!r}"
            )
        try:
            return pickle.loads(pickled)  # noqa: S301  # we made it: the signature says so
        except Exception as error:
            said = f"{type(error).__name__}: {error}"
            raise Undecodable(f"the stored {what} can't be unpickled: {said}") from error

    def _signature(self, role: bytes, task: str, pickled: bytes) -> bytes:
        name = task.encode("utf-8", "surrogatepass")
        # With its length before it: no end of a name can be taken for a beginning of a pickle.
        signed = b"".join((role, len(name).to_bytes(8, "big"), name, pickled))
        return hmac.digest(self._key, signed, hashlib.sha256)


def _key(signing_key: bytes | str) -> bytes:
    key = signing_key.encode() if isinstance(signing_key, str) else signing_key
    if not isinstance(key, bytes) or len(key) < LEAST_KEY_BYTES:
        expected = f"at least {LEAST_KEY_BYTES} secret bytes, such as secrets.token_bytes(32)"
        # Not the key itself: the sentence may end up in a log.
        raise InvalidOption("signing_key", "…", owner="PickleCodec", expected=expected)
    return key


def _base64(data: bytes) -> str:
    return b2a_base64(data, newline=False).decode("ascii")

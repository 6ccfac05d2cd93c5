"""The seam between Python values and the texts that a store keeps."""

from __future__ import annotations

from typing import Any, Protocol


class Codec(Protocol):
    """Arguments and results as JSON texts, and back. May be used from any thread.

    Whoever can write to a store chooses what is decoded: it must never be enough to run code.
    """

    @property
    def limit_bytes(self) -> int:
        """The most bytes that a text may take."""
        ...

    def encode_call(self, task: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bytes:
        """Return the text of a task's arguments, or raise `InvalidArguments`."""
        ...

    def canonical_call(self, task: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bytes:
        """Return a text that equal arguments share, or raise `InvalidArguments`."""
        ...

    def decode_call(self, payload: bytes, task: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the `(args, kwargs)` of that task, or raise `Undecodable`."""
        ...

    def encode_result(self, value: object, task: str) -> bytes:
        """Return the text of a task's result, or raise `Unstorable`."""
        ...

    def decode_result(self, raw: bytes, task: str) -> Any:
        """Return the result of that task, or raise `Undecodable`."""
        ...

"""A request for the stack of a job's body, as it goes into a store's time series."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct, ValidationError, json

STACK = "stack"
"""The kind of its time series."""

DEMAND_SECONDS = 30.0
"""Seconds for which a request stands."""

TITLE = "the stack of its body, as somebody has asked:"
"""The first line of the answer in the job's log."""


class StackRequest(Struct, frozen=True):
    """A request for the stack of the body of the job with this id."""

    job: Annotated[str, Meta(max_length=100)]


_decode = json.Decoder(StackRequest).decode


def request_text(job_id: str) -> bytes:
    """Return the text of a request."""
    return json.encode(StackRequest(job_id[:100]))


def requested_job(text: bytes) -> str | None:
    """Return the id of the job that a text asks about; None of one that can't be read."""
    try:
        return _decode(text).job
    except (ValidationError, ValueError, RecursionError):
        return None

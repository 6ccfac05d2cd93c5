"""The form of a change, read after whoever sent it was found to be allowed to."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from mainspring.web.dashboard.visit import Refusal

if TYPE_CHECKING:
    from starlette.requests import Request

LIMIT_BYTES = 256 * 1024
MOST_FIELDS = 1_000
KIND = "application/x-www-form-urlencoded"


async def form_of(request: Request) -> list[tuple[str, str]]:
    """Return the fields in order; raises Refusal for what is no small form."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > LIMIT_BYTES:
            raise Refusal(413, f"A form may have at most {LIMIT_BYTES:,} bytes.")
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if body and kind != KIND:
        raise Refusal(415, f"A change is sent as {KIND}.")
    try:
        return parse_qsl(
            body.decode(),
            keep_blank_values=True,
            strict_parsing=bool(body),
            errors="strict",
            max_num_fields=MOST_FIELDS,
        )
    except ValueError:
        raise Refusal(400, f"The form can't be read, or has over {MOST_FIELDS:,} fields.") from None

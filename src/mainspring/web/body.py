"""The body of a request, read after the client was found to be authorized.

A body that the framework reads is read before any dependency is asked; this is a dependency itself,
and the last one.
"""

# No `from __future__ import annotations`: the framework reads these at run time.

import json
from email.message import Message
from typing import Any

from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request

from mainspring.web.refusal import Refused
from mainspring.web.route import LIMIT_BYTES, TOO_LARGE, TOO_LARGE_DETAIL
from mainspring.web.schemas import TaskRequest


async def request_of(request: Request) -> TaskRequest:
    """Return what the body asks for; raises Refused, HTTPException or RequestValidationError."""
    _check_announced(request)
    body = await request.body()
    if body and not _is_json(request):
        # What a page of another origin can send without being asked for permission is no JSON.
        raise Refused(422, "invalid", "the body must be JSON: send content-type: application/json")
    try:
        return TaskRequest.model_validate(_decoded(body))
    except ValidationError as error:
        found = [{**one, "loc": ("body", *one["loc"])} for one in error.errors()]
        raise RequestValidationError(found) from error


def _check_announced(request: Request) -> None:
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced[:20]) > LIMIT_BYTES:
        raise HTTPException(TOO_LARGE, TOO_LARGE_DETAIL)


def _is_json(request: Request) -> bool:
    header = Message()
    header["content-type"] = request.headers.get("content-type", "text/plain")
    kind, subtype = header.get_content_maintype(), header.get_content_subtype()
    return kind == "application" and (subtype == "json" or subtype.endswith("+json"))


def _decoded(body: bytes) -> Any:
    try:
        return json.loads(body)
    except json.JSONDecodeError as error:
        place = {"type": "json_invalid", "loc": ("body", error.pos), "input": {}}
        raise RequestValidationError([{**place, "msg": "JSON decode error"}]) from error
    except (ValueError, RecursionError) as error:
        raise HTTPException(400, "the body can't be read") from error

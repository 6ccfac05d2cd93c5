"""A route whose errors have one shape, and which reads no more than it must."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import Request

from mainspring.web.refusal import Refused
from mainspring.web.shown import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from fastapi import Response
    from starlette.types import Message, Receive

LIMIT_BYTES = 1 << 20
TOO_LARGE = 413
TOO_LARGE_DETAIL = f"a body may have at most {LIMIT_BYTES:,} bytes"
CODES = {
    400: "unreadable",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    TOO_LARGE: "too_large",
    422: "invalid",
}


class TaskRoute(APIRoute):
    """Answers each error with a Problem, and a body over 1 MiB with 413."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler, with errors in the form of this router."""
        handle = super().get_route_handler()

        async def answer(request: Request) -> Response:
            try:
                return await handle(Request(request.scope, _limited(request.receive)))
            except Refused as error:
                return _refusal(error)
            except RequestValidationError as error:
                return _invalid(error)
            except HTTPException as error:
                code = CODES.get(error.status_code, "refused")
                return problem(error.status_code, code, str(error.detail), headers=error.headers)

        return answer


def problem(  # noqa: PLR0913  # the parts of a response
    status: int,
    code: str,
    detail: str,
    field: str | None = None,
    *,
    errors: list[dict[str, Any]] | None = None,
    headers: Any = None,
) -> JSONResponse:
    """Return the response that tells of an error."""
    body: dict[str, Any] = {"code": code, "detail": detail, "field": field}
    body |= {"errors": errors} if errors else {}
    return JSONResponse(shown(body), status_code=status, headers=headers)


def _refusal(error: Refused) -> JSONResponse:
    headers = None if error.retry_after is None else {"Retry-After": str(error.retry_after)}
    errors = [
        {"loc": ["body", "params", *one.place], "msg": one.why, "type": one.kind}
        for one in error.problems
    ]
    code, detail, field = error.code, error.detail, error.field
    return problem(error.status, code, detail, field, errors=errors, headers=headers)


def _invalid(error: RequestValidationError) -> JSONResponse:
    errors = [
        {"loc": list(one["loc"]), "msg": str(one["msg"]), "type": one["type"]}
        for one in error.errors()
    ]
    first = errors[0]
    place = [str(part) for part in first["loc"] if part != "body"]
    return problem(422, "invalid", first["msg"], ".".join(place) or None, errors=errors)


def _limited(receive: Receive) -> Receive:
    """Count what comes: a length may be announced wrongly, or not at all."""
    read = 0

    async def limited() -> Message:
        nonlocal read
        message = await receive()
        read += len(message.get("body", b""))
        if read > LIMIT_BYTES:
            # An HTTPException passes the framework's own reading of bodies.
            raise HTTPException(TOO_LARGE, TOO_LARGE_DETAIL)
        return message

    return limited

"""The REST router: tasks over HTTP."""

# No `from __future__ import annotations`: the framework reads these at run time.

from collections.abc import Callable, Collection
from dataclasses import asdict
from datetime import timedelta
from math import ceil
from typing import Annotated, Any

from mainspring.errors import MissingExtra
from mainspring.model.job import FINAL, JobState
from mainspring.pool.worker import AsyncTaskWorker
from mainspring.queue import Queue
from mainspring.queue.listing import PageOrder
from mainspring.web.port import Order, Search, TaskPort, TaskView
from mainspring.web.refusal import Refused
from mainspring.web.shown import shown

try:
    from fastapi import APIRouter, Depends, Header, Query, Request, Response
    from fastapi import Path as PathPart
    from fastapi.responses import JSONResponse, StreamingResponse

    from mainspring.web.body import request_of
    from mainspring.web.events import events_of, mark_of
    from mainspring.web.order_schema import OrderDocument
    from mainspring.web.pool_port import PoolPort
    from mainspring.web.queue_port import QueuePort
    from mainspring.web.route import TaskRoute
    from mainspring.web.schemas import (
        HealthBody,
        Problem,
        TaskBody,
        TaskList,
        TaskRequest,
        TaskTypeList,
    )
except ImportError as error:
    raise MissingExtra("mainspring.web", "web") from error

END = "end"
EVENT = {
    "type": "object",
    "properties": {
        "event": {"type": "string", "enum": ["state", "progress", "result"]},
        "id": {"type": "string"},
        "data": {"type": "string"},
        "retry": {"type": "integer"},
    },
}
NO_CONTENT = 204
LONGEST_WAIT = 60
"""Seconds that a client is told to wait at most; a job may be moved meanwhile."""

LOCATION = {"Location": {"description": "path of the task", "schema": {"type": "string"}}}
RETRY_AFTER = {
    "Retry-After": {
        "description": "seconds after which it is worth asking again",
        "schema": {"type": "integer"},
    }
}
UNREACHABLE = frozenset({"types", ".", ".."})
"""Ids that no path leads to: one has a meaning of its own, the others stand for a folder."""

Id = Annotated[str, PathPart(description="the task's id")]
Cursor = Annotated[str | None, Query(max_length=1000, description="next_cursor of the page before")]
Minutes = Annotated[float | None, Query(ge=0, le=1e9, allow_inf_nan=False)]
Page = Annotated[int | None, Query(ge=1, le=10_000_000, description="its number, from 1")]
Limit = Annotated[int, Query(ge=1, le=1000)]


def create_task_worker_router(
    worker: AsyncTaskWorker | Queue,
    prefix: str = "",
    tags: list[Any] | None = None,
    *,
    allow: Collection[str] | None = None,
    authorize: Callable[..., Any] | None = None,
) -> APIRouter:
    """Return a router for `app.include_router`: for a pool on the server's loop, or for a Queue.

    `allow`: only these task types may be started. `authorize`: a dependency of every route, which
    raises HTTPException for those who may not, before anything else of the request is looked at.
    """
    router = APIRouter(
        prefix=prefix,
        tags=["tasks"] if tags is None else tags,
        route_class=TaskRoute,
        dependencies=[] if authorize is None else [Depends(authorize)],
        responses=_problems(401, 403) if authorize is not None else {},
    )
    port: TaskPort
    if isinstance(worker, AsyncTaskWorker):
        port = PoolPort(worker, allow)
    else:
        port = QueuePort(worker, allow)
    port.arguments()  # said at the start: what is not checked, with names of where this is called
    _add_lists(router, port)
    _add_tasks(router, port)
    _add_events(router, port)
    return router


def _add_lists(router: APIRouter, port: TaskPort) -> None:
    @router.get("/health", response_model=HealthBody, responses=_problems(503))
    async def health() -> Response:
        """Return whether the worker accepts tasks."""
        state = await port.health()
        if not state.running:
            raise Refused(503, "not_running", "the worker is stopped")
        body = {name: value for name, value in asdict(state).items() if name != "running"}
        return JSONResponse({"status": "ok", **body})

    @router.get("/types", response_model=TaskTypeList, include_in_schema=False)
    @router.get("/tasks/types", response_model=TaskTypeList)
    async def types() -> Response:
        """List the types that may be started."""
        return JSONResponse({"task_types": port.types()})

    @router.get("/tasks", response_model=TaskList, responses=_problems(422, 503))
    async def tasks(  # noqa: PLR0913  # the parameters of its query
        *,
        status: JobState | None = None,
        task_status: Annotated[JobState | None, Query(description="as status")] = None,
        limit: Limit = 100,
        older_than_minutes: Minutes = None,
        cursor: Cursor = None,
        tag: Annotated[str | None, Query(description="of durable jobs")] = None,
        page: Page = None,
        order: PageOrder = "newest",
    ) -> Response:
        """List tasks, newest first unless asked otherwise."""
        age = None if older_than_minutes is None else timedelta(minutes=older_than_minutes)
        search = Search(status or task_status, age, limit, cursor, tag, page, order)
        found = await port.page(search)
        bodies = [body_of(view) for view in found.views]
        return JSONResponse({"tasks": bodies, "count": len(bodies), "next_cursor": found.cursor})


def _add_tasks(router: APIRouter, port: TaskPort) -> None:
    @router.post(
        "/tasks",
        status_code=201,
        response_model=TaskBody,
        responses={
            **_problems(400, 409, 413, 422, 429, 503),
            201: {"headers": {**LOCATION, **RETRY_AFTER}},
        },
        openapi_extra=OrderDocument(port),
    )
    async def start(
        http: Request, request: Annotated[TaskRequest, Depends(request_of)]
    ) -> Response:
        """Start a task."""
        if request.task_id in UNREACHABLE:
            raise Refused(422, "invalid", "this id can't stand in a path", "task_id")
        order = Order(**request.model_dump())
        view = await port.start(order)
        headers = {"Location": f"{http.url.path.rstrip('/')}/{view.id}", **_when_to_ask(view)}
        return JSONResponse(body_of(view), status_code=201, headers=headers)

    @router.get(
        "/tasks/{task_id}",
        response_model=TaskBody,
        responses={**_problems(404, 422, 503), 200: {"headers": RETRY_AFTER}},
    )
    async def get(task_id: Id) -> Response:
        """Return a task."""
        view = await _found(port, task_id)
        return JSONResponse(body_of(view), headers=_when_to_ask(view))

    @router.delete(
        "/tasks/{task_id}",
        status_code=NO_CONTENT,
        response_class=Response,
        responses=_problems(404, 409, 422, 503),
    )
    async def cancel(task_id: Id) -> Response:
        """Cancel a task that is pending or running."""
        view = await _found(port, task_id)
        if not await port.cancel(task_id):
            raise Refused(409, "finished", f"the task has finished already; it was {view.status}")
        return Response(status_code=NO_CONTENT)


def _add_events(router: APIRouter, port: TaskPort) -> None:
    stream: dict[int | str, dict[str, Any]] = {
        200: {
            "description": "events `state`, `progress` and `result`; `data` is the task as JSON",
            "content": {"text/event-stream": {"schema": EVENT}},
        },
        NO_CONTENT: {"description": "the client has seen the end"},
    }

    @router.get(
        "/tasks/{task_id}/events",
        response_class=StreamingResponse,
        responses={**_problems(404, 422, 503), **stream},
    )
    async def events(
        task_id: Id, last_event_id: Annotated[str | None, Header()] = None
    ) -> Response:
        """Stream a task's state and progress until it has ended."""
        view = await _found(port, task_id)
        if mark_of(view) == last_event_id == END:
            return Response(status_code=NO_CONTENT)  # a browser's EventSource comes back no more
        return StreamingResponse(
            events_of(port, task_id, last_event_id, body_of),
            media_type="text/event-stream",
            headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
        )


def body_of(view: TaskView) -> dict[str, Any]:
    """Return a task as JSON holds it."""
    moments = {
        name: None if moment is None else moment.isoformat()
        for name in ("created_at", "started_at", "completed_at")
        for moment in [getattr(view, name)]
    }
    fields = {name: getattr(view, name) for name in TaskBody.model_fields}
    shown_fields: dict[str, Any] = shown({**fields, **moments, "status": view.status.value})
    return shown_fields


async def _found(port: TaskPort, task_id: str) -> TaskView:
    view = await port.get(task_id)
    if view is None:
        raise Refused(404, "not_found", f"there is no task {task_id!r} (any more)")
    return view


def _when_to_ask(view: TaskView) -> dict[str, str]:
    """Return the header that tells a client when to ask for a task again that has not ended."""
    if view.status in FINAL:
        return {}
    return {"Retry-After": str(min(LONGEST_WAIT, max(1, ceil(view.due_in or 0))))}


def _problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    waits = {429: {"headers": RETRY_AFTER}, 503: {"headers": RETRY_AFTER}}
    return {status: {"model": Problem, **waits.get(status, {})} for status in statuses}

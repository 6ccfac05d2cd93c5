"""The bodies that go over the wire, as the OpenAPI document lists them."""

# No `from __future__ import annotations`: the framework reads these at run time.

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from mainspring.model.job import JobState

TASK_ID = r"^[A-Za-z0-9_.~-]{1,128}$"
"""Characters that can stand in a path as they are."""

Number = Annotated[float, Field(allow_inf_nan=False)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class TaskRequest(BaseModel):
    """A task to start."""

    model_config = ConfigDict(extra="forbid")

    task_type: str = Field(description="a registered type, see /tasks/types")
    params: dict[str, Any] = Field(default_factory=dict, description="arguments by name")
    priority: Number | None = Field(default=None, description="lower is more urgent")
    task_id: str | None = Field(default=None, pattern=TASK_ID)
    metadata: dict[str, Any] | None = None
    timeout: Seconds | None = Field(default=None, description="seconds")
    use_cache: bool | None = None
    cache_ttl: Seconds | None = Field(default=None, description="seconds")
    tags: list[str] | None = Field(default=None, description="of a durable job, to find it by")


class TaskBody(BaseModel):
    """A task. What JSON can't hold of `result` is a placeholder with `$type` and `repr`."""

    id: str
    task_type: str
    status: JobState
    progress: float = Field(ge=0, le=1)
    priority: float
    created_at: datetime
    started_at: datetime | None
    completed_at: datetime | None
    result: Any
    error: str | None
    metadata: dict[str, Any]
    from_cache: bool | None
    tags: list[str]
    message: str = Field(description="what a durable job has said with its progress")
    attempts: int | None = Field(description="of a durable job, those that were charged")


class TaskList(BaseModel):
    """Tasks in order; `next_cursor` leads to the next ones."""

    tasks: list[TaskBody]
    count: int
    next_cursor: str | None


class TaskTypeList(BaseModel):
    """The types that may be started here."""

    task_types: list[str]


class HealthBody(BaseModel):
    """State of the worker."""

    status: str
    worker_count: int
    queue_size: int
    counts: dict[str, int]


class FieldProblem(BaseModel):
    """A field that is wrong: where in the request, in words, and the kind of error."""

    loc: list[str | int]
    msg: str
    type: str


class Problem(BaseModel):
    """Every error: a word for programs, a sentence for people, and the field to change.

    `errors`: of a request that is not valid, each field that is wrong.
    """

    code: str
    detail: str
    field: str | None = None
    errors: list[FieldProblem] = []

"""The body that starts a task, in the OpenAPI document: one schema for each task."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mainspring.web.inlined import inlined
from mainspring.web.schemas import TaskRequest

if TYPE_CHECKING:
    from collections.abc import ItemsView

    from mainspring.web.arguments import TaskArguments
    from mainspring.web.port import TaskPort

ANY = inlined(TaskRequest.model_json_schema())


class OrderDocument(dict[str, Any]):
    """Entries that FastAPI adds to the operation: looked up when the document is asked for.

    By then all tasks are registered, as they need not be when the router is made.
    """

    def __init__(self, port: TaskPort) -> None:
        super().__init__(requestBody=_body(ANY))
        self._port = port

    def items(self) -> ItemsView[str, Any]:  # type: ignore[override]  # of another dict
        """Return the body with a schema for each of the tasks that there are now."""
        return {"requestBody": _body(order_schema(self._port))}.items()


def order_schema(port: TaskPort) -> dict[str, Any]:
    """Return the schema of an order: one of those of the tasks, if there are any."""
    tasks = port.arguments()
    each = [_of_task(port, one) for one in sorted(tasks, key=lambda one: one.task)]
    if len(each) > 1:
        return {"title": ANY["title"], "description": ANY["description"], "oneOf": each}
    return each[0] if each else ANY


def _of_task(port: TaskPort, task: TaskArguments) -> dict[str, Any]:
    known = ANY["properties"].items()
    properties = {name: one for name, one in known if name not in port.not_taken}
    properties["task_type"] = {"type": "string", "const": task.task, "title": "Task Type"}
    properties["params"] = params = task.schema()
    said = {} if task.description is None else {"description": task.description}
    needed = ["task_type", "params"] if "required" in params else ["task_type"]
    return {**ANY, "title": task.task, **said, "properties": properties, "required": needed}


def _body(schema: dict[str, Any]) -> dict[str, Any]:
    return {"required": True, "content": {"application/json": {"schema": schema}}}

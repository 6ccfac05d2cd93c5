"""Resources of a queue and the parameters of its tasks, brought together as both are registered."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, NoReturn

from mainspring.errors import InvalidOption
from mainspring.model.injected import injected
from mainspring.model.resource import OWNER, asked_by, resolved, resource_of
from mainspring.model.script import NOWHERE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mainspring.model.resource import Resource
    from mainspring.model.task import Task
    from mainspring.queue.binding import Binding

    Resources = Mapping[str, Resource]


def add_resource(binding: Binding, function: Callable[..., Any]) -> None:
    """Register a resource; defined anew, in a notebook, it replaces the old one in its tasks.

    Raises InvalidOption, also when a task is there already that asks for it in vain.
    """
    one = resource_of(function)
    old = binding.resources.get(one.name)
    for name, other in binding.resources.items():
        if other.provides == one.provides and name != one.name:
            remedy = "let one of them give a class of its own, such as a subclass"
            _refuse_resource(one, f"gives a {_kind_name(one)}, as {name} does", remedy)
    for task in binding.tasks:
        if old is not None and old in task.injected.values():
            given = {key: one if had is old else had for key, had in task.injected.items()}
            binding.tasks.add(task.with_options(injected=given))
        elif (parameter := _asking(task.function, one)) is not None:
            why = f"comes after task {task.name!r}, which asks for it with {parameter!r}"
            _refuse_resource(one, why, "put it above the task")
    binding.resources[one.name] = one


def with_injected(task: Task, resources: Resources) -> Task:
    """Return the task with the resources that its parameters ask for.

    Raises InvalidOption for a parameter that can't be filled in.
    """
    found: dict[str, Resource] = {}
    for name, one in _parameters(task.function).items():
        resource = _asked_for(task, one, resources)
        if resource is not None:
            _check(task, one, resource)
            found[name] = resource
        elif found and one.kind is one.POSITIONAL_OR_KEYWORD:
            first = _parameters(task.function)[next(iter(found))]
            remedy = "put parameters that a worker fills in after those of the job, or after a *"
            _refuse(task, first, f"comes before {name!r}", remedy)
    return task.with_options(injected=found) if found else task


def _parameters(function: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(function).parameters


def _asking(function: Callable[..., Any], resource: Resource) -> str | None:
    for name, one in _parameters(function).items():
        if resource.provides in asked_by(resolved(function, one.annotation)):
            return name
    return None


def _asked_for(task: Task, one: inspect.Parameter, resources: Resources) -> Resource | None:
    annotation = resolved(task.function, one.annotation)
    for kind in asked_by(annotation):
        for resource in resources.values():
            if resource.provides == kind:
                return resource
    # Two classes may have one name.
    kinds = {_kind_name(resource) for resource in resources.values()}
    if isinstance(annotation, str) and kinds.intersection(_class_names(annotation)):
        why = "has an annotation that is not known where the task is defined"
        _refuse(task, one, why, "import its class outside of `if TYPE_CHECKING`")
    if one.default is injected:
        known = ", ".join(sorted(kinds)) or "none so far"
        why = "is to be filled in by a worker, and no resource of the queue is of its class"
        _refuse(task, one, why, f"put @queue.resource above the task; there are: {known}")
    return None


def _class_names(text: str) -> list[str]:
    """Return the names of the classes in an annotation that can't be looked up."""
    plain = text.strip().removeprefix("Optional[").removesuffix("]")
    return [one.strip().rpartition(".")[2] for one in plain.split("|")]


def _check(task: Task, one: inspect.Parameter, resource: Resource) -> None:
    why = remedy = ""
    if one.kind not in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY):
        why, remedy = "can't be given by its name", "let it be a plain parameter"
    elif resource.is_async and not task.is_coroutine:
        why = f"gets {resource.name}, which is async, and nothing in the task can await it"
        remedy = "make the resource a def, or the task async def"
    elif task.executor == "process" and ("<" in resource.qualname or resource.module == NOWHERE):
        why = f"gets {resource.name}, which a child process can't import"
        remedy = "define it at the top level of a module, or leave out executor='process'"
    if why:
        _refuse(task, one, why, remedy)


def _kind_name(resource: Resource) -> str:
    return str(getattr(resource.provides, "__name__", resource.provides))


def _refuse(task: Task, one: inspect.Parameter, why: str, remedy: str) -> NoReturn:
    owner = f"task {task.name!r}"
    raise InvalidOption("parameter", one.name, owner=owner, why=why, remedy=remedy)


def _refuse_resource(resource: Resource, why: str, remedy: str) -> NoReturn:
    raise InvalidOption("function", resource.function, owner=OWNER, why=why, remedy=remedy)

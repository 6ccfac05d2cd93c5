"""The arguments of a task as its annotations say: checked, converted, and as a JSON schema.

An annotation that pydantic knows nothing of leaves its argument as it is.
"""

from __future__ import annotations

import inspect
import logging
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, get_type_hints

from pydantic import TypeAdapter, ValidationError
from pydantic.errors import PydanticUndefinedAnnotation, PydanticUserError
from pydantic_core import to_jsonable_python

from mainspring.model.place import innermost
from mainspring.model.resource import callers_names
from mainspring.model.signature import signature_of, takes_all
from mainspring.web.inlined import inlined
from mainspring.web.refusal import ArgumentProblem, WrongParams
from mainspring.web.shown import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

log = logging.getLogger("mainspring.web")

BY_NAME = frozenset({inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY})
EMPTY = inspect.Parameter.empty
UNKNOWABLE = (
    PydanticUserError,
    PydanticUndefinedAnnotation,
    NameError,
    TypeError,
    ValueError,
    AttributeError,
    RecursionError,
)
"""Errors of pydantic for an annotation that it knows nothing of, of Python for one unknown."""


class TaskArguments:
    """The arguments of `function`, given by name, under the signature that a caller sees.

    A wrapper that takes anything may supply what the function inside it lacks: of that one only the
    types count.
    """

    def __init__(
        self, task: str, function: Callable[..., Any], signature: inspect.Signature | None
    ) -> None:
        self.task = task
        self.function = function
        self._lenient = signature is None or takes_all(signature)
        if self._lenient:
            signature = signature_of(function, follow_wrapped=True)
        assert signature is not None  # noqa: S101  # just given
        parameters = signature.parameters.values()
        self._parameters = {one.name: one for one in parameters if one.kind in BY_NAME}
        rest = [one for one in parameters if one.kind is one.VAR_KEYWORD]
        self._types = {name: self._type_of(one) for name, one in self._parameters.items()}
        self._rest = self._type_of(rest[0]) if rest else None
        self._open = self._lenient or bool(rest)

    def checked(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Return arguments as their annotations have them; raises WrongParams for all problems."""
        values: dict[str, Any] = {}
        problems = list(self._of_names(params))
        for name, value in params.items():
            if name not in self._parameters and not self._open:
                continue
            try:
                values[name] = self._converted(name, value)
            except ValidationError as error:
                problems += _problems_of(name, error)
            except RecursionError:
                problems.append(ArgumentProblem((name,), "is nested too deep", "recursion_loop"))
        if problems:
            raise WrongParams(problems)
        return values

    def schema(self) -> dict[str, Any]:
        """Return the JSON schema of the arguments, an object by name."""
        properties = {name: self._property(name) for name in self._parameters}
        required = [
            name
            for name, one in self._parameters.items()
            if one.default is EMPTY and not self._lenient
        ]
        return {
            "type": "object",
            "properties": properties,
            **({"required": required} if required else {}),
            "additionalProperties": _schema_of(self._rest) if self._open else False,
        }

    @property
    def description(self) -> str | None:
        """The docstring of the function."""
        return inspect.getdoc(innermost(self.function))

    def _converted(self, name: str, value: Any) -> Any:
        one, kind = self._parameters.get(name), self._types.get(name, self._rest)
        if kind is None or (value is None and one is not None and one.default is None):
            return value  # `options: dict = None` takes null, as callers in Python may leave it out
        try:
            return kind.validate_python(value)
        except PydanticUserError as error:  # a model that was never completed
            self._warn(name, error)
            self._types[name] = None
            return value

    def _of_names(self, params: Mapping[str, Any]) -> Iterator[ArgumentProblem]:
        for name in params:
            if name not in self._parameters and not self._open:
                why = "is not a parameter of this task type"
                yield ArgumentProblem((name,), why, "extra_forbidden")
        for name, one in self._parameters.items():
            if one.default is EMPTY and name not in params and not self._lenient:
                yield ArgumentProblem((name,), "is missing", "missing")

    def _property(self, name: str) -> dict[str, Any]:
        found, default = _schema_of(self._types[name]), self._parameters[name].default
        if default is EMPTY or default is None:
            return {"title": name, **found}
        try:
            return {"title": name, **found, "default": shown(to_jsonable_python(default))}
        except (ValueError, TypeError, RecursionError):
            return {"title": name, **found}

    def _type_of(self, one: inspect.Parameter) -> TypeAdapter[Any] | None:
        if one.annotation is EMPTY:
            return None
        try:
            return TypeAdapter(hint_of(self.function, one.annotation))
        except UNKNOWABLE as error:
            self._warn(one.name, error)
            return None

    def _warn(self, name: str, error: Exception) -> None:
        first = str(error).partition("\n")[0]
        log.warning("task %r: its argument %r is not checked: %s", self.task, name, first)


def hint_of(function: Callable[..., Any], annotation: Any) -> Any:
    """Return an annotation, its texts looked up where the function stands, or else the program."""
    owner = SimpleNamespace(__annotations__={"it": annotation})
    names = getattr(innermost(function), "__globals__", {})
    try:
        return get_type_hints(owner, names, include_extras=True)["it"]
    except NameError:
        return get_type_hints(owner, names, dict(callers_names()), include_extras=True)["it"]


def _schema_of(kind: TypeAdapter[Any] | None) -> dict[str, Any]:
    if kind is None:
        return {}
    try:
        return inlined(kind.json_schema())
    except UNKNOWABLE:
        return {}


def _problems_of(name: str, error: ValidationError) -> list[ArgumentProblem]:
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return [ArgumentProblem((name, *one["loc"]), one["msg"], one["type"]) for one in found]

"""Checks a client's parameters against a task's function, and names the one that does not fit."""

from __future__ import annotations

import inspect
from typing import Any

from mainspring.web.port import Refused

_BY_NAME = {inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY}


def check_params(signature: inspect.Signature, params: dict[str, Any]) -> None:
    """Raise Refused for the first parameter that is missing, or that nobody asked for."""
    parameters = signature.parameters.values()
    by_name = {one.name: one for one in parameters if one.kind in _BY_NAME}
    takes_any = any(one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters)
    for name in params:
        if name not in by_name and not takes_any:
            raise wrong_param(name, "is not a parameter of this task type")
    for name, one in by_name.items():
        if one.default is one.empty and name not in params:
            raise wrong_param(name, "is missing")


def wrong_param(name: str, why: str) -> Refused:
    """Return the refusal that names a parameter."""
    return Refused(422, "wrong_params", f"{name} {why}", f"params.{name}")

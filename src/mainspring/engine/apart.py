"""A coroutine in a context of its own, without a task of its own: that would cost twice as much."""

from __future__ import annotations

import types
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine, Generator

R = TypeVar("R")


@types.coroutine
def apart(coroutine: Coroutine[Any, Any, R]) -> Generator[Any, Any, R]:
    """Await a coroutine in a copy of the caller's context: what it sets stays there."""
    run, send, throw = copy_context().run, coroutine.send, coroutine.throw
    step: Any = send
    value: Any = None
    try:
        while True:
            try:
                waits = run(step, value)
            finally:
                # An error that was thrown in holds this frame by its traceback.
                value = None
            try:
                step, value = send, (yield waits)
            except BaseException as error:  # noqa: BLE001  # it is handed on, once it is handled here
                step, value = throw, error
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]  # of the coroutine's type

"""Forked children: the state that they drop, and the end of those that come out of a body.

A forked child has none of the threads and loops of its parent. The thread that forked it is its
only one: when the body of the user's that ran there is over, a child that has not ended by itself
would go on with the parent's work, as if it were the parent.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NoReturn, Protocol
from weakref import WeakSet

if TYPE_CHECKING:
    from collections.abc import Callable


class ForkAware(Protocol):
    """An object with threads or loops, or with something that lives on them."""

    def reset_after_fork(self) -> None:
        """Be as if never started; take no lock, for one that was held at the fork stays held."""
        ...


_fork_aware: WeakSet[ForkAware] = WeakSet()

forks = 0
"""The forks that lead to this process: what has grown over a body has come back in a child."""


def reset_in_child(one: ForkAware) -> None:
    """Have its `reset_after_fork` called in every child that is forked."""
    _fork_aware.add(one)


def end_if_forked(forks_before: int, error: BaseException | None = None) -> None:
    """End this process if it was forked off since then, as a script ends that raised `error`."""
    if forks_before != forks:
        end_forked(error)


def called(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Return what a body returns; a process that it forks off never comes out of it."""
    before = forks
    try:
        result = function(*args, **kwargs)
    except BaseException as error:
        end_if_forked(before, error)
        raise
    if before != forks:
        end_forked()
    return result


async def acalled(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Return what a coroutine body returns; see `called`."""
    before = forks
    try:
        result = await function(*args, **kwargs)
    except BaseException as error:
        end_if_forked(before, error)
        raise
    if before != forks:
        end_forked()
    return result


def end_forked(error: BaseException | None = None) -> NoReturn:
    """End a forked child where its body ends, without what would run at the parent's exit."""
    status = 1
    try:
        status = _status_of(error)
        for stream in (sys.stdout, sys.stderr):
            with suppress(AttributeError, OSError, ValueError):
                stream.flush()
    finally:
        os._exit(status)


def end_forked_on_loop() -> NoReturn:
    """End a forked child that has come back to the event loop of its parent."""
    why = "it was forked off by a coroutine, and came back to the event loop of its parent"
    end_forked(SystemExit(f"process {os.getpid()} ends: {why}; end it with os._exit()"))


def _status_of(error: BaseException | None) -> int:
    code = error.code if isinstance(error, SystemExit) else error
    if code is None:
        return 0
    if isinstance(code, int):
        return code & 0xFF
    if isinstance(error, SystemExit):
        sys.stderr.write(f"{code}\n")
    elif error is not None:
        sys.excepthook(type(error), error, error.__traceback__)
    return 1


def _reset_all() -> None:
    global forks  # noqa: PLW0603  # a process knows how it came about
    forks += 1
    for one in tuple(_fork_aware):
        one.reset_after_fork()


os.register_at_fork(after_in_child=_reset_all)

"""`background_worker`: a function becomes a worker of the kind that its options say."""

from __future__ import annotations

import inspect
from types import MethodType
from typing import TYPE_CHECKING, Any, Unpack, overload

from mainspring.background.workers.event import BackgroundEventWorker
from mainspring.background.workers.interval import BackgroundIntervalWorker
from mainspring.background.workers.options import COMMON, DAEMON, TARGETED
from mainspring.background.workers.queue import BackgroundQueueWorker
from mainspring.background.workers.worker import BackgroundAsyncWorker, BackgroundWorker
from mainspring.errors import InvalidOption
from mainspring.model.options import refuse_unknown
from mainspring.supervision.workers.worker import is_async

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import tzinfo

    from mainspring.background.workers.generics import P, R
    from mainspring.background.workers.options import CommonOptions
    from mainspring.supervision.triggers.interval import Misfire

KINDS: dict[type[BackgroundWorker[Any, Any]], tuple[str, ...]] = {
    BackgroundQueueWorker: ("queue", "q"),
    BackgroundEventWorker: ("event", "e"),
    BackgroundIntervalWorker: ("interval", "delay", "delay_before", "cron"),
}
"""The options that make a worker of a kind."""

KIND_OPTIONS = tuple(name for names in KINDS.values() for name in names)


@overload
def background_worker(func: Callable[P, R], /) -> BackgroundWorker[P, R]: ...
@overload
def background_worker(
    *, queue: Any, **options: Unpack[CommonOptions]
) -> Callable[[Callable[P, R]], BackgroundQueueWorker[P, R]]: ...
@overload
def background_worker(
    *, q: Any, **options: Unpack[CommonOptions]
) -> Callable[[Callable[P, R]], BackgroundQueueWorker[P, R]]: ...
@overload
def background_worker(
    *, event: bool, **options: Unpack[CommonOptions]
) -> Callable[[Callable[P, R]], BackgroundEventWorker[P, R]]: ...
@overload
def background_worker(
    *, e: bool, **options: Unpack[CommonOptions]
) -> Callable[[Callable[P, R]], BackgroundEventWorker[P, R]]: ...
@overload
def background_worker(
    *,
    interval: float,
    delay_before: float | None = None,
    jitter: float = 0.0,
    misfire: Misfire = "coalesce",
    **options: Unpack[CommonOptions],
) -> Callable[[Callable[P, R]], BackgroundIntervalWorker[P, R]]: ...
@overload
def background_worker(
    *,
    delay: float,
    delay_before: float | None = None,
    jitter: float = 0.0,
    **options: Unpack[CommonOptions],
) -> Callable[[Callable[P, R]], BackgroundIntervalWorker[P, R]]: ...
@overload
def background_worker(
    *, delay_before: float, jitter: float = 0.0, **options: Unpack[CommonOptions]
) -> Callable[[Callable[P, R]], BackgroundIntervalWorker[P, R]]: ...
@overload
def background_worker(
    *, cron: str, tz: str | tzinfo | None = None, **options: Unpack[CommonOptions]
) -> Callable[[Callable[P, R]], BackgroundIntervalWorker[P, R]]: ...
@overload
def background_worker(
    **options: Unpack[CommonOptions],
) -> Callable[[Callable[P, R]], BackgroundWorker[P, R]]: ...


def background_worker(func: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Make a worker of a function, which stays callable.

    Bare, or with `interval=`, `delay=`, `delay_before=` or `cron=`, `queue=` or `q=`, `event=` or
    `e=`: see `BackgroundIntervalWorker`, `BackgroundQueueWorker`, `BackgroundEventWorker` for
    these, and `BackgroundWorker` for the options that all take. Start it with `start()`.

    Raises `UnknownOption`, `InvalidOption`.
    """
    if func is not None:
        return make_worker(func, options)
    return lambda function: make_worker(function, options)


def make_worker(func: Callable[..., Any], options: dict[str, Any]) -> BackgroundWorker[Any, Any]:
    """Return a worker of the kind that the options and the function say.

    Of another worker it is one of its target.
    """
    func = getattr(func, "run", func) if isinstance(func, BackgroundWorker) else func
    paces = KINDS[BackgroundIntervalWorker]
    given: dict[str, Any] = {
        name: one for name, one in options.items() if one is not False or name in paces
    }
    kinds = [
        kind for kind, names in KINDS.items() if any(given.get(one) is not None for one in names)
    ]
    if len(kinds) > 1:
        _refuse_two_kinds(func, given, kinds)
    if not kinds:
        _refuse_none(func, given)
        known = (*KIND_OPTIONS, *TARGETED, *COMMON, DAEMON)
        refuse_unknown(f"worker {getattr(func, '__name__', func)!r}", given, known)
    kind = kinds[0] if kinds else BackgroundAsyncWorker if is_async(func) else BackgroundWorker
    worker = kind(given.pop("name", None), func, **given)
    if inspect.isfunction(func):
        worker.remake = lambda instance: make_worker(MethodType(func, instance), options)
    return worker


def _refuse_none(func: Callable[..., Any], given: dict[str, Any]) -> None:
    """Refuse `interval=None`, which would run without a pause what is meant to have one."""
    for option in KIND_OPTIONS:
        if option in given:
            owner = f"worker {getattr(func, '__name__', func)!r}"
            remedy = "give a value, or leave it out"
            raise InvalidOption(option, None, owner=owner, remedy=remedy)


def _refuse_two_kinds(
    func: Callable[..., Any], given: dict[str, Any], kinds: list[type[BackgroundWorker[Any, Any]]]
) -> None:
    option = next(one for one in KINDS[kinds[-1]] if one in given)
    raise InvalidOption(
        option,
        given[option],
        owner=f"worker {getattr(func, '__name__', func)!r}",
        expected="one of queue=, event=, interval= and cron=",
    )

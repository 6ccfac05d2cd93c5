"""Workers whose constructors are those of neotasker and atasker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import mainspring
from mainspring.background.workers.generics import P, R
from mainspring.background.workers.options import ALIASES, COMMON, DAEMON

if TYPE_CHECKING:
    from collections.abc import Callable

USUAL_SECONDS = 1.0
"""The pace of an interval worker that is given none."""


class BackgroundWorker(mainspring.BackgroundWorker[P, R]):
    """A worker of `mainspring`, to whose constructor a subclass may hand options of its own."""

    def __init__(
        self, name: str | None = None, func: Callable[P, R] | None = None, **options: Any
    ) -> None:
        super().__init__(name, func, **_taken_by(type(self), options))


class BackgroundAsyncWorker(BackgroundWorker[P, R], mainspring.BackgroundAsyncWorker[P, R]):
    """Awaits its target again and again, on `loop`."""


class BackgroundQueueWorker(BackgroundWorker[P, R], mainspring.BackgroundQueueWorker[P, R]):
    """Runs its target with each item that is put, in order, one at a time."""


class BackgroundEventWorker(BackgroundWorker[P, R], mainspring.BackgroundEventWorker[P, R]):
    """Runs its target when triggered; triggers before a run begins are one run."""


class BackgroundIntervalWorker(BackgroundWorker[P, R], mainspring.BackgroundIntervalWorker[P, R]):
    """Runs its target at an interval or after a delay: of one second, if it is given neither."""

    def __init__(
        self,
        name: str | None = None,
        func: Callable[P, R] | None = None,
        *,
        delay_after: float | None = None,
        **options: Any,
    ) -> None:
        if delay_after is not None:
            options.setdefault("delay", delay_after)
        paces = ("interval", "delay", "delay_before", "cron")
        if all(options.get(pace) is None for pace in paces):
            options["interval" if "interval" in options else "delay"] = USUAL_SECONDS
        super().__init__(name, func, **options)


def _taken_by(kind: type[BackgroundWorker[Any, Any]], options: dict[str, Any]) -> dict[str, Any]:
    """Return what a worker takes of the options; all of them if it is no subclass of a user's."""
    if kind.__module__ == __name__:
        return options
    known = {*COMMON, *ALIASES, DAEMON, *kind.own_options}
    taken = {name: value for name, value in options.items() if name in known}
    if not hasattr(taken.get("pool"), "submit"):
        taken.pop("pool", None)  # the subclass has a `pool` of another kind
    return taken

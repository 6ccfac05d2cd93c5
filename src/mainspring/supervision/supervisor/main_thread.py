"""Ends what still runs when the main thread has ended, before Python goes down.

Nobody watches for that, which would cost wake-ups or a thread: the main thread itself calls us on
its way out, as it does for the standard executors, and waits for what it ends.
"""

from __future__ import annotations

import atexit
import functools
import logging
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger("mainspring.supervision")


class Endable(Protocol):
    """Anything that can be ended from another thread."""

    def close(self) -> None:
        """Ask it to end."""
        ...

    def time_left(self) -> float:
        """Return the seconds that its end may take."""
        ...

    def join(self, timeout: float | None = None) -> bool:
        """Wait for its end."""
        ...


_living: set[Endable] = set()


def end_with_main_thread(one: Endable) -> None:
    """End it when the main thread has ended; at once if that has."""
    _register()
    _living.add(one)
    if not threading.main_thread().is_alive():
        one.close()


def outlive(one: Endable) -> None:
    """Leave it alone, since it has ended."""
    _living.discard(one)


@functools.cache
def _register() -> None:
    # What is registered last is called first. So the standard executors must have registered: they
    # wait for calls that may wait for us, and refuse work from then on.
    import concurrent.futures.thread  # noqa: F401, PLC0415  a lazy door

    # Its place among the private names is old and the executors' own; `atexit` calls later, when
    # Python has waited for other people's threads.
    register = getattr(threading, "_register_atexit", atexit.register)
    # Too late: the main thread has ended.
    with suppress(RuntimeError):
        register(_end_all)


def _end_all() -> None:
    """Ask all first, then wait for each: they end side by side."""
    living = tuple(_living)
    for one in living:
        _guard(one.close)
    for one in living:
        _guard(functools.partial(one.join, one.time_left()))


def _guard(step: Callable[[], object]) -> None:
    """One that can't be ended must not keep the others from it."""
    try:
        step()
    except Exception:
        log.exception("the end of the main thread could not end what runs")

"""The end of one life of a background worker: what its owner does then, once, and off the loop.

The supervisor's loop sets every alarm of its workers: a hook of the user's must not hold it up, and
may wait for what that loop does.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Protocol

from mainspring.supervision.own_thread import live_in_thread

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger("mainspring.supervision")


class Departing(Protocol):
    """What a farewell needs to know of those who are in the middle of one."""

    def enter(self) -> None:
        """Take notice that the calling thread is in a farewell."""
        ...

    def leave(self) -> None:
        """Take notice that it no longer is."""
        ...


@dataclass(slots=True)
class Farewell:
    """Hooks, then word to those who wait, then word of a failure; each once.

    `hooked` says whether the hooks are the user's. `departing` keeps who is in a farewell.
    """

    name: str
    hooks: Callable[[], object]
    finish: Callable[[], object]
    tell: Callable[[BaseException], object]
    hooked: bool
    departing: Departing
    thread: int | None = None  # that is in it
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _done: set[str] = field(default_factory=set)

    async def say(self, failure: BaseException | None) -> None:
        """Say it, in a thread of its own where the user takes part."""
        if self.hooked:
            await self._off_loop(self._leave)
        if failure is None and not self.hooked:
            return
        self._once("leave", self.hooks)
        self._once("finish", self.finish)
        if failure is not None:
            await self._off_loop(partial(self._tell, failure))

    def end(self, failure: BaseException | None) -> None:
        """Say, on the loop, what has not been said."""
        self._once("leave", self.hooks)
        self._once("finish", self.finish)
        if failure is not None:
            self._tell(failure)

    def is_said_here(self) -> bool:
        """Whether the calling thread is in it."""
        return self.thread == threading.get_ident()

    def _leave(self) -> None:
        self._once("leave", self.hooks)

    def _tell(self, failure: BaseException) -> None:
        self._once("tell", partial(self.tell, failure))

    def _once(self, step: str, body: Callable[[], object]) -> None:
        with self._lock:
            if step in self._done:
                return
            self._done.add(step)
        body()

    async def _off_loop(self, step: Callable[[], object]) -> None:
        try:
            await live_in_thread(partial(self._do, step), name=f"{self.name}_end")
        except RuntimeError:
            # No thread is to be had, as after the end of the main thread; `end` does without.
            log.debug("the end of worker %r gets no thread of its own", self.name)

    def _do(self, step: Callable[[], object]) -> None:
        self.thread = threading.get_ident()
        self.departing.enter()
        try:
            step()
        except BaseException:
            log.exception("the end of worker %r raised", self.name)
        finally:
            self.departing.leave()
            self.thread = None

"""The part of the front door that tells others what happens: `queue.subscribe`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainspring.queue.around import AroundBodies

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from mainspring.protocols import Subscriber

OWNER = "Queue.subscribe()"


class Followed(AroundBodies):
    """Operations of a queue, what is around its bodies, and subscriptions to its events."""

    def subscribe(
        self,
        subscriber: Subscriber,
        *kinds: str,
        inline: bool = False,
        redact: Collection[str] = (),
    ) -> Callable[[], None]:
        """Call `subscriber` with what happens here from now on; return a function that ends that.

        Told is what this process enqueues and cancels, and what its workers do. `kinds`: of these
        only, as in `"failed", "node_lost"`; without any, of all. A subscriber is called in a thread
        of its own, one event after the other; what it raises is logged. While 10,000 events wait
        for it, more are dropped, and it is told how many. `inline`: it is called in the thread
        where the event happens, which waits for it. `redact`: names of arguments and fields whose
        values it does not see. See docs/howto/events.md. Raises InvalidOption.
        """
        from mainspring.queue.subscribing import (  # noqa: PLC0415  # a lazy door
            check_subscriber,
            checked_kinds,
            hidden_of,
        )

        check_subscriber(OWNER, subscriber)
        wanted = checked_kinds(OWNER, kinds)
        hidden = hidden_of(OWNER, redact, self._binding.tasks)
        return self._binding.feed.subscribe(subscriber, wanted, inline=inline, hidden=hidden)

"""A real worker during a test: in threads and in real time, over a private store in memory."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from mainspring.queue.client import QueueClient
from mainspring.queue.kit.children import marked_children
from mainspring.queue.transaction import Transactions
from mainspring.stores.memory.store import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mainspring.queue.front import Queue


@contextmanager
def real_worker(queue: Queue, *, grace: float) -> Iterator[None]:
    """Run a worker of the queue during the block; `grace`: seconds for its jobs at the end."""
    store = MemoryStore()
    binding = queue._binding  # noqa: SLF001  # the kit is the queue's own
    client = QueueClient(store, binding, Transactions(store, lambda _patience: store))
    try:
        with marked_children(), binding.bound_to(client), queue.worker(grace=grace):
            yield
    finally:
        client.close()

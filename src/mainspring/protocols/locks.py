"""The seams of named locks: what a store keeps of them, and how one is asked for without waiting.

`Locks` is what the keeper of a process's locks needs of a store; `LockSource` is a Queue, as those
see it who know no queues.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from mainspring.model.view import LockRecord


class Locks(Protocol):
    """Named locks, each held by one node at most, for as long as that node is in the store.

    So whatever ends a node (`leave`, `rescue`) frees its locks at that very moment. Who waits
    listens for `"locks"`, and asks again; each method is one transaction.
    """

    def acquire(self, node: int, name: str) -> int | None:
        """Give a node the lock of that name; return its fence, None if another node has it.

        The fence is above that of every earlier grant in this store, and never comes again. A node
        that has the lock is answered with the fence it has, so that an answer may be lost. None
        also for a node whose lease has run out, though it may be renewed yet; one that is gone
        raises `LeaseLost`.
        """
        ...

    def release(self, node: int, name: str, fence: int) -> bool:
        """Free a lock; False, and nothing changes, if the node did not have it with that fence."""
        ...

    def locks(self) -> list[LockRecord]:
        """Return the locks that are held, by name."""
        ...


class LockAcquisition(Protocol):
    """A lock from its request to its release. The state changes in other threads."""

    @property
    def held(self) -> bool:
        """True from when it was granted until it is lost or ended."""
        ...

    @property
    def lost(self) -> bool:
        """True once its lease was lost."""
        ...

    @property
    def fence(self) -> int:
        """A number above that of every earlier holder, once it was granted."""
        ...

    @property
    def error(self) -> Exception | None:
        """The reason for which it will not be granted."""
        ...

    def end(self) -> Future[None]:
        """End it, from any thread; return what is done once the store knows."""
        ...


class AcquirableLock(Protocol):
    """A named lock."""

    def ask(self, on_change: Callable[[], object]) -> LockAcquisition:
        """Ask for it; `on_change` is called in another thread after each change, maybe at once."""
        ...


class LockSource(Protocol):
    """Gives named locks: a Queue."""

    def lock(self, name: str) -> AcquirableLock:
        """Return the lock of that name. Raises InvalidOption."""
        ...

"""The seam of named locks: what a store keeps of them, as narrow as the keeper of locks needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
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

"""The meaning of a server's errors for the owner of a store, and the remedy for each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from redis import exceptions

from mainspring.errors import StoreUnreachable, StoreUnusable

if TYPE_CHECKING:
    from mainspring.errors import StoreError

PASSING = (
    exceptions.BusyLoadingError,
    exceptions.ClusterDownError,
    exceptions.TryAgainError,
)
"""Answers of a server that has done nothing yet and soon will."""

REMEDIES: tuple[tuple[type[Exception], str, str], ...] = (
    (
        exceptions.AuthenticationError,
        "it refuses this user or password",
        "check both in the URL: redis://user:password@host",
    ),
    (
        exceptions.NoPermissionError,
        "this user may not do all that a store needs",
        "give it the keys and channels of the namespace, and the commands @all -@dangerous +info",
    ),
    (
        exceptions.OutOfMemoryError,
        "its memory is full",
        "raise maxmemory, or let workers and `mainspring jobs purge` make room",
    ),
    (exceptions.ReadOnlyError, "it is a replica", "give the URL of the primary"),
    (
        exceptions.AskError,
        "this node of the cluster does not hold the namespace",
        "give the URL of the one that does: CLUSTER KEYSLOT {mainspring}",
    ),
)

BUSY, NOT_WRITTEN, NO_DATABASE = "BUSY ", "MISCONF", "DB index is out of range"


def is_passing(error: Exception) -> bool:
    """Return True if the server has not done what was asked, but will if it is asked again."""
    return isinstance(error, PASSING) or str(error).startswith(BUSY)


def meaning_of(error: Exception, label: str, waited: float) -> StoreError:
    """Return the error to raise instead; `waited` is in seconds."""
    for kind, why, remedy in REMEDIES:
        if isinstance(error, kind):
            return StoreUnusable(label, why, remedy)
    if str(error).startswith(NOT_WRITTEN):
        return StoreUnusable(label, "it can't write to its disk", "look at its log and its disk")
    if str(error).startswith(NO_DATABASE):
        return StoreUnusable(label, "there is no such database", "give the number of one it has")
    if is_passing(error):
        why = f"it was not ready for {waited:.1f} s ({error})"
        return StoreUnreachable(label, why, "wait until it is, or look at its log")
    if isinstance(error, (exceptions.ConnectionError, exceptions.TimeoutError)):
        why = f"it did not answer for {waited:.1f} s ({error})"
        return StoreUnreachable(label, why, "start it, or check host and port")
    return StoreUnusable(label, f"it answers {error}", "look at its version and its log")

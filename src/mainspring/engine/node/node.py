"""A consumer as the store sees it: a row with a lease, and a board that outlives a kill."""

from __future__ import annotations

import logging
import os
import socket
from typing import TYPE_CHECKING

from mainspring.clock import monotonic
from mainspring.engine.node.board import FileBoard, NoBoard, board_of, node_name
from mainspring.engine.node.report import serves_of
from mainspring.model.capabilities import Capabilities

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mainspring.engine.node.board import Board
    from mainspring.model.job import Renewed
    from mainspring.protocols import Store

log = logging.getLogger("mainspring.engine")


class Node:
    """Joins, renews its lease (seconds), leaves; joins anew under another name when it was lost.

    `serves` is what it says that it runs, from the next time it joins. `on_join` is called with its
    name when it has joined.
    """

    def __init__(self, store: Store, *, slots: int, lease: float) -> None:
        self._store = store
        self.serves = Capabilities()
        self._slots = slots
        self._lease = lease
        self._renewed = 0.0
        self._board: Board = NoBoard()
        self.note: Callable[[int, int, int], None] = self._board.note
        """Note on the board that a slot begins the body of a claim: `note(slot, key, fence)`."""
        self._warned = False
        self.on_join: Callable[[str], object] = str
        self.unanswered = False
        """True if the last renewal raised."""
        self.key = 0
        self.name = ""

    def join(self) -> None:
        """Acquire the kernel lock, then become visible: never the other way round."""
        host = socket.gethostname()
        name = node_name(host, os.getpid())
        board = self._new_board(name)
        try:
            key = self._store.join(
                name, host=host, pid=os.getpid(), lease=self._lease, serves=serves_of(self.serves)
            )
        except BaseException:
            board.close()
            raise
        self.name, self._board, self.note, self.key = name, board, board.note, key
        self._renewed = monotonic()
        self.on_join(name)

    def renew(self, key: int, report: bytes | None = None) -> Renewed | None:
        """Renew the lease that this node has under `key`; None if a rescuer was faster.

        `report` is the JSON text that says to views how it is.
        """
        try:
            renewed = self._store.renew(key, lease=self._lease, report=report)
        except BaseException:
            self.unanswered = True
            raise
        self.unanswered = False
        if renewed is not None:
            self._renewed = monotonic()
        return renewed

    @property
    def silence(self) -> float:
        """The seconds since the store has last renewed the lease."""
        return monotonic() - self._renewed

    def overdue(self) -> bool:
        """Return whether the lease may have run out by now, as far as this process knows."""
        return self.silence >= self._lease

    def rejoin(self) -> None:
        """Go on as a new node: what the old one held is in other hands, or goes back."""
        self.leave()
        self.join()

    def leave(self) -> None:
        """Become invisible, then free the kernel lock."""
        try:
            self._store.leave(self.key)
        except BaseException:
            # The row stays: with the lock free and the board in place, any rescuer takes over.
            self._board.let_go()
            raise
        self._board.close()

    def _new_board(self, name: str) -> Board:
        path = board_of(self._store.run_dir, name)
        if path is None:
            return NoBoard()
        try:
            return FileBoard(path, self._slots)
        except OSError as error:
            self._warn(path, error)
            return NoBoard()

    def _warn(self, path: Path, error: OSError) -> None:
        if not self._warned:
            self._warned = True
            log.warning(
                "%s can't be made (%s): if this worker is killed, all that it held counts a crash,"
                " and runs again only after the lease; free some space and restart it",
                path,
                error.strerror or error,
            )

"""A change of the memory store: all of it, or nothing, wherever an exception ends it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from msgspec import Struct

from mainspring.errors import MainspringError, StoreBusy
from mainspring.model.view import NodeRecord
from mainspring.stores.clock import MICROS
from mainspring.stores.memory.job import Job  # the type of a Struct's field
from mainspring.stores.ownership import calls_under_way, let_go, owns

if TYPE_CHECKING:
    from mainspring.stores.memory.ledger import Ledger


class LiveNode(Struct):
    """A live node and the keys of what it holds."""

    name: str
    host: str
    pid: int
    lease_until: int
    held: dict[int, Job]
    serves: bytes
    report: bytes = b"{}"

    def record(self, key: int, now: int) -> NodeRecord:
        """Return it as views read it; `now` is stored time."""
        return NodeRecord(
            key=key,
            name=self.name,
            host=self.host,
            pid=self.pid,
            expires_in=(self.lease_until - now) / MICROS,
            running=len(self.held),
            serves=self.serves,
            report=self.report,
        )


class Change:
    """Lets one thread at a time change the ledger: `with change:` is one transaction."""

    def __init__(self, store: object, ledger: Ledger, nodes: dict[int, LiveNode]) -> None:
        self._store = store
        self._ledger = ledger
        self._nodes = nodes
        self._nodes_before: dict[int, LiveNode] = {}
        self.lock = threading.RLock()

    def __enter__(self) -> None:
        if owns(self.lock) and calls_under_way(self._store) > 1:
            raise StoreBusy("the store", 0.0, "this thread, which was interrupted")
        try:
            self.lock.acquire()
            if self._ledger.before is not None:
                self._undo()
            self._nodes_before = dict(self._nodes)
            self._ledger.answers.before = {}
            self._ledger.before = {}
        except BaseException:
            self.recover()
            raise

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is None or (isinstance(error, MainspringError) and not self._ledger.before):
            self._ledger.before = None
            let_go(self.lock)
        else:
            self.recover()

    def recover(self) -> None:
        """Undo what is not committed, and let others in; harmless if another changes it."""
        if owns(self.lock):
            self._undo()
            let_go(self.lock)

    def _undo(self) -> None:
        if self._ledger.before is None:
            return
        self._nodes.update(self._nodes_before)
        self._ledger.undo()
        for key, node in self._nodes.items():
            node.held = self._ledger.held_by(key)
        self._ledger.before = None

"""The thread pool and the process pool of a task supervisor, as each of its lives has them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mainspring.errors import InvalidOption
from mainspring.model.number import is_whole
from mainspring.supervision.threads.priority import pool_sizes

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from mainspring.background.supervisor.life import Life
    from mainspring.processes.pool import ProcessPool


class Pools:
    """What they are made with, over all lives, and the executor that may stand in for threads."""

    def __init__(self) -> None:
        self.sizes = pool_sizes()
        self.stand_in: Executor | None = None
        self._process_options: dict[str, Any] = {}

    def size_threads(self, life: Life, sizes: dict[str, Any]) -> None:
        """Give the thread pool other sizes, also while it works. Raises `InvalidOption`."""
        self.sizes = pool_sizes(**sizes)
        if life.active:
            life.threads.resize(self.sizes)

    def set_processes(self, life: Life, size: int | None, options: dict[str, Any]) -> None:
        """Have another process pool from now on. Raises `InvalidOption`."""
        if size is not None and not (is_whole(size) and size >= 1):
            raise InvalidOption("pool_size", size, owner="set_mp_pool", expected="1 or more")
        for reserve in ("reserve_normal", "reserve_high"):
            value = options.get(reserve, 0)
            if not (is_whole(value) and value >= 0):
                raise InvalidOption(reserve, value, owner="set_mp_pool", expected="0 or more")
        self._process_options = options if size is None else {"size": size, **options}
        life.drop_processes()

    def processes(self, life: Life) -> ProcessPool:
        """Return the process pool, started on demand."""
        return life.make_processes(self._process_options)

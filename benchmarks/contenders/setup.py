"""What a contender is told, and what it must be able to do. Imports nothing but Python."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

VARIABLE = "BENCHMARK_"


@dataclass(frozen=True, slots=True)
class Setup:
    """One run of one row; it travels in the environment, so that workers see the same.

    `task` is `add`, `add_async`, `add_in_process` or `spin`; `folder` is new and empty. `server` is
    the kind that is wanted, `redis` or `postgres`, or empty.
    """

    folder: str
    task: str = "add"
    durability: str = "normal"
    tuned: str = ""
    server: str = ""

    @property
    def database(self) -> str:
        """The file that the contender keeps its jobs in."""
        return str(Path(self.folder, "jobs.db"))

    @property
    def variables(self) -> dict[str, str]:
        """The setup as environment variables."""
        return {VARIABLE + name.upper(): value for name, value in asdict(self).items()}

    @classmethod
    def from_environment(cls) -> Setup:
        """Read what `variables` gave."""
        given = {
            name.removeprefix(VARIABLE).lower(): value
            for name, value in os.environ.items()
            if name.startswith(VARIABLE)
        }
        return cls(**given)


class Contender(Protocol):
    """A queue seen by the benchmark; a handle is whatever the queue calls its own."""

    version: str
    worker: Sequence[str]

    def enqueue(self, first: int, second: int) -> object:
        """Keep one job."""
        ...

    def share(self, first: int, second: int) -> object:
        """Keep one job, from any thread."""
        ...

    def enqueue_many(self, calls: Sequence[tuple[int, int]]) -> Sequence[object]:
        """Keep many at once."""
        ...

    def result(self, handle: object) -> object:
        """Wait for a job's result as fast as this queue can, for up to a minute."""
        ...

    def finished(self) -> int:
        """Count the jobs that have ended."""
        ...

"""The caching of one task's results: where, for how long, and under which key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mainspring.cache.keys import cache_key
from mainspring.model.job_options import task_with
from mainspring.model.signature import task_signature

if TYPE_CHECKING:
    from mainspring.cache.policy import Cache
    from mainspring.cache.results import Results
    from mainspring.model.task import Task


class Plan:
    """The caching of one task."""

    def __init__(self, task: Task, policy: Cache, results: Results) -> None:
        self.task = task.name
        self._whole = task
        self.seconds = policy.seconds
        self.results = results
        self._shape = task_signature(task.name, task.function)
        self._name = policy.key if isinstance(policy.key, str) else identity(task)
        self._key_function = policy.key if callable(policy.key) else None

    def limit(self, options: bytes | None) -> float | None:
        """Return the seconds that a job with these options of its own may take."""
        return task_with(self._whole, options).timeout

    def key(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
        """Return the key of a job; raises what its values, or the user's function, raise."""
        if self._key_function is None:
            return cache_key(self._name, self._shape, args, kwargs)
        key_parts = (self._key_function(*args, **kwargs),)
        # Marked, or it might meet the key of arguments as they are.
        return cache_key(f"{self._name}()", _ONE, key_parts, {})


def identity(task: Task) -> str:
    """Return a name that no other function has: two queues may have tasks of one name."""
    home = f"{task.module}.{task.qualname}"
    return f"job:{task.name}" if task.name == home else f"job:{task.name}@{home}"


_ONE = task_signature("key", lambda value: value)

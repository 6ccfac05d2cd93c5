"""The front door of the durable queue: `Queue` (`front`), and what it delegates to."""

from mainspring.queue.front import Queue

__all__ = ["Queue"]

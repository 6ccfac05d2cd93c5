"""The front door of in-process work: background workers, tasks, and their supervisor."""

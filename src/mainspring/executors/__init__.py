"""Executors, which run attempts: on an event loop, in threads, in child processes."""

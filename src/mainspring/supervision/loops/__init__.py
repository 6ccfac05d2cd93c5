"""Event loops in threads of their own, their timers, and calls from other threads."""

"""Rules that decide when a worker runs, and never wait; `now` is `time.monotonic()`."""

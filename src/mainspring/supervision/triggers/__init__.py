"""When a worker runs: rules that decide and never wait; `now` is `time.monotonic()`."""

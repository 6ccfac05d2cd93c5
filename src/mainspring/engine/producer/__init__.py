"""For those who enqueue and wait, in threads or coroutines; it runs no job."""

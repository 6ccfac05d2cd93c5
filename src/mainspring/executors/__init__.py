"""Where attempts run: event loop, thread, child process."""

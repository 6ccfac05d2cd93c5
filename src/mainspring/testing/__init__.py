"""Contract suites and helpers for tests, of ours and of yours."""

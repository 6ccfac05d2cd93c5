"""Claims: the jobs that a node wants become running, and its own."""

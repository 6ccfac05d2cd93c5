"""Jobs of a supervisor, and their schedulers. No job of a queue is meant."""

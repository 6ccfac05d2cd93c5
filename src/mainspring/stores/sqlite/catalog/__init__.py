"""What views read of jobs, queues and nodes. Nothing here writes."""

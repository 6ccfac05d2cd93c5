"""Jobs, queues and nodes as views read them. Nothing here writes."""

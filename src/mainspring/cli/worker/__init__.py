"""What `mainspring worker` adds to a consumer: its log, its parent, a new start."""

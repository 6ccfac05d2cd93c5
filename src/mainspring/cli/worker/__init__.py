"""Additions of `mainspring worker` to a consumer: its log, its parent, its restart."""

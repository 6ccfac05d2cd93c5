"""Threads to borrow: a pool with priorities and reserves."""

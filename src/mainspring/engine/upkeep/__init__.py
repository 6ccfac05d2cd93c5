"""Upkeep of a store while a node lives: expiry, purge, a look for forgotten jobs."""

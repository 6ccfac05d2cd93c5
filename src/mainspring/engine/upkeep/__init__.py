"""What keeps a store tidy while a node lives: expiry, purge, a look for forgotten jobs."""

"""Background workers: a file for each kind, and what one is made of."""

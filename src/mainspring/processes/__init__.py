"""Child processes: a pool of our own that survives the death of each of them."""

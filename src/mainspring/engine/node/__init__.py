"""A consumer as the store and other nodes see it: a lease, a board, signs of life, rescue."""

"""Decisions that every store takes alike: pure functions, no I/O."""

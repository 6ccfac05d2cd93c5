"""Loads the object or the store that a command's options name."""

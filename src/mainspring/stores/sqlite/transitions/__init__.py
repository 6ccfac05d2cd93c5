"""Transitions of a running job's row: to the finished ones, or back into its lane."""

"""Subscribers of events, and nothing else."""

"""Stores, which keep jobs."""

"""Connections to the server: those that are lent, and the one that listens."""

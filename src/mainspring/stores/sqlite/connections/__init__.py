"""Connections: our writer, our readers, and the caller's own."""

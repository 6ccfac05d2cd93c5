"""Who executes statements: our writer, our readers, and the caller's own connection."""

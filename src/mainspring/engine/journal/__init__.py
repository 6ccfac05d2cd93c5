"""Progress and log lines of bodies on their way to the store."""

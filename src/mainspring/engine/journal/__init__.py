"""What bodies say while they run, on its way to the store."""

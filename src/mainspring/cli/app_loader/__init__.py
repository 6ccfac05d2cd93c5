"""What a command works on: the object or the store that its options name."""

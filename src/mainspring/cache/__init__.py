"""Results that are kept for the next call with equal arguments."""

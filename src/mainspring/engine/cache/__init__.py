"""Results kept for later jobs with equal arguments, wherever their bodies run."""

"""New jobs: many in one commit, those with keys, and the wake-ups for them."""

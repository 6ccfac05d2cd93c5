"""One try of a job: its body run, its outcome decided, and what the body may ask meanwhile."""

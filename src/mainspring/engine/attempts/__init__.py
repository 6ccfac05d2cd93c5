"""One try of a job: its body run, its end judged, and what the body may ask meanwhile."""

"""`mainspring worker` in several processes, or anew when its code changes."""

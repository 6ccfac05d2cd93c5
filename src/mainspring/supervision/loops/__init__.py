"""Event loops in threads of their own, their clocks and their post."""

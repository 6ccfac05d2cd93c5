"""Attempts in child processes: what goes over, what comes back, what a death means."""

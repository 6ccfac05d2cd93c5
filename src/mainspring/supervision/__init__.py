"""The in-process layer: services, triggers, workers and who owns them; it knows nothing of jobs."""

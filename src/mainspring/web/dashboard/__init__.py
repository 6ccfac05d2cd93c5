"""The dashboard: pages over HTTP that show a queue, and change it."""

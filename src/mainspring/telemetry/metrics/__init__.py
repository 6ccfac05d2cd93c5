"""Metrics of a worker for Prometheus, and its probes; needs the extra `metrics`."""

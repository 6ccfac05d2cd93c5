"""The asyncio task pool: `AsyncTaskWorker`, its records and its registry of task types."""

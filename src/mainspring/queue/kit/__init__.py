"""The test kit for application code: the real engine in the calling thread, on a moved clock."""

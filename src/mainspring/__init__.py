"""mainspring: background work for Python with no server to set up."""

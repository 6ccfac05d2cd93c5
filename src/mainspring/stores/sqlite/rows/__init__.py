"""Numbers of new rows and lanes, and statements over many rows."""

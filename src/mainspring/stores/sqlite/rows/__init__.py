"""What the rows are made of: numbers for states and lanes, and many rows in one step."""

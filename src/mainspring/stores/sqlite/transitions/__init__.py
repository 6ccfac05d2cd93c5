"""How the row of a running job moves: to the finished ones, or back into its lane."""

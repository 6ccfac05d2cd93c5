"""Numbers of new rows; one that somebody else wrote with the highest number uses up none."""

HIGHEST = 2**62
"""Rows from this number on are none of ours: the next number does not follow them."""

NEXT_KEY = """
  1 + max(
    coalesce((SELECT key FROM spent WHERE key < 4611686018427387904), 0),
    coalesce((SELECT max(key) FROM jobs WHERE key < 4611686018427387904), 0),
    coalesce((SELECT max(key) FROM finished WHERE key < 4611686018427387904), 0)
  )
"""
"""The key of the next job, as an expression of SQL."""

NEXT_LANE = "1 + coalesce((SELECT max(lane) FROM lanes WHERE lane < 4611686018427387904), 0)"
"""The number of the next lane, as an expression of SQL."""

"""A number with its noun, for texts that people read."""


def counted(count: int, one: str, many: str = "") -> str:
    """Return a number with its noun: `1 job`, `1,200 jobs`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"

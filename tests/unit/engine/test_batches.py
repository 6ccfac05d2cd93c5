"""Batches that hold the store for about ten milliseconds, whatever their rows cost."""

from __future__ import annotations

from itertools import islice

import pytest

from mainspring.engine.upkeep.batches import (
    AIM_SECONDS,
    FIRST,
    LEAST,
    MOST,
    batch_sizes,
    in_batches,
)


class Clock:
    """Goes on by so many seconds a row."""

    def __init__(self, a_row):
        self.a_row = a_row
        self.now = 0.0

    def __call__(self):
        return self.now

    def write(self, rows):
        self.now += self.a_row * rows


@pytest.mark.parametrize(
    ("a_row", "size"),
    [(0.0, MOST), (AIM_SECONDS / 100, 100), (AIM_SECONDS / 30, 30), (1.0, LEAST)],
)
def test_a_batch_comes_to_take_the_time_aimed_at(a_row, size):
    clock = Clock(a_row)
    sizes = []
    for one in islice(batch_sizes(clock), 10):
        sizes.append(one)
        clock.write(one)
    assert sizes[0] == FIRST
    assert sizes[-1] == pytest.approx(size, abs=1)
    assert all(LEAST <= one <= MOST for one in sizes)


@pytest.mark.parametrize("count", [0, 1, FIRST, FIRST + 1, 1_000])
def test_every_item_is_in_one_batch(count):
    batches = list(in_batches(range(count)))
    assert [item for batch in batches for item in batch] == list(range(count))
    assert all(batches)

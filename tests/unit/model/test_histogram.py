"""Histograms: what they say of durations, and that they can be added up."""

import random
from collections import Counter, defaultdict

import pytest

from mainspring.model.histogram import BUCKETS, count_into, quantiles


def counted(durations):
    counts = defaultdict(int)
    count_into(counts, list(durations))
    return counts


@pytest.mark.parametrize("scale", [0.001, 1.0, 3000.0])
def test_a_quantile_is_within_a_tenth_of_the_true_one(scale):
    chance = random.Random(7)
    durations = sorted(scale * chance.lognormvariate(0, 1) for _ in range(5_000))
    fractions = (0.0, 0.5, 0.95, 0.99)
    true = [durations[int(fraction * len(durations))] for fraction in fractions]
    assert quantiles(counted(durations), fractions)[1:] == pytest.approx(true[1:], rel=0.1)
    assert quantiles(counted(durations), (0.5,)) == quantiles(counted(durations), (0.5, 1.0))[:1]


def test_histograms_that_are_added_up_say_what_one_of_all_would():
    chance = random.Random(7)
    some, others = ([chance.expovariate(9) for _ in range(500)] for _ in range(2))
    assert Counter(counted(some)) + Counter(counted(others)) == Counter(counted(some + others))


def test_durations_that_no_clock_should_tell_are_counted_at_the_ends():
    odd = [-5.0, 0.0, 1e-9, 2.0**-14, 2.0**22, 1e300]
    counts = counted(odd)
    assert sum(counts.values()) == len(odd)
    assert set(counts) == {0, BUCKETS - 2, BUCKETS - 1}
    low, high = quantiles(counts, (0.0, 1.0))
    assert low < high


def test_of_nothing_there_is_no_quantile():
    assert quantiles(counted([]), (0.5,)) == []

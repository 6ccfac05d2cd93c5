"""What a child logs is handled in the parent, at each level, once."""

from __future__ import annotations

import logging

import pool_bodies as bodies
import pytest


@pytest.fixture
def texts(caplog):
    """The texts that logger `shop` has got here so far."""
    caplog.set_level(logging.INFO)

    def told():
        return [record.getMessage() for record in caplog.records if record.name == "shop"]

    return told


def test_records_of_a_call_are_there_before_its_result(pool, texts):
    pool.call(bodies.log, "first", "100% of it", "x" * 300_000)
    assert texts() == ["first", "100% of it", "x" * 300_000]


def test_records_of_an_initializer_arrive(make_pool, texts):
    pool = make_pool(initializer=bodies.log, initargs=("at the start",), spare=0)
    pool.call(int)
    assert texts() == ["at the start"]


def test_what_is_logged_between_two_calls_comes_with_the_next(make_pool, texts, until):
    pool = make_pool(spare=0)
    pool.call(bodies.log_between_calls)
    until(lambda: pool.call(int) == 0 and texts() == ["between"])


def test_a_signal_handler_may_log_in_the_middle_of_a_record(pool, texts):
    pool.call(bodies.log_in_signal_handler)
    assert texts() == ["interrupted", "in a handler"]


@pytest.mark.parametrize("level", [logging.DEBUG, logging.ERROR])
def test_a_child_begins_with_its_parents_levels(make_pool, caplog, level):
    caplog.set_level(level, logger="shop")
    assert make_pool().call(bodies.level_of, "shop.orders") == level


def test_a_level_may_be_of_an_enum(make_pool, caplog):
    caplog.set_level(bodies.Level.NOTICE, logger="shop")
    pool = make_pool()
    assert pool.call(bodies.level_of, "shop.orders") == bodies.Level.NOTICE
    pool.call(bodies.log_notice)
    (record,) = caplog.records
    assert (record.levelno, record.getMessage()) == (25, "noticed")


def test_fields_of_a_record_are_values_or_texts_and_never_bytes_of_memory(pool, caplog):
    caplog.set_level(bodies.Level.NOTICE)
    pool.call(bodies.log_notice)
    (record,) = caplog.records
    assert record.sizes == "array('d', [1.5])"
    assert record.nested == {"level": 25, "sizes": ["array('d', [1.5])"]}
    assert record.knot == "[[...], [...]]"


def test_a_handler_that_raises_harms_no_call(pool, caplog):
    caplog.set_level(logging.INFO)

    class Broken(logging.Handler):
        def handle(self, record):
            raise ValueError("no paper")

    broken = Broken()
    logging.getLogger("shop").addHandler(broken)
    try:
        pool.call(bodies.log, "text")
        assert pool.call(bodies.add, 1, 2) == 3
    finally:
        logging.getLogger("shop").removeHandler(broken)


def test_the_parents_filters_hold(pool, texts):
    class Redact(logging.Filter):
        def filter(self, record):
            return "secret" not in record.getMessage()

    redact = Redact()
    logging.getLogger("shop").addFilter(redact)
    try:
        pool.call(bodies.log, "a secret", "a price")
    finally:
        logging.getLogger("shop").removeFilter(redact)
    assert texts() == ["a price"]

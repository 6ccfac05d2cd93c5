"""A child process reads and writes as its queue's codec does, without being sent the codec."""

from __future__ import annotations

import pytest

from mainspring.errors import JobFailed

REGISTERED = """
    from fractions import Fraction
    from mainspring import Queue

    queue = Queue(db_path="jobs.db", workers=1, durability="normal", grace=5)
    queue.register(Fraction, lambda value: [value.numerator, value.denominator],
                   lambda told: Fraction(*told))

    @queue.task(executor="process", retries=0)
    def half(value):
        return value / 2
"""
PICKLED = """
    from fractions import Fraction
    from mainspring import PickleCodec, Queue

    queue = Queue(db_path="jobs.db", workers=1, durability="normal", grace=5,
                  codec=PickleCodec("0123456789abcdef"))

    @queue.task(executor="process", retries=0)
    def half(value):
        return value / 2
"""
BARE = PICKLED.replace("@queue.task", "#") + "\n\n    task = queue.task(executor='process')(half)\n"


@pytest.mark.parametrize("text", [REGISTERED, PICKLED])
def test_a_value_of_another_type_goes_there_and_back(make_app, text):
    app = make_app(text)
    with app.queue.worker():
        assert app.half.delay(app.Fraction(1, 3)).result(timeout=20) == app.Fraction(1, 6)


def test_a_bare_function_reads_plain_json_and_no_pickles(make_app):
    app = make_app(BARE)
    with app.queue.worker(), pytest.raises(JobFailed, match="can't be read"):
        app.task.delay(4).result(timeout=20)

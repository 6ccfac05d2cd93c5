"""URLs that other libraries understand: the error says what to write."""

from __future__ import annotations

import pytest

from mainspring import Queue
from mainspring.errors import InvalidOption


@pytest.mark.parametrize(
    ("url", "says"),
    [
        (":memory:", 'write "memory://" for'),
        ("sqlite://", 'write "memory://" for'),
        ("sqlite:///:memory:", "Queue('memory://')"),
        ("sqlite://jobs.db", 'write "sqlite:///jobs.db", with three slashes'),
        ("jobs.db", "write db_path=... for a file"),
        ("postgresql+psycopg://u@h/d", 'write "postgresql://" without the driver'),
        ("redis+socket:///run/redis.sock", 'write "unix://"'),
        ("valkey://h:6379/0", 'write "redis://"'),
        ("valkeys://h:6379/0", 'write "rediss://"'),
        ("amqp://h", "expected sqlite:///jobs.db"),
    ],
)
def test_a_url_of_another_library_is_refused_with_what_to_write(url, says):
    with pytest.raises(InvalidOption) as caught:
        Queue(url).stats()
    assert says in str(caught.value)

from __future__ import annotations

from datetime import UTC, datetime

import pytest
import shop


@pytest.fixture(autouse=True)
def clean():
    shop.outbox.clear()
    shop.failures.clear()


@pytest.fixture
def mainspring_at():
    """Begin far from any tick: a test must not depend on the hour at which it runs."""
    return datetime(2030, 1, 1, 12, 0, 30, tzinfo=UTC)


@pytest.fixture
def t(mainspring_queue):
    return mainspring_queue

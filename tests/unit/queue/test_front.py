"""What a queue refuses when it is made, and asked."""

from __future__ import annotations

import pytest

from mainspring import Queue
from mainspring.errors import InvalidOption


@pytest.mark.parametrize("scheme", ["memory://", "sqlite:///jobs.db"])
@pytest.mark.parametrize(
    ("option", "values"),
    [
        ("workers", ["", [], None, -1, 1.5]),
        ("durability", ["", "some", None, True]),
        ("busy_timeout", ["", 0, -1, float("nan"), None]),
    ],
)
def test_a_wrong_option_is_refused_whatever_the_store(scheme, option, values):
    for value in values:
        with pytest.raises(InvalidOption, match=f"Queue: {option}="):
            Queue(scheme, **{option: value})


@pytest.mark.parametrize("url", [5, 1.5, object(), 0, b"memory://"])
def test_a_url_that_is_no_text_is_refused(url):
    with pytest.raises(InvalidOption, match=r"url=.*sqlite:///jobs\.db"):
        Queue(url)


def test_a_path_is_taken_as_it_is_written(tmp_path):
    path = tmp_path / "100%41.db"
    queue = Queue(db_path=path)
    queue.stats()
    queue.close()
    assert path.exists()
    again = Queue(queue.url)
    assert again.stats()["pending"] == 0
    again.close()
    assert [one.name for one in tmp_path.glob("*.db")] == ["100%41.db"]


@pytest.mark.parametrize("queues", [[], [""], [5], "mail"])
def test_a_worker_of_no_queue_is_refused(queues):
    queue = Queue("memory://")
    with pytest.raises(InvalidOption, match="queues="):
        queue.run_worker(queues)


@pytest.mark.parametrize("job", [5, None, b"1-00000000"])
def test_what_is_no_id_is_refused(job):
    with pytest.raises(InvalidOption, match=r"Queue\.get_job\(\): jobs="):
        Queue("memory://").get_job(job)

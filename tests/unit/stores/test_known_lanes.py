"""The lanes that a process knows of a database."""

from mainspring.stores.sql.lanes import KnownLanes


def test_a_lane_of_many_jobs_is_missing_once():
    lanes = KnownLanes()
    assert lanes.missing([("q", "a"), ("q", "b"), ("q", "a")]) == [("q", "a"), ("q", "b")]
    lanes.learn([(1, ("q", "a"))], below=2)
    assert lanes.missing([("q", "a"), ("q", "b")]) == [("q", "b")]

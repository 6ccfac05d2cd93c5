"""The lanes that a process knows of a database."""

from mainspring.stores.sql.lanes import KnownLanes


def test_a_lane_is_missing_until_it_is_learned():
    lanes = KnownLanes()
    assert sorted(lanes.missing({("q", "a"), ("q", "b")})) == [("q", "a"), ("q", "b")]
    lanes.learn([(1, ("q", "a"))], below=2)
    assert lanes.missing({("q", "a"), ("q", "b")}) == [("q", "b")]
    assert lanes.missing({("q", "a")}) == []

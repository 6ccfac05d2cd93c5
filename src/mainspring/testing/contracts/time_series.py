"""Contract of a store's time series. Needs pytest."""
# ruff: noqa: S101, D102
# A contract is made of asserts, and a test's name is its docstring.

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING

from mainspring.model.time_series import SeriesEntry, SeriesPage

if TYPE_CHECKING:
    from mainspring.protocols import JobStore
    from mainspring.testing.clock import FrozenClock

HOUR = 3600.0
TEXTS = [b'["\xc3\xa4\\u0000"]', b"{}", b'"' + b"x" * 10_000 + b'"']


def read(
    store: JobStore, kind: str = "kind", *, older_than: float = 0.0, before: int | None = None
) -> list[SeriesEntry]:
    """Return the entries of the last hour."""
    return store.entries(
        kind, newer_than=HOUR, older_than=older_than, before=before, limit=100
    ).entries


def texts(entries: list[SeriesEntry]) -> list[bytes]:
    """Return the texts of entries."""
    return [entry.text for entry in entries]


class TimeSeriesContract:
    """Dated texts are kept by kind, found by age, replaced once, and dropped when they are old."""

    def test_texts_come_back_newest_first_with_their_moments(
        self, store: JobStore, clock: FrozenClock
    ) -> None:
        for text in TEXTS:
            store.add_entry("kind", text, ago=2.5)
            clock.advance(1.0)
        store.add_entry("another", b"[]")
        found = store.entries("kind", newer_than=HOUR, limit=100)
        assert isinstance(found, SeriesPage)
        assert texts(found.entries) == TEXTS[::-1]
        ages = [(found.now - entry.at).total_seconds() for entry in found.entries]
        assert ages == [3.5, 4.5, 5.5]
        assert len({entry.key for entry in found.entries}) == len(TEXTS)
        assert texts(read(store, "another")) == [b"[]"]
        assert read(store, "unknown") == []

    def test_entries_are_found_by_their_age(self, store: JobStore, clock: FrozenClock) -> None:
        for text in (b"0", b"1", b"2"):
            store.add_entry("kind", text)
            clock.advance(60.0)
        assert texts(store.entries("kind", newer_than=130.0, limit=9).entries) == [b"2", b"1"]
        assert texts(read(store, older_than=70.0)) == [b"1", b"0"]
        assert texts(store.entries("kind", newer_than=HOUR, limit=1).entries) == [b"2"]

    def test_pages_follow_each_other_also_among_entries_of_one_moment(
        self, store: JobStore, clock: FrozenClock
    ) -> None:
        for number in range(12):
            store.add_entry("kind", str(number).encode())
            clock.advance(float(number % 3 == 0))
        seen, before = [], None
        while page := store.entries("kind", newer_than=HOUR, before=before, limit=5).entries:
            seen += texts(page)
            before = page[-1].key
        assert seen == [str(number).encode() for number in range(11, -1, -1)]
        assert read(store, before=999_999) == []

    def test_entries_are_replaced_by_one_and_once(
        self, store: JobStore, clock: FrozenClock
    ) -> None:
        for text in (b"1", b"2", b"3"):
            store.add_entry("kind", text)
        three, two, one = read(store)
        at = store.entries("kind", newer_than=HOUR, limit=1).now - timedelta(minutes=1)
        clock.advance(1.0)
        keys = [one.key, two.key]
        assert store.replace_entries("kind", keys, by="sum", at=at, text=b"[3]")
        assert not store.replace_entries("kind", keys, by="sum", at=at, text=b"[3]")
        assert not store.replace_entries("kind", [three.key, 10**6], by="sum", at=at, text=b"[]")
        assert texts(read(store)) == [b"3"]
        ((moment, text),) = [(entry.at, entry.text) for entry in read(store, "sum")]
        assert (moment, text) == (at, b"[3]")
        assert store.replace_entries("kind", [], by="sum", at=at, text=b"[4]")
        assert texts(read(store, "sum")) == [b"[4]", b"[3]"]

    def test_of_those_that_replace_at_once_one_does(self, store: JobStore) -> None:
        store.add_entry("kind", b"1")
        store.add_entry("kind", b"2")
        found = read(store)
        keys, at = [entry.key for entry in found], found[0].at

        def replace(number: int) -> bool:
            text = str(number).encode()
            return store.replace_entries("kind", keys, by="kind", at=at, text=text)

        with ThreadPoolExecutor(4) as threads:
            assert sorted(threads.map(replace, range(4))) == [False, False, False, True]
        assert len(read(store)) == 1

    def test_old_entries_are_dropped_and_others_stay(
        self, store: JobStore, clock: FrozenClock
    ) -> None:
        for text in (b"1", b"2", b"3"):
            store.add_entry("kind", text)
            clock.advance(60.0)
        store.add_entry("another", b"0", ago=600.0)
        assert store.drop_entries("kind", older_than=120.0, limit=1) == 1
        assert store.drop_entries("kind", older_than=120.0, limit=5) == 1
        assert store.drop_entries("kind", older_than=120.0, limit=5) == 0
        assert texts(read(store)) == [b"3"]
        assert texts(read(store, "another")) == [b"0"]

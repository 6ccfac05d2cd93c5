"""What is loaded at the first use is loaded before the turn to write, which others wait for."""

import pytest

from mainspring.model.view import JobFilter
from mainspring.stores.ownership import owns
from mainspring.stores.sqlite import SqliteStore

CALLS = {
    "join": lambda store: store.join("n", host="h", pid=1, lease=60),
    "leave": lambda store: store.leave(1),
    "rescue": lambda store: store.rescue(1, dead=True, begun=None),
    "cancel": lambda store: store.cancel(["1-0a"]),
    "retry": lambda store: store.retry(["1-0a"]),
    "reschedule": lambda store: store.reschedule(["1-0a"], delay=0.0),
    "drop": lambda store: store.drop(["1-0a"]),
    "drop_ended": lambda store: store.drop_ended(JobFilter(), older_than=0, limit=1),
    "pause": lambda store: store.pause("queue"),
    "declare": lambda store: store.declare([]),
    "note_many": lambda store: store.note_many([]),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=list(CALLS))
def test_the_verbs_are_loaded_before_the_turn_to_write(store, monkeypatch, call):
    loads = []

    def load(store, load_verbs=SqliteStore._load_verbs):
        loads.append(owns(store._session.writer._lock))
        return load_verbs(store)

    monkeypatch.setattr(SqliteStore, "_load_verbs", load)
    call(store)
    assert set(loads) <= {False}

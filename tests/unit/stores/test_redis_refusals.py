"""Servers and databases that RedisStore can't work on: one line that says what to do."""

from __future__ import annotations

from contextlib import closing

import pytest

from mainspring.errors import InvalidOption, StoreUnreachable, StoreUnusable
from mainspring.model.view import JobFilter
from mainspring.stores.redis import RedisStore, suitability
from mainspring.testing.contracts.cases import enqueue


def refusal(url):
    """Return the one line with which a store refuses to work."""
    with closing(RedisStore(url, durability="normal", busy_timeout=5.0)) as store:
        with pytest.raises(StoreUnusable) as refused:
            enqueue(store)
        assert not isinstance(refused.value, StoreUnreachable)
        found = store.examine()
    text = str(refused.value)
    assert "\n" not in text
    assert [(one.check, one.level) for one in found] == [("server", "problem")]
    return text


def test_a_database_that_the_server_does_not_have_is_named(redis_url):
    text = refusal(f"{redis_url.rpartition('/')[0]}/4711")
    assert "4711" in text
    assert "there is no such database" in text


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("redis_version:6.2.14\r\n", "Redis 6.2.14"),
        ("redis_version:7.0.0\r\nvalkey_version:7.0.1\r\n", "Valkey 7.0.1"),
        ("", "Redis of an unknown version"),
    ],
)
def test_an_old_server_is_refused(redis_url, monkeypatch, said, name):
    class OldServer:
        """A connection to a server that tells another version."""

        def send_command(self, *words):
            self.words = words

        def read_response(self):
            return said.encode() if self.words[0] == "INFO" else [b"appendfsync", b"always"]

    read = suitability.settings_of
    settings = read(OldServer())
    for module in ("server", "suitability"):
        monkeypatch.setattr(f"mainspring.stores.redis.{module}.settings_of", lambda _: settings)
    assert f"{name} is too old; use Redis 7.2, Valkey 8 or newer" in refusal(redis_url)


@pytest.mark.parametrize("parameter", ["nonsense=3", "socket_timeout=soon"])
def test_a_parameter_that_the_client_library_refuses_is_named(parameter):
    url = f"redis://me:secret@127.0.0.1:1/0?{parameter}"
    with closing(RedisStore(url)) as store, pytest.raises(InvalidOption) as refused:
        enqueue(store)
    assert parameter.partition("=")[0] in str(refused.value)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("parameter", ["decode_responses=True", "max_connections=5"])
def test_a_url_that_is_also_the_users_own_clients_is_a_store(namespace_url, parameter):
    with closing(RedisStore(f"{namespace_url}&{parameter}", durability="normal")) as store:
        ready = store.listen("ready")
        job_id = enqueue(store)
        assert ready.wait(10) is not None
        assert [job.id for job in store.jobs(JobFilter())] == [job_id]
        ready.close()

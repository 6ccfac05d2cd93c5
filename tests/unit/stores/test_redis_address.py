"""The parts of a Redis URL, and what people see of a URL."""

import os
import subprocess
import sys

import pytest

from mainspring import Queue
from mainspring.errors import InvalidOption, MissingExtra
from mainspring.stores.public_url import public_url
from mainspring.stores.redis import store
from mainspring.stores.redis.server_address import address_of


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://me:secret@host:6379/1?ssl_password=secret", "redis://host:6379/1"),
        ("rediss://:secret@host", "rediss://host"),
        ("redis://host/0?namespace=mine&password=secret", "redis://host/0?namespace=mine"),
        ("unix://me:secret@/run/redis.sock?db=2", "unix:///run/redis.sock"),
        ("sqlite:///me@home?.db", "sqlite:///me@home?.db"),
        ("memory://", "memory://"),
    ],
)
def test_a_url_is_shown_without_its_secrets(url, shown):
    assert public_url(url) == shown


def test_a_queue_shows_no_password():
    queue = Queue("redis://me:secret@127.0.0.1:1/0")
    assert repr(queue) == "<Queue redis://127.0.0.1:1/0>"


def test_the_namespace_is_ours_and_the_rest_of_the_query_the_clients():
    address = address_of("redis://host/0?namespace=mine&client_name=me")
    assert (address.prefix, address.url) == ("{mine}:", "redis://host/0?client_name=me")
    assert address_of("redis://host").prefix == "{mainspring}:"


@pytest.mark.parametrize("namespace", ["", "a{b", "a}b", "a b", "x" * 101])
def test_a_namespace_that_would_break_the_keys_is_refused(namespace):
    with pytest.raises(InvalidOption, match="namespace="):
        address_of(f"redis://host/0?namespace={namespace}")


def test_the_missing_extra_is_named(monkeypatch):
    monkeypatch.setattr(store, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"mainspring\[redis\]"):
        store.RedisStore("redis://me:secret@host")


def test_the_client_library_is_loaded_at_the_first_use():
    code = (
        "import sys\nfrom mainspring import Queue\n"
        "Queue('redis://127.0.0.1:1/0')\nassert 'redis' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ)

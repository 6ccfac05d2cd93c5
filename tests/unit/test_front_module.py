"""The package itself: what it shows, and where it can't work."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

import mainspring


def test_the_package_shows_its_public_names_only():
    shown = [name for name in dir(mainspring) if not name.startswith("__")]
    modules = {
        *("compat", "errors", "integrations", "protocols", "task_worker_api", "testing", "web")
    }
    assert set(shown) - modules == set(mainspring.__all__)


@pytest.mark.parametrize("patched", [True, False])
def test_where_gevent_has_patched_threads_one_sentence_says_so(monkeypatch, patched):
    monkey = SimpleNamespace(is_module_patched=lambda name: patched and name == "threading")
    monkeypatch.setitem(sys.modules, "gevent.monkey", monkey)
    monkeypatch.delitem(vars(mainspring), "Queue", raising=False)
    if not patched:
        assert mainspring.Queue.__name__ == "Queue"
        return
    with pytest.raises(ImportError, match="gevent has patched threading"):
        _ = mainspring.Queue

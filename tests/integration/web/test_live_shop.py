"""examples/live_shop.py: its traffic runs, and the dashboard shows it."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "live_shop.py"


def test_the_traffic_of_the_example_is_shown_without_its_secrets(browse, monkeypatch):
    spec = importlib.util.spec_from_file_location("live_shop", EXAMPLE)
    shop = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "live_shop", shop)
    spec.loader.exec_module(shop)
    monkeypatch.setattr(shop.random, "random", lambda: 0.0)  # the rarest comes, too
    with shop.queue.testing():
        shop.traffic(1000)
        browser = browse(shop.queue, redact=["card_token"])
        jobs = browser.text("/jobs")
        assert "charge_card" in jobs
        assert "tok_" not in jobs
        assert "refresh_rates" in browser.text("/schedules")
    assert len(shop.queue.tasks) >= 12

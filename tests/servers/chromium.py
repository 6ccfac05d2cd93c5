"""The browser that tests of the dashboard drive: the chromium or chrome that the system has."""

from __future__ import annotations

import os
import shutil

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
MISSING = "no browser: install chromium or chrome to run the tests of the dashboard in one"


def installed():
    """Return the browser's path, None if there is none."""
    return next(filter(None, map(shutil.which, NAMES)), None)


def required():
    """Return True where a missing browser is a failure, as in CI."""
    return os.environ.get("MAINSPRING_TEST_BROWSER") == "required"

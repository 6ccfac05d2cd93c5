"""Pictures of the dashboard for the docs, taken of the shop with live traffic.

`PYTHONPATH=tests python -m servers.pictures MINUTES` lets the traffic run for so long, so that the
charts have a past, and writes docs/images/dashboard-*.png. Look at each before it is committed.
"""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

from playwright.sync_api import sync_playwright

from servers import chromium

ROOT = Path(__file__).parents[2]
IMAGES = ROOT / "docs" / "images"
SIZES = {"": (1280, 1150), "-phone": (390, 844)}


def main(minutes):
    shop = [sys.executable, "-u", str(ROOT / "examples" / "live_shop.py"), "--port", "0"]
    with subprocess.Popen(shop, stdout=subprocess.PIPE, text=True, cwd=ROOT) as running:
        try:
            address = re.search(r"http\S+", running.stdout.readline())[0]
            time.sleep(60 * minutes)
            with sync_playwright() as driver:
                browser = driver.chromium.launch(executable_path=chromium.installed())
                for scheme in ("light", "dark"):
                    for name, (width, height) in SIZES.items():
                        page = browser.new_page(
                            viewport={"width": width, "height": height},
                            color_scheme=scheme,
                            device_scale_factor=2 if name else 1,
                        )
                        page.goto(address)
                        page.wait_for_timeout(5_000)  # so that it has read itself again
                        if not name:  # the whole page, with its menu as long as it
                            whole = page.evaluate("document.documentElement.scrollHeight")
                            page.set_viewport_size({"width": width, "height": whole})
                        page.screenshot(path=IMAGES / f"dashboard{name}-{scheme}.png")
                        page.close()
                browser.close()
        finally:
            running.send_signal(signal.SIGINT)


if __name__ == "__main__":
    main(float(sys.argv[1]))

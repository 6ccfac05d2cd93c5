"""A shop with live traffic, to look at in the dashboard: `make dashboard`, until Ctrl+C.

A dozen tasks in five queues, some slow, some failing, one queue paused; two workers, and schedules.
Everything is thrown away at the end. `--port 0` takes a free port.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mainspring import Exponential, Queue, current_job

if TYPE_CHECKING:
    from collections.abc import Callable

queue = Queue(workers=6, async_slots=12)
SOON = Exponential(base=4, jitter=True)


@queue.task(queue="orders")
def charge_card(order: int, amount: float, card_token: str) -> str:
    """Charge a card; now and then the bank declines."""
    time.sleep(random.uniform(0.05, 0.3))
    if random.random() < 0.03:
        raise ValueError(f"card of order {order} was declined: insufficient funds for {amount:.2f}")
    return f"paid {amount:.2f} with {card_token[-4:]}"


@queue.task(queue="orders", retries=4, backoff=SOON)
def reserve_stock(order: int, items: dict[str, int]) -> int:
    """Reserve items; the warehouse does not always answer."""
    time.sleep(random.uniform(0.02, 0.15))
    if random.random() < 0.12:
        raise ConnectionError(f"warehouse 10.0.3.{order % 40} refused the connection")
    return sum(items.values())


@queue.task(queue="orders")
def pack(order: int) -> str:
    """Pack an order."""
    time.sleep(random.uniform(0.1, 0.5))
    return f"parcel-{order}"


@queue.task(queue="mail", retries=2, backoff=SOON)
async def send_receipt(order: int, to: str) -> str:
    """Send a receipt."""
    await asyncio.sleep(random.uniform(0.05, 0.4))
    if random.random() < 0.04:
        raise TimeoutError("smtp.example.com did not answer within 10 s")
    return f"receipt {order} sent to {to}"


@queue.task(queue="mail")
async def send_newsletter(to: str, issue: int) -> str:
    """Send a newsletter."""
    await asyncio.sleep(random.uniform(0.02, 0.2))
    return f"issue {issue} sent to {to}"


@queue.task(queue="media")
def resize_image(path: str, width: int = 1200) -> str:
    """Resize an image, and say how far it is."""
    steps = random.randint(10, 60)
    for step in range(steps):
        time.sleep(0.1)
        current_job.check_cancelled()
        current_job.progress(step / steps, f"band {step} of {steps}")
    current_job.log(f"wrote {path} at {width} px")
    return f"{path}@{width}"


@queue.task(queue="media", retries=1, backoff=SOON)
def transcode_video(path: str, preset: str) -> dict[str, Any]:
    """Transcode a video, for a minute or two."""
    seconds = random.randint(30, 120)
    for second in range(seconds):
        time.sleep(1)
        current_job.check_cancelled()
        current_job.progress(second / seconds, f"frame {second * 25:,}")
        if second % 5 == 0:
            current_job.log(f"encoded up to frame {second * 25:,} with {preset}")
        if random.random() < 0.01:
            raise RuntimeError(f"codec error in frame {second * 25}: bad marker 0x{second:04x}")
    return {"path": path, "seconds": seconds}


@queue.task(queue="default")
def index_product(product: int) -> int:
    """Index a product for the search."""
    time.sleep(random.uniform(0.01, 0.1))
    if product % 97 == 0:
        raise KeyError(f"product {product} has no description")
    return product


@queue.task(queue="default", retries=0)
def import_prices(supplier: str) -> int:
    """Import prices; one supplier's file is broken."""
    time.sleep(random.uniform(0.3, 1.5))
    if supplier == "acme":
        raise UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte in prices.csv")
    return random.randint(100, 900)


@queue.task(queue="reports")
def build_report(month: str) -> str:
    """Build a report; its queue is paused."""
    time.sleep(2)
    return f"{month}.pdf"


@queue.every(20, queue="default")
def refresh_rates() -> float:
    """Refresh exchange rates."""
    time.sleep(0.4)
    return round(random.uniform(1.0, 1.2), 4)


@queue.cron("*/2 * * * *", queue="reports")
def daily_figures() -> str:
    """Build the figures; they wait while the queue is paused."""
    return "figures"


@queue.cron("30 3 * * 1-5", tz="Europe/Prague", queue="default")
def tidy_carts() -> int:
    """Drop carts that nobody came back to."""
    return 0


def traffic(order: int) -> None:
    """Enqueue what one order brings about."""
    customer = f"customer{order % 500}@example.com"
    charge_card.delay(order, random.uniform(5, 250), card_token=f"tok_{order:08d}4242")
    reserve_stock.delay(order, {"mug": random.randint(1, 3), "tea": 1})
    pack.using(delay=random.uniform(0.5, 3)).delay(order)
    send_receipt.using(delay=random.uniform(1, 5)).delay(order, customer)
    rare: list[tuple[float, Callable[[], object]]] = [
        (0.5, lambda: index_product.delay(random.randint(1, 2000))),
        (0.12, lambda: resize_image.delay(f"photos/{order}.jpg", width=random.choice([640, 1200]))),
        (0.008, lambda: transcode_video.delay(f"clips/{order}.mov", preset="1080p")),
        (0.03, lambda: import_prices.delay(random.choice(["acme", "globex", "initech"]))),
        (0.02, lambda: build_report.delay(f"2026-{order % 12 + 1:02d}")),
        (0.02, lambda: send_newsletter.map((f"reader{n}@example.com", order) for n in range(80))),
        (0.04, lambda: pack.using(delay=random.uniform(600, 90_000)).delay(order)),
    ]
    for share, enqueue in rare:
        if random.random() < share:
            enqueue()


def main() -> None:
    """Run traffic, two workers and the dashboard until Ctrl+C."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", default="8420")
    options = parser.parse_args()
    command = [sys.executable, "-m", "mainspring"]
    app = ["--app", "live_shop:queue"]
    with tempfile.TemporaryDirectory(prefix="live-shop-") as folder, ExitStack() as running:
        os.environ["MAINSPRING_URL"] = f"sqlite:///{folder}/jobs.db"
        here = Path(__file__).parent

        def start(*words: str, **how: Any) -> None:
            process = subprocess.Popen([*command, *words], cwd=here, **how)
            running.callback(process.wait)
            running.callback(process.terminate)

        queue.pause("reports")
        log = running.enter_context(Path(folder, "workers.log").open("w"))
        for _ in range(2):
            start("worker", *app, "--grace", "1", stdout=log, stderr=log)
        start("dashboard", *app, "--port", options.port, "--redact", "card_token")
        with suppress(KeyboardInterrupt):
            order = 1000
            while True:
                traffic(order)
                order += 1
                # The hours of a day in ten minutes: more orders, then fewer.
                time.sleep(random.uniform(0.05, 0.4))
        queue.close()


if __name__ == "__main__":
    main()

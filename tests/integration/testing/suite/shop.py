"""A small program with tasks of every kind, as its authors would write it."""

from __future__ import annotations

import asyncio
import os
import time
from datetime import timedelta
from typing import TYPE_CHECKING

from mainspring import GiveUp, Queue, Retry, Snooze, Unique, current_job

if TYPE_CHECKING:
    import sqlite3

queue = Queue()
outbox: list[str] = []
failures: list[int] = []


class Declined(Exception):
    """The bank says no."""


@queue.task
def send_receipt(order: int, *, copy: bool = False) -> str:
    outbox.append(f"receipt {order}{' copy' if copy else ''}")
    return outbox[-1]


@queue.task(retries=3)
def charge(order: int) -> int:
    """Fail as often as `failures` says, one for each attempt."""
    if failures and failures.pop():
        raise ConnectionError(f"order {order}, attempt {current_job.attempt}")
    send_receipt.delay(order)
    return current_job.attempt


@queue.task(give_up_on=Declined)
def pay(order: int) -> None:
    raise Declined(order)


@queue.task
def give_up(order: int) -> None:
    raise GiveUp("never again")


@queue.task
def poll(order: int) -> str:
    if not outbox:
        raise Retry(delay=30)
    return outbox[0]


@queue.task
def nap(order: int) -> None:
    if not outbox:
        raise Snooze(60)


@queue.task(expires=60)
def offer(order: int) -> None:
    outbox.append(f"offer {order}")


@queue.task(unique=Unique(by="args"))
def index(order: int) -> None:
    outbox.append(f"index {order}")


@queue.task(queue="images", priority=5)
def resize(name: str) -> str:
    return name.upper()


@queue.task(timeout=5)
async def fetch(seconds: float) -> float:
    await asyncio.sleep(seconds)
    return seconds


@queue.task
async def fetch_all(orders: list[int]) -> list[str]:
    jobs = [await send_receipt.adelay(order) for order in orders]
    return [await job for job in jobs]


@queue.task
def batch(orders: list[int]) -> list[str]:
    return [send_receipt.delay(order).result() for order in orders]


@queue.task(executor="process")
def render(order: int) -> tuple[int, bool]:
    current_job.progress(0.5, "half")
    current_job.log(f"page {order}")
    return order * 2, os.environ.get("SHOP_TEST") == str(os.getpid())


@queue.task(executor="process", retries=0)
def render_and_send(order: int) -> None:
    send_receipt.delay(order)


@queue.task(timeout=5, retries=0)
def crunch(seconds: int) -> None:
    if seconds:
        advance[0](seconds)


advance = [time.sleep]


@queue.task
def long_body(pages: int) -> int:
    for page in range(pages):
        current_job.check_cancelled()
        current_job.progress(page / pages, f"page {page}")
        current_job.log(f"page {page}")
    return pages


@queue.cron("0 */2 * * *")
def report() -> None:
    outbox.append("report")


@queue.every(timedelta(hours=6), name="sweep")
def sweep() -> None:
    outbox.append("sweep")


def place_order(order: int) -> None:
    charge.delay(order)
    send_receipt.using(delay=timedelta(days=1)).delay(order, copy=True)


def save_order(conn: sqlite3.Connection, order: int) -> None:
    conn.execute("INSERT INTO orders VALUES (?)", (order,))
    send_receipt.using(conn=conn).delay(order)
    if order < 0:
        raise ValueError("an order below zero")

"""A producer of the long kill harness: enqueues jobs of every kind until it is killed.

Before each call it writes to the file `calls` what it is about to do, after it what it was told.
"""

from __future__ import annotations

import random
import sys
import time

from app import booked, in_loop, in_process, in_thread, queue, retried, unique, write

SINGLE = {
    "thread": in_thread,
    "loop": in_loop,
    "process": in_process,
    "retried": retried,
    "booked": booked,
}
KINDS = [*SINGLE, "unique", "batch"]
WEIGHTS = [20, 20, 10, 8, 6, 8, 3]
SHORT, LONG = (0.0, 0.0, 0.005, 0.02), 0.5


def enqueue(kind, number, rng):
    """Enqueue one job or a batch; return how many numbers it has used."""
    seconds = LONG if rng.random() < 0.02 else rng.choice(SHORT)
    if kind == "batch":
        count = rng.randint(5, 50)
        write("calls", "batch", number, count)
        calls = [in_thread.call(number + one, 0.0) for one in range(count)]
        for one, job in enumerate(queue.enqueue_many(calls)):
            write("calls", "ack", number + one, job.id)
        return count
    write("calls", kind, number)
    if kind == "unique":
        key = f"key {rng.randint(0, 9)}"
        job = unique.using(unique=key).delay(number, seconds, key)
    else:
        job = SINGLE[kind].delay(number, seconds)
    write("calls", "ack", number, job.id)
    return 1


def main(first, rate):
    rng, number, began = random.Random(first), first, time.monotonic()
    while True:
        time.sleep(max(0.0, began + (number - first) / rate - time.monotonic()))
        number += enqueue(rng.choices(KINDS, WEIGHTS)[0], number, rng)


main(int(sys.argv[1]), float(sys.argv[2]))

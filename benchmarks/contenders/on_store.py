"""Our store alone, as a contender for drains; run as a module it is its worker.

It claims and records by the store's own statements and scripts, and runs each job on the spot,
without an engine: no retries, leases that are renewed, rescue, timeouts, slots or loops. What
mainspring takes longer is what those cost.
"""

from __future__ import annotations

import sys

from benchmarks.contenders import on_mainspring, workload
from benchmarks.contenders.on_mainspring import queue, setup
from msgspec import json

from mainspring.model.job import Claim, Outcome, OutcomeKind, Want

BATCH = 256
LEASE = 600.0
PATIENCE = 60.0


class Contender(on_mainspring.Contender):
    """The queue of mainspring, with another worker."""

    worker: tuple[str, ...] = (sys.executable, "-m", "benchmarks.contenders.on_store")


def work() -> None:
    """Drain until killed."""
    perform = getattr(workload, setup.task)
    store = queue.store
    node = store.join("alone", host="", pid=0, lease=LEASE)
    want = Want((setup.task,), None, BATCH)

    def outcome_of(claim: Claim) -> Outcome:
        args, _ = json.decode(claim.payload)
        result = json.encode(perform(*args))
        return Outcome(claim.key, claim.fence, OutcomeKind.COMPLETED, result=result)

    outcomes: list[Outcome] = []
    ready = store.listen("ready")
    while True:
        claims = store.exchange(node, outcomes, [want]).claims
        outcomes = [outcome_of(claim) for claim in claims]
        if not claims:
            ready.wait(PATIENCE)


if __name__ == "__main__":
    work()

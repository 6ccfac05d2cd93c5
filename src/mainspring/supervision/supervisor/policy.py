"""The order in which a supervisor starts and closes its services."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Policy:
    """The order in which a supervisor starts and closes its services.

    `in_order`: it starts one when the one before is ready, and closes them one by one, in reverse;
    it takes none while it runs, and when one fails for good, it closes all others and says so. Else
    services come and go while it runs, all are closed together, the last asked first, and one that
    fails leaves the others be; who runs it keeps the time.
    """

    in_order: bool
    last_wait: float
    """Seconds for cancelled services to end before they are left behind."""


IN_ORDER = Policy(in_order=True, last_wait=2.0)
TOGETHER = Policy(in_order=False, last_wait=1.5)  # less than who runs it gives to it

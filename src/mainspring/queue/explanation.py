"""Explanation of a job's state: the reasons why it does not run, or what became of it.

Made of what a store's catalog tells, as values of one moment; no process is asked. Slots are busy
with the jobs that their node holds in the store.
"""

from __future__ import annotations

from shlex import quote
from typing import TYPE_CHECKING, Literal

from msgspec.structs import replace

from mainspring.clock import utc_now
from mainspring.model.crash import is_suspect, lost_its_workers
from mainspring.model.job import JobState
from mainspring.model.printable import printable
from mainspring.model.value import Value
from mainspring.model.view import JobFilter
from mainspring.queue.nodes import nodes_of, records_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from mainspring.model.view import JobRecord, LaneRecord
    from mainspring.protocols import JobStore
    from mainspring.queue.nodes import NodeInfo

Why = Literal[
    "paused",
    "scheduled",
    "retrying",
    "expired",
    "no worker",
    "queue not served",
    "task not known",
    "workers stop",
    "slots busy",
    "alone",
    "about to start",
    "running",
    "cancelling",
    "worker lost",
    "completed",
    "failed",
    "cancelled",
]
"""The kinds of reasons, for programs; texts for people may change."""

MOST_HOLDERS = 3
"""Jobs that are named of those that hold busy slots, the longest."""

MOST_RUNNING = 500
"""Running jobs that are read to find these, the oldest."""

MOST_NAMES = 5
"""Names of workers, queues or tasks in one sentence."""


class Reason(Value, frozen=True):
    """One reason: its kind, and a sentence for people."""

    why: Why
    text: str

    def __str__(self) -> str:
        return self.text


class Explanation(Value, frozen=True):
    """The reasons why a job does not run, as of `at` (aware UTC), or what it does instead.

    `reasons` come in the order in which they are to be mended: while one of them holds, those
    behind it do not matter. There is always at least one. `str()` gives a line for each.
    """

    job_id: str
    task: str
    queue: str
    state: JobState
    at: datetime
    reasons: tuple[Reason, ...]

    def __str__(self) -> str:
        return "\n".join(reason.text for reason in self.reasons)


class QueueState(Value, frozen=True):
    """The surroundings of a job: paused queues, lanes with jobs that wait, and live workers.

    `running` are jobs that run, as many as were read.
    """

    paused: Collection[str]
    lanes: Sequence[LaneRecord]
    nodes: Sequence[NodeInfo]
    running: Sequence[JobRecord] = ()


def explain(store: JobStore, record: JobRecord, kind: str | None) -> Explanation:
    """Return why a job does not run; `kind` is the kind of slot it needs, None: not known here."""
    around = QueueState(store.paused(), store.lanes(), nodes_of(store, records_of(store)))
    found = explained(record, around, utc_now(), kind)
    if all(reason.why != "slots busy" for reason in found.reasons):
        return found
    wanted = JobFilter(status=JobState.RUNNING)
    running = store.jobs(wanted, limit=MOST_RUNNING, oldest_first=True)
    return explained(record, replace(around, running=running), found.at, kind)


def explained(
    record: JobRecord, around: QueueState, now: datetime, kind: str | None = None
) -> Explanation:
    """Return why a job does not run, from what is known of it and of its surroundings."""
    if record.state is JobState.PENDING:
        reasons = tuple(_waiting(record, around, now, kind))
    elif record.state is JobState.RUNNING:
        reasons = tuple(_running(record, around))
    else:
        reasons = (_ended(record),)
    return Explanation(record.id, record.task, record.queue, record.state, now, reasons)


def _waiting(
    record: JobRecord, around: QueueState, now: datetime, kind: str | None
) -> Iterator[Reason]:
    if record.expires_at is not None and record.expires_at <= now:
        yield Reason("expired", f"it expired at {_at(record.expires_at)}, and is not run any more")
        return
    queue = printable(record.queue)
    if record.queue in around.paused:
        named = printable(quote(record.queue))
        resume = f"queue {queue} is paused; resume it: mainspring queues resume {named}"
        yield Reason("paused", resume)
    if record.run_at > now:
        yield _due(record, now)
    yield from _workers(record, around, now, kind)


def _due(record: JobRecord, now: datetime) -> Reason:
    when = f"{_at(record.run_at)}, in {(record.run_at - now).total_seconds():,.1f} s"
    if record.attempts or record.crashes:
        failure = "" if record.failure is None else f", after {printable(str(record.failure))}"
        text = f"it waits for another attempt until {when}; it has had {_tries(record)}{failure}"
        return Reason("retrying", text)
    return Reason("scheduled", f"it may not start before {when}")


def _workers(
    record: JobRecord, around: QueueState, now: datetime, kind: str | None
) -> Iterator[Reason]:
    """Yield what keeps workers from taking the job, or that one is about to."""
    live = [node for node in around.nodes if node.live]
    task, queue = printable(record.task), printable(record.queue)
    if not live:
        gone = f"; gone is {_listed(node.name for node in around.nodes)}" if around.nodes else ""
        yield Reason("no worker", f"no worker is live{gone}; start one: mainspring worker")
        return
    serving = [node for node in live if _serves(node.serves.queues, record.queue)]
    knowing = [node for node in live if _serves(node.serves.tasks, record.task)]
    taking = [node for node in serving if node in knowing]
    if not serving:
        served = _listed({one for node in live for one in node.serves.queues or ()})
        yield Reason("queue not served", f"no live worker takes from queue {queue}, only {served}")
    if not knowing:
        yield Reason("task not known", f"no live worker knows task {task}; {_which(live)}")
    if serving and knowing and not taking:
        knows = _listed(node.name for node in knowing)
        text = f"those that know task {task} ({knows}) do not take from queue {queue}"
        yield Reason("task not known", f"no worker of queue {queue} knows task {task}; {text}")
    if taking:
        yield _slots(record, around, taking, now, kind)


def _slots(
    record: JobRecord,
    around: QueueState,
    taking: Sequence[NodeInfo],
    now: datetime,
    kind: str | None,
) -> Reason:
    staying = [node for node in taking if not node.report.get("draining")]
    if not staying:
        stop = f"{_listed(node.name for node in taking)}, which would take it, is about to stop"
        return Reason("workers stop", stop)
    queue = printable(record.queue)
    wait = sum(lane.pending for lane in around.lanes if lane.queue == record.queue)
    ahead = f"{wait:,} {'job waits' if wait == 1 else 'jobs wait'} in queue {queue}, it among them"
    ahead += _elsewhere(record.queue, around, staying)
    full = [_full(node, kind) for node in staying]
    roomy = [node for node, text in zip(staying, full, strict=True) if text is None]
    if not roomy:
        busy = _listed(text for text in full if text is not None)
        holders = _holders(around.running, staying, kind)
        return Reason("slots busy", f"all slots are busy: {busy}{holders}; {ahead}")
    if is_suspect(record.crashes):
        text = f"it has crashed {record.crashes} times, and runs when no other such job does"
        return Reason("alone", f"{text}; {ahead}")
    held = record.queue in around.paused or record.run_at > now
    when = "then" if held else "it may start now;"
    return Reason("about to start", f"{when} {_taken_by(roomy)}; {ahead}")


def _taken_by(nodes: Sequence[NodeInfo]) -> str:
    """Return which of the nodes that have room take a job, or that none of them gives a sign."""
    answering = [node for node in nodes if node.state != "silent"]
    if answering:
        return f"{_listed(node.name for node in answering)} takes it in its turn"
    silent = _listed(f"{node.name}{_silence(node)}" for node in nodes)
    return f"{silent} would take it, and takes nothing before it answers again"


def _silence(node: NodeInfo) -> str:
    """Return for how long a silent node has given no sign of life, "" for another."""
    if node.state != "silent":
        return ""
    # A node without these in its report is not called silent.
    seconds = node.report["lease"] - node.expires_in
    return f", silent for {seconds:.0f} s (suspended, cut off or very busy),"


def _elsewhere(queue: str, around: QueueState, nodes: Sequence[NodeInfo]) -> str:
    """Return how many jobs of other queues the same workers could take now, "" for none."""
    ready: dict[str, int] = {}
    for lane in around.lanes:
        taken = any(
            _serves(node.serves.queues, lane.queue) and _serves(node.serves.tasks, lane.task)
            for node in nodes
        )
        waits = lane.pending - lane.scheduled
        if taken and waits > 0 and lane.queue != queue and lane.queue not in around.paused:
            ready[lane.queue] = ready.get(lane.queue, 0) + waits
    if not ready:
        return ""
    most = max(sorted(ready), key=lambda name: ready[name])
    listed = f"{ready[most]:,} of {printable(most)}"
    others = sum(ready.values()) - ready[most]
    more = f" and {others:,} of others" if others else ""
    return f"; its workers take from other queues, too, where {listed}{more} are ready"


def _full(node: NodeInfo, kind: str | None) -> str | None:
    """Return how busy a node is; None if a slot is free, or it does not say."""
    slots: Mapping[str, Mapping[str, int]] = (
        {} if "report" in node.unreadable else node.report.get("slots", {})
    )
    asked = {one: slots[one] for one in slots if kind is None or one == kind}
    if not asked or any(one["running"] < one["size"] > _abandoned(one) for one in asked.values()):
        return None
    busy = ", ".join(f"{name} {_occupied(one)}" for name, one in asked.items())
    return f"{node.name} ({busy})"


def _occupied(slots: Mapping[str, int]) -> str:
    """Return how many slots of a kind are busy, or which bodies keep the node from taking more."""
    busy, abandoned = f"{slots['running']} of {slots['size']}", _abandoned(slots)
    if abandoned < slots["size"]:
        return busy
    return f"{busy}, and none is free before one ends of {abandoned} that were given up"


def _abandoned(slots: Mapping[str, int]) -> int:
    """Return how many bodies were given up and still run; an older node does not say."""
    return slots.get("abandoned", 0)


def _holders(running: Iterable[JobRecord], nodes: Sequence[NodeInfo], kind: str | None) -> str:
    """Return which jobs have held slots of a kind for longest, "" if it is not known."""
    kinds = {node.name: node.serves.kinds for node in nodes}

    def holds(one: JobRecord) -> bool:
        if one.node not in kinds:
            return False
        tasks = kinds[one.node].get(kind or "")
        return tasks is None or one.task in tasks

    started = [(one.started_at, one) for one in running if one.started_at and holds(one)]
    oldest = sorted(started, key=lambda pair: pair[0])[:MOST_HOLDERS]
    named = [
        f"job {one.id} ({printable(one.task)}) on {printable(one.node or '')} since {_at(since)}"
        for since, one in oldest
    ]
    return f"; held for longest by {', '.join(named)}" if named else ""


def _running(record: JobRecord, around: QueueState) -> Iterator[Reason]:
    since = "" if record.started_at is None else f" since {_at(record.started_at)}"
    node = next((node for node in around.nodes if node.name == record.node), None)
    if node is None or not node.live:
        live = any(one.live for one in around.nodes)
        next_ = "another worker takes it over" if live else "no worker is live to take it over"
        text = f"its worker {printable(record.node or 'of unknown name')} is gone; {next_}"
        yield Reason("worker lost", text)
        return
    if record.cancelling:
        text = f"it was asked to be cancelled; its body has run{since} and has not ended yet"
        yield Reason("cancelling", text)
    said = f", at {record.progress:.0%}" if record.progress else ""
    silence = _silence(node)
    yield Reason("running", f"it runs on {printable(node.name)}{silence}{since}{said}")


def _ended(record: JobRecord) -> Reason:
    at = "" if record.completed_at is None else f" at {_at(record.completed_at)}"
    reason = "" if record.failure is None else f": {printable(str(record.failure))}"
    if record.state is JobState.COMPLETED:
        return Reason("completed", f"it completed{at}")
    if record.state is JobState.CANCELLED:
        return Reason("cancelled", f"it was cancelled{at}{reason}")
    again = f"; run it again: mainspring jobs retry {record.id}"
    if lost_its_workers(record.failure):
        again = f"; it may take the next worker with it, too{again}"
    return Reason("failed", f"it failed for good{at}, after {_tries(record)}{reason}{again}")


def _tries(record: JobRecord) -> str:
    tries = "1 attempt" if record.attempts == 1 else f"{record.attempts} attempts"
    if not record.crashes:
        return tries
    return f"{tries} and {record.crashes} {'crash' if record.crashes == 1 else 'crashes'}"


def _which(live: Sequence[NodeInfo]) -> str:
    known = {task for node in live for task in node.serves.tasks or ()}
    if not known:
        return "those that live know none"
    return f"{_listed(node.name for node in live)} knows {_listed(known)}; deploy it, or rename it"


def _serves(served: Collection[str] | None, name: str) -> bool:
    return served is None or name in served


def _listed(names: Iterable[str]) -> str:
    """Return names for a sentence, in order, the first few of them."""
    all_ = sorted({printable(name) for name in names})
    more = f" and {len(all_) - MOST_NAMES:,} more" if len(all_) > MOST_NAMES else ""
    return ", ".join(all_[:MOST_NAMES]) + more


def _at(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"

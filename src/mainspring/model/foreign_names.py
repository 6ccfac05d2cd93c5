"""Names that other libraries have for what is here under another one, for the ends of messages."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

OPTIONS: Mapping[str, tuple[str, ...]] = {
    "autoretry_for": ("retry_on",),
    "countdown": ("delay",),
    "crontab": ("cron",),
    "default_retry_delay": ("backoff",),
    "defer_by": ("delay",),
    "defer_until": ("run_at",),
    "dont_autoretry_for": ("give_up_on",),
    "eta": ("run_at",),
    "every": ("interval",),
    "job_id": ("idempotency_key",),
    "job_timeout": ("timeout",),
    "max_age": ("expires",),
    "max_retries": ("retries",),
    "min_backoff": ("backoff",),
    "queue_name": ("queue",),
    "queueing_lock": ("unique",),
    "result_expires": ("keep_result",),
    "result_ttl": ("keep_result",),
    "retry": ("retries",),
    "retry_backoff": ("backoff",),
    "retry_delay": ("backoff",),
    "retry_when": ("retry_on",),
    "schedule_at": ("run_at",),
    "schedule_in": ("delay",),
    "seconds": ("interval",),
    "soft_time_limit": ("timeout",),
    "task_id": ("idempotency_key",),
    "throws": ("give_up_on",),
    "time_limit": ("timeout",),
    "timezone": ("tz",),
    "trigger": ("cron", "interval"),
}
"""The options of Celery, RQ, Huey, arq, Dramatiq, procrastinate and APScheduler, and ours."""

ABSENT: Mapping[str, str] = {
    "bind": "the body finds its job in mainspring.current_job",
    "depends_on": "chains are not built; let a job enqueue the next one",
    "pass_context": "the body finds its job in mainspring.current_job",
    "rate_limit": "rates are not limited here, see docs/howto/limits.md",
}
"""Options for which there is no option here."""


def our_option(option: str, known: Collection[str]) -> str:
    """Return a clause that says what another library's option is here, "" if that is not known."""
    if option in ABSENT:
        return ABSENT[option]
    ours = [f"{name}=" for name in OPTIONS.get(option, ()) if name in known]
    return f"give {' or '.join(ours)}" if ours else ""


def missing(owner: object, name: str, instead: Mapping[str, str]) -> AttributeError:
    """Return the error of an attribute that `owner` lacks, with what to write in its place."""
    end = f"; write {instead[name]}" if name in instead else ""
    text = f"{type(owner).__name__!r} object has no attribute {name!r}{end}"
    return AttributeError(text, name=name, obj=owner)

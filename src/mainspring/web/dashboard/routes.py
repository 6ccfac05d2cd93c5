"""The table of routes: each with its method, its page and its policy. There are no others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from mainspring.web.dashboard.pages import (
    audit,
    bulk,
    edit,
    failures,
    job,
    jobs,
    nodes,
    overview,
    queues,
    schedules,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from mainspring.web.dashboard.visit import Done, Page, Visit

Policy = Literal["public", "viewer", "operator"]
"""Least role of whoever may ask; public is anybody who knows our name."""


class PageRoute(NamedTuple):
    """A page, or a change, at a path."""

    method: Literal["GET", "POST"]
    path: str
    policy: Policy
    answer: Callable[[Visit], Page | Done]
    action: str = ""
    """The name of a change in the audit log."""


ROUTES = (
    PageRoute("GET", "/", "viewer", overview.overview),
    PageRoute("GET", "/jobs", "viewer", jobs.jobs),
    PageRoute("GET", "/jobs/{job_id}", "viewer", job.job),
    PageRoute("GET", "/jobs/{job_id}/edit", "operator", edit.edit),
    PageRoute("GET", "/dead-letters", "viewer", jobs.dead_letters),
    PageRoute("GET", "/failures", "viewer", failures.failures),
    PageRoute("GET", "/queues", "viewer", queues.queues),
    PageRoute("GET", "/queue", "viewer", queues.queue),
    PageRoute("GET", "/schedules", "viewer", schedules.schedules),
    PageRoute("GET", "/nodes", "viewer", nodes.nodes),
    PageRoute("GET", "/audit", "viewer", audit.audit),
    PageRoute("POST", "/bulk", "operator", bulk.bulk, "jobs"),
    PageRoute("POST", "/jobs/{job_id}/retry", "operator", job.retry, "jobs retry"),
    PageRoute("POST", "/jobs/{job_id}/edit", "operator", edit.retry_edited, "jobs retry"),
    PageRoute("POST", "/jobs/{job_id}/cancel", "operator", job.cancel, "jobs cancel"),
    PageRoute("POST", "/jobs/{job_id}/run", "operator", job.run_now, "jobs run-now"),
    PageRoute("POST", "/jobs/{job_id}/stack", "operator", job.dump_stack, "jobs stack"),
    PageRoute("POST", "/queues/pause", "operator", queues.pause, "queues pause"),
    PageRoute("POST", "/queues/resume", "operator", queues.resume, "queues resume"),
    PageRoute("POST", "/schedules/pause", "operator", schedules.pause, "cron pause"),
    PageRoute("POST", "/schedules/resume", "operator", schedules.resume, "cron resume"),
    PageRoute("POST", "/schedules/run", "operator", schedules.run_now, "cron run"),
)

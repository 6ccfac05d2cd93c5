"""Sentry, by its logging integration alone: what it sends for a job that fails."""

from __future__ import annotations

import pytest
import sentry_sdk
from sentry_sdk.integrations.logging import LoggingIntegration
from sentry_sdk.transport import Transport

from mainspring import JobFailed, Queue


class KeptEvents(Transport):
    """Stands in for the way to Sentry's server."""

    def __init__(self):
        super().__init__()
        self.events = []
        self.breadcrumbs = []

    def capture_envelope(self, envelope):
        self.events += filter(None, [envelope.get_event()])

    def keep_breadcrumb(self, breadcrumb, _hint):
        """Keep what Sentry keeps for the events of that thread; a retry may run in another."""
        self.breadcrumbs.append(breadcrumb)
        return breadcrumb


@pytest.fixture
def sent():
    """What Sentry was sent."""
    before = sentry_sdk.get_global_scope().client
    kept = KeptEvents()
    # As a program does, but for its other default integrations: they change the whole process.
    sentry_sdk.init(
        dsn="https://key@sentry.invalid/1",
        transport=kept,
        before_breadcrumb=kept.keep_breadcrumb,
        default_integrations=False,
        integrations=[LoggingIntegration()],
    )
    yield kept
    sentry_sdk.get_global_scope().set_client(before)


@pytest.mark.parametrize("kind", ["thread", "async"])
def test_a_job_that_fails_for_good_is_one_event_with_its_error(sent, kind):
    queue = Queue("memory://", workers=1)

    def charge():
        raise ZeroDivisionError("no money")

    async def acharge():
        charge()

    task = queue.task(name="charge", retries=1, backoff=[0])(
        charge if kind == "thread" else acharge
    )
    with queue.worker():
        job = task.delay()
        with pytest.raises(JobFailed):
            job.result(timeout=10)
    queue.close()
    (event,) = sent.events
    cause, error = event["exception"]["values"]
    assert (error["type"], error["value"]) == ("ZeroDivisionError", "no money")
    assert "in charge" in cause["value"]  # the traceback, as the worker or its child had it
    assert event["level"] == "error"
    assert event["logger"] == "mainspring"
    assert job.id in event["logentry"]["formatted"]
    assert event["extra"]["mainspring_task"] == "charge"
    assert event["extra"]["mainspring_attempt"] == 2
    assert any("failed: ZeroDivisionError" in one["message"] for one in sent.breadcrumbs)

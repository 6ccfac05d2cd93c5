"""Bodies run by the real attempt: here, on a loop with the test's clock, or in a child process."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from mainspring.clock import monotonic
from mainspring.engine.attempts.attempt import Attempt, error_on_record
from mainspring.engine.children.child_main import ChildHost
from mainspring.engine.claims.claim_context import ClaimContext
from mainspring.executors.coroutine_slots import SlotGroup
from mainspring.queue.kit.children import RealChildren
from mainspring.queue.kit.loop import ClockLoop, no_running_loop

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence
    from contextlib import AbstractContextManager

    from mainspring.engine.attempts.resources import Resources
    from mainspring.engine.attempts.running import Awaited
    from mainspring.engine.claims.complete_in import Completions
    from mainspring.model.job import Claim, Outcome
    from mainspring.model.middleware import Middleware
    from mainspring.model.task import Registry
    from mainspring.protocols import Codec
    from mainspring.queue.kit.clock import MovedClock
    from mainspring.queue.kit.executor import InlineBody, InlineExecutor
    from mainspring.telemetry.job_events import JobEvents


class InlineHost(ClaimContext):
    """The host of a worker that runs what a body waits for in the midst of it."""

    def waits(self, claim: Claim, awaited: Awaited) -> AbstractContextManager[None]:  # noqa: ARG002  # as the base's
        """Return a block like any other: no slot is held that others need."""
        return nullcontext()


class RecordedAttempt(Attempt):
    """An attempt that keeps errors as they were raised, and whose retries wait for a known time.

    `errors` holds what the last attempt of each job raised, by the job's key.

    A retry waits for the longest that its backoff allows, not for a random part of that.
    """

    chance = 1.0

    def __init__(self, *args: object, **options: object) -> None:
        super().__init__(*args, **options)  # type: ignore[arg-type]  # the base's own
        self.errors: dict[int, BaseException] = {}

    def decide(self, claim: Claim, error: BaseException, began: float) -> Outcome:
        """Return the outcome of an attempt that raised, and keep the error."""
        self.errors[claim.key] = error_on_record(claim, error)
        return super().decide(claim, error, began)


class Bodies:
    """Runs the body of one claim and returns its outcome; never raises what a body does.

    `errors` holds what the last attempt of each job raised in this process, by the job's key.
    """

    def __init__(  # noqa: PLR0913  # what an attempt needs
        self,
        tasks: Registry,
        codec: Codec,
        clock: MovedClock,
        executor: InlineExecutor,
        *,
        completions: Completions,
        note: Callable[[int, int, int], None],
        on_note: Callable[[bytes], object],
        middleware: Sequence[Middleware],
        resources: Resources,
        events: JobEvents,
        processes: bool,
    ) -> None:
        self._tasks = tasks
        self._clock = clock
        self._loop: ClockLoop | None = None
        self._helpers: set[asyncio.Task[None]] = set()
        self._end_of_test: BaseException | None = None
        self._loops_in_use: list[asyncio.AbstractEventLoop] = []
        here = InlineHost(tasks, codec, completions, _never)
        here.executors.append(executor)
        inside = completions.outcomes
        self._attempt = RecordedAttempt(
            tasks,
            codec,
            note,
            at=here,
            completed_inside=inside,
            middleware=middleware,
            resources=resources,
            events=events,
        )
        self._resources = resources
        self.errors = self._attempt.errors
        # In a child's stead: what it could not do, is refused here, too.
        self._as_child = RecordedAttempt(
            tasks,
            codec,
            note,
            at=ChildHost(_never),
            middleware=middleware,
            resources=resources,
            events=events,
        )
        self._as_child.errors = self.errors
        self._children: RealChildren | None = None
        if processes:
            self._children = RealChildren(
                self._attempt, tasks, codec.limit_bytes, note, on_note, middleware=middleware
            )

    def timeout(self, claim: Claim) -> float | None:
        """Return the seconds this attempt may take, None for as long as it likes."""
        return self._attempt.timeout(claim)

    def run(self, body: InlineBody) -> Outcome:
        """Run it to its end. A coroutine has a loop with the test's clock for its own."""
        self.errors.pop(body.claim.key, None)
        if self._is_coroutine(body.claim):
            return self._run_coroutine(body)
        return self._run_here(body)

    async def arun(self, body: InlineBody) -> Outcome:
        """Run it to its end, a coroutine on the running loop."""
        self.errors.pop(body.claim.key, None)
        if self._is_coroutine(body.claim):
            return await self._run_on_loop(body)
        return self._run_here(body)

    def time_out(self, body: InlineBody) -> None:
        """End a body that has run past its timeout by the test's clock."""
        claim, began = body.claim, monotonic()
        body.interrupt(lambda _claim: self._attempt.timed_out(claim, began))

    def help(self, work: Coroutine[Any, Any, None]) -> None:
        """Run `work`, by which bodies run, in a task of its own on the running loop."""
        helper = asyncio.get_running_loop().create_task(work)
        self._helpers.add(helper)
        helper.add_done_callback(self._note_end)

    def _note_end(self, helper: asyncio.Task[None]) -> None:
        self._helpers.discard(helper)
        if not helper.cancelled():
            self._end_of_test = self._end_of_test or helper.exception()

    def run_helpers(self) -> bool:
        """Run to their ends those that bodies have left behind; return whether one ended.

        One that waits for what never comes stays. Raises what ends the test, if one of them did.
        """
        if self._loop is None or self._loop.is_running():
            return False
        return self._loop.run(self._wait_for_helpers(self._loop))

    async def arun_helpers(self) -> bool:
        """Do the same for the running loop."""
        return await self._wait_for_helpers(asyncio.get_running_loop())

    async def _wait_for_helpers(self, loop: asyncio.AbstractEventLoop) -> bool:
        helpers = [one for one in self._helpers if one.get_loop() is loop]
        if helpers and isinstance(loop, ClockLoop):
            await loop.wait(helpers)
        elif helpers:
            await asyncio.wait(helpers)
        error, self._end_of_test = self._end_of_test, None
        if error is not None:
            raise error
        return any(one.done() for one in helpers)

    async def leave_loop(self) -> None:
        """Close what belongs to the running loop, unless a body is in the midst of its run."""
        if asyncio.get_running_loop() not in self._loops_in_use:
            await self._resources.aclose()

    def close(self) -> None:
        """End the loop and the children."""
        if self._loop is not None:
            self._loop.run(self._resources.aclose())
            self._loop.end()
        self._resources.close()
        if self._children is not None:
            self._children.close()

    def _is_coroutine(self, claim: Claim) -> bool:
        task = self._tasks[claim.task]
        if task.executor == "process" and self._children is not None:
            return False
        return task.is_coroutine

    def _run_coroutine(self, body: InlineBody) -> Outcome:
        if self._loop is None:
            self._loop = ClockLoop(self._clock)
        if not self._loop.is_running():
            return self._loop.run(self._run_on_loop(body))
        # In the midst of a body on that loop, which waits for this one.
        nested = ClockLoop(self._clock)
        try:
            return nested.run(self._run_on_loop(body))
        finally:
            nested.run(self._resources.aclose())
            nested.end()

    async def _run_on_loop(self, body: InlineBody) -> Outcome:
        outcomes: list[Outcome] = []
        attempt = self._attempt_of(body.claim)
        body.group = SlotGroup((0,), deque([body.claim]), attempt, outcomes.append)
        body.group.close()
        loop = asyncio.get_running_loop()
        self._loops_in_use.append(loop)
        try:
            await body.group.run()
        finally:
            self._loops_in_use.remove(loop)
        return outcomes[0]

    def _run_here(self, body: InlineBody) -> Outcome:
        claim, began = body.claim, monotonic()
        if self._children is not None and self._tasks[claim.task].executor == "process":
            return self._children.run(claim)
        with no_running_loop():
            outcome = self._attempt_of(claim).run(claim, 0)
        if body.verdict is None and self._is_overdue(body, began):
            self.time_out(body)
        return body.verdict or outcome

    def _is_overdue(self, body: InlineBody, began: float) -> bool:
        really = body.began + monotonic() - began
        return max(self._clock.monotonic(), really) >= body.deadline

    def _attempt_of(self, claim: Claim) -> RecordedAttempt:
        return self._as_child if self._tasks[claim.task].executor == "process" else self._attempt


def _never() -> bool:
    return False

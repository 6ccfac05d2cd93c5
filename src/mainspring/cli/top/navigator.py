"""Navigator: the page that is shown, the row that is chosen, and what a key does there. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainspring.cli.top import pages
from mainspring.model.counted import counted
from mainspring.model.job import FINAL, JobState
from mainspring.model.value import Value

if TYPE_CHECKING:
    from collections.abc import Callable

    from mainspring.cli.top.pages import PageTable
    from mainspring.cli.top.snapshot import Snapshot

PAGES: dict[str, tuple[str, Callable[[Snapshot], PageTable]]] = {
    "1": ("overview", pages.queues),
    "2": ("queues", pages.queues),
    "3": ("nodes", pages.nodes),
    "4": ("failing", pages.failing),
    "5": ("running", pages.running),
}
"""The pages by their keys; the table of each is that whose rows are chosen."""

RETRYABLE = (JobState.FAILED, JobState.CANCELLED)


class Action(Value, frozen=True):
    """An order of the user's, of these things.

    `verb` is quit, look, pause, resume, retry or cancel.
    """

    verb: str
    names: tuple[str, ...] = ()


QUIT, LOOK = Action("quit"), Action("look")


class Navigator:
    """For one thread. `job_id` is the job that is looked into, `message` the last line.

    `scrolled`: lines of that job that are above the screen; `width`: columns that the screen has.
    """

    def __init__(self) -> None:
        self.page = "1"
        self.row = 0
        self.scrolled = 0
        self.width: int | None = None
        self.job_id: str | None = None
        self.message = ""
        self._asked: Action | None = None

    def table(self, now: Snapshot) -> PageTable:
        """Return the table whose rows are chosen."""
        return PAGES[self.page][1](now)

    def chosen(self, now: Snapshot) -> int:
        """Return the number of the chosen row: there may be fewer than there were."""
        return max(0, min(self.row, len(self.table(now).keys) - 1))

    def press(self, key: str, now: Snapshot | None) -> Action | None:
        """Return the order that a key means here; None: it moves, or means nothing."""
        if self._asked is not None:
            return self._answer(key)
        self.message = ""
        if key == "q":
            return QUIT
        if key in PAGES or key == "tab":
            self._turn_to(key if key in PAGES else _after(self.page))
            return None
        if key in ("escape", "left"):
            self.job_id = None
            return LOOK
        return None if now is None else self._act(key, now)

    def _act(self, key: str, now: Snapshot) -> Action | None:
        if key in ("up", "k", "down", "j"):
            self._move(1 if key in ("down", "j") else -1, now)
        elif key in ("enter", "right"):
            return self._look(now)
        elif key == "p":
            return self._pause(now)
        elif key == "r":
            self._retry(now)
        elif key == "c":
            self._cancel(now)
        return None

    def _move(self, step: int, now: Snapshot) -> None:
        if self.job_id is not None:
            lines = 0 if now.job is None else len(pages.job_page(now, self.width))
            self.scrolled = max(0, min(self.scrolled + step, lines - 1))
            return
        self.row = self.chosen(now) + step
        self.row = self.chosen(now)

    def _turn_to(self, page: str) -> None:
        self.page, self.row, self.job_id = page, 0, None

    def _look(self, now: Snapshot) -> Action | None:
        if self.job_id is not None:
            return None
        self.scrolled = 0
        name = self._chosen_key(now)
        if name and PAGES[self.page][0] == "running":
            self.job_id = name
        elif name and PAGES[self.page][0] == "failing":
            self.job_id = now.failing[self.chosen(now)].job_ids[0]
        else:
            self.message = "choose a job: 4 are those that failed, 5 those that run"
            return None
        return LOOK

    def _pause(self, now: Snapshot) -> Action | None:
        name = self._chosen_key(now)
        if self.job_id is not None or not name or PAGES[self.page][0] not in ("overview", "queues"):
            self.message = "choose a queue: page 2"
            return None
        return Action("resume" if name in now.paused else "pause", (name,))

    def _retry(self, now: Snapshot) -> None:
        if self.job_id is not None:
            if now.job is None or now.job.state not in RETRYABLE:
                self.message = "only a job that has failed or was cancelled can run again"
                return
            self._ask(Action("retry", (self.job_id,)), f"run job {self.job_id} again")
            return
        if PAGES[self.page][0] != "failing" or not now.failing:
            self.message = "choose a failing task: page 4"
            return
        group = now.failing[self.chosen(now)]
        jobs = counted(len(group.job_ids), "failed job")
        self._ask(Action("retry", group.job_ids), f"run {jobs} of {group.task} again")

    def _cancel(self, now: Snapshot) -> None:
        on_running = self.job_id is None and PAGES[self.page][0] == "running"
        job_id = self._chosen_key(now) if on_running else self.job_id
        if not job_id:
            self.message = "choose a job that runs: page 5"
        elif not on_running and (now.job is None or now.job.state in FINAL):
            self.message = "only a job that waits or runs can be cancelled"
        else:
            self._ask(Action("cancel", (job_id,)), f"cancel job {job_id}")

    def _ask(self, action: Action, said: str) -> None:
        self._asked, self.message = action, f"y: {said}; any other key: no"

    def _answer(self, key: str) -> Action | None:
        asked, self._asked, self.message = self._asked, None, ""
        return asked if key == "y" else None

    def _chosen_key(self, now: Snapshot) -> str:
        keys = self.table(now).keys
        return keys[self.chosen(now)] if keys else ""


def _after(page: str) -> str:
    keys = list(PAGES)
    return keys[(keys.index(page) + 1) % len(keys)]

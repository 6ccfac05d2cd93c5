"""The frame around each page: head, navigation, notices; and the pages that stand alone."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mainspring.stores.public_url import public_url
from mainspring.web.dashboard.files import FILES
from mainspring.web.dashboard.html import Html, joined, tag
from mainspring.web.dashboard.words import hidden

if TYPE_CHECKING:
    from mainspring.web.dashboard.html import Child
    from mainspring.web.dashboard.visit import Page, Visit

SECTIONS = (
    ("/", "Overview"),
    ("/jobs", "Jobs"),
    ("/failures", "Failures"),
    ("/dead-letters", "Dead letters"),
    ("/queues", "Queues"),
    ("/schedules", "Schedules"),
    ("/nodes", "Nodes"),
    ("/audit", "Audit"),
)

NOTICES = {
    "retried": ("1 job runs again.", "{n} jobs run again."),
    "cancelled": (
        "1 job is cancelled, or asked to end.",
        "{n} jobs are cancelled, or asked to end.",
    ),
    "run-now": ("1 job may start now.", "{n} jobs may start now."),
    "rescheduled": ("1 job starts at another time.", "{n} jobs start at another time."),
    "reprioritized": ("1 job has another priority.", "{n} jobs have another priority."),
    "dropped": ("1 job is dropped.", "{n} jobs are dropped."),
    "stack": ("Its stack comes to its log below, in some seconds.",) * 2,
    "unchanged": ("Nothing was changed: it is in another state by now.",) * 2,
    "queue-paused": ("The queue is paused; what runs goes on.",) * 2,
    "queue-resumed": ("The queue goes on.",) * 2,
    "schedule-paused": ("The schedule is paused.",) * 2,
    "schedule-resumed": ("The schedule ticks again, from now on.",) * 2,
    "schedule-run": ("Its job was enqueued.",) * 2,
}
_NOTICE = re.compile(r"([a-z-]{1,40})\.(\d{1,9})", re.ASCII)


def document(visit: Visit, page: Page, *, signs_out: bool) -> str:
    """Return a whole page."""
    content = tag("div", page.body, id="live", data_live=page.live)
    main = tag(
        "main",
        tag(
            "header",
            tag("h1", page.title),
            tag("button", "Pause updates", type="button", id="updates", hidden=True)
            if page.live
            else None,
        ),
        tag("div", _notice(visit), id="notice", role="status"),
        page.above,
        content,
        id="main",
        tabindex=-1,
    )
    skip = tag("a", "Skip to the content", href="#main", class_="skip")
    return _whole(visit.root, page.title, skip, _navigation(visit, signs_out=signs_out), main)


def alone(root: str, title: str, *body: Child) -> str:
    """Return a page without navigation: the login, or what is wrong."""
    main = tag("main", tag("h1", title), *body, class_="card", id="main")
    return _whole(root, title, tag("div", main, class_="alone"))


def login_form(root: str, path: str, trouble: str) -> Html:
    """Return the form that asks for the token."""
    return joined(
        tag("p", trouble, class_="trouble", role="alert") if trouble else None,
        tag(
            "form",
            tag("label", "Token", for_="token"),
            tag(
                "input",
                type="password",
                id="token",
                name="token",
                required=True,
                autofocus=True,
                autocomplete="current-password",
            ),
            hidden(back=path),
            tag("button", "Sign in", type="submit", class_="main"),
            method="post",
            action=f"{root}/login",
            class_="login",
        ),
        tag("p", "It was printed when the dashboard started, with the address.", class_="faint"),
    )


def _whole(root: str, title: str, *body: Child) -> str:
    icon, style, *scripts = (f"{root}/static/{file.address}" for file in FILES.values())
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", f"{title} · mainspring"),
        tag("link", rel="icon", href=icon, type="image/svg+xml"),
        tag("link", rel="stylesheet", href=style),
        [tag("script", src=script, defer=True) for script in scripts],
    )
    return f"<!doctype html>\n{tag('html', head, tag('body', *body), lang='en')}"


def _navigation(visit: Visit, *, signs_out: bool) -> Html:
    links = [
        tag(
            "a",
            title,
            href=visit.url(path),
            aria_current="page" if _is_current(visit.path, path) else None,
        )
        for path, title in SECTIONS
    ]
    store = public_url(visit.site.queue.url)
    brand = tag(
        "a",
        tag("span", class_="mark", aria_hidden="true"),
        "mainspring",
        href=visit.url("/"),
        class_="brand",
    )
    out = tag(
        "form",
        tag("button", "Sign out", type="submit", class_="quiet"),
        method="post",
        action=visit.url("/logout"),
    )
    foot = tag(
        "div",
        tag("p", store, class_="store", title=store),
        tag("p", visit.role, class_="faint"),
        out if signs_out else None,
        class_="foot",
    )
    nav = tag("nav", links, aria_label="Pages")
    return tag("header", brand, nav, foot, class_="side")


def _is_current(path: str, section: str) -> bool:
    return path == section if section == "/" else f"{path}/".startswith(f"{section}/")


def _notice(visit: Visit) -> Html | None:
    found = _NOTICE.fullmatch(visit.query.get("notice", ""))
    if found is None or found[1] not in NOTICES:
        return None
    one, many = NOTICES[found[1]]
    return tag("p", one if found[2] == "1" else many.format(n=f"{int(found[2]):,}"))

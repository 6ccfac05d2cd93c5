"""The dashboard as an ASGI application, to be served alone or mounted in another one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainspring.errors import InvalidOption, MissingExtra, StoreError
from mainspring.queue import Queue

try:
    from starlette.applications import Starlette
    from starlette.exceptions import HTTPException
    from starlette.middleware import Middleware
except ImportError as error:
    raise MissingExtra("mainspring.web.dashboard", "web") from error

from mainspring.web.dashboard.access import access_of
from mainspring.web.dashboard.guard import Guard, SecurityHeaders
from mainspring.web.dashboard.hosts import Hosts
from mainspring.web.dashboard.routes import ROUTES
from mainspring.web.dashboard.site import Site
from mainspring.web.dashboard.visit import Refusal

if TYPE_CHECKING:
    from collections.abc import Collection

    from mainspring.web.dashboard.access import Authorize


def dashboard(
    queue: Queue,
    *,
    authorize: Authorize | None = None,
    token: str | None = None,
    hosts: Collection[str] = (),
    redact: Collection[str] = (),
) -> Starlette:
    """Return the dashboard of a queue as an ASGI application: mount it, or serve it.

    `authorize`: a function of a request, plain or async, that returns "viewer", "operator" or None.
    Without it `token` lets somebody in as an operator: at least 16 letters, from the environment's
    MAINSPRING_DASHBOARD_TOKEN if it is not given, else one is made and logged as a warning.
    `hosts`: names that it is served under; addresses and localhost are known. `redact`: names of
    arguments and fields whose values are shown nowhere. Raises InvalidOption, MissingExtra.
    """
    if not isinstance(queue, Queue):
        raise InvalidOption("queue", queue, owner="dashboard()", expected="a mainspring.Queue")
    if isinstance(redact, str) or not all(isinstance(name, str) for name in redact):
        expected = 'names of arguments, as in redact=["password"]'
        raise InvalidOption("redact", redact, owner="dashboard()", expected=expected)
    guard = Guard(Site(queue, redact), access_of(authorize, token), Hosts(hosts))
    handled = (Refusal, HTTPException, InvalidOption, StoreError, Exception)
    return Starlette(
        routes=[*map(guard.route, ROUTES), *guard.own_routes()],
        middleware=[Middleware(SecurityHeaders)],
        exception_handlers=dict.fromkeys(handled, guard.refused),
    )

"""The way of a request: host, origin, role; then its page in a thread, and the answer's headers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from mainspring.clock import utc_now
from mainspring.errors import InvalidOption, StoreError
from mainspring.web.dashboard.access import TokenAccess
from mainspring.web.dashboard.audit import note
from mainspring.web.dashboard.files import BY_ADDRESS
from mainspring.web.dashboard.form import form_of
from mainspring.web.dashboard.html import tag
from mainspring.web.dashboard.layout import alone, document, login_form
from mainspring.web.dashboard.visit import Done, Refusal, Visit, path_in

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from mainspring.web.dashboard.access import Access, Visitor
    from mainspring.web.dashboard.hosts import Hosts
    from mainspring.web.dashboard.routes import PageRoute, Policy
    from mainspring.web.dashboard.site import Site
    from mainspring.web.dashboard.visit import Page

UNAUTHORIZED, FORBIDDEN, NOT_FOUND, UNAVAILABLE = 401, 403, 404, 503
SEE_OTHER = 303
MOST_AT_ONCE = 16
"""Requests that may be in threads at once; one more is refused."""

YEAR = 31_536_000

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Not no-referrer: browsers would then send `Origin: null` with our own forms.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}

TITLES = {
    400: "That can't be read",
    UNAUTHORIZED: "Sign in",
    FORBIDDEN: "Refused",
    NOT_FOUND: "Not found",
    405: "Not that way",
    409: "That can't be done",
    413: "Too large",
    415: "That can't be read",
    500: "An error of the dashboard",
    UNAVAILABLE: "The store does not answer",
}

SENTENCES = {
    NOT_FOUND: "There is no such page.",
    405: "This address takes a form, or shows a page: the other of the two.",
}


class GuardedRoute(Route):
    """A route with a policy, which is asked before anything else of the request is looked at."""

    def __init__(
        self,
        method: str,
        path: str,
        policy: Policy,
        endpoint: Callable[[Request], Awaitable[Response]],
    ) -> None:
        super().__init__(path, endpoint, methods=[method])
        self.policy = policy


class SecurityHeaders:
    """Adds the headers that every answer has."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, send_with_headers)


class Guard:
    """Makes routes of pages, each behind its policy."""

    def __init__(self, site: Site, access: Access, hosts: Hosts) -> None:
        self._site = site
        self._access = access
        self._hosts = hosts
        self._reading = 0

    def route(self, page: PageRoute) -> GuardedRoute:
        """Return the route of a page or a change."""

        async def answer(request: Request) -> Response:
            if (token := self._token_in(request)) is not None:
                return self._entered(request, token)
            return await self._answered(request, page, await self._admit(request, page.policy))

        return self._guarded(page.method, page.path, page.policy, answer)

    def own_routes(self) -> list[GuardedRoute]:
        """Return the routes of files, login and logout."""
        routes = [self._guarded("GET", "/static/{name}", "public", self._file)]
        if isinstance(self._access, TokenAccess):
            routes.append(self._guarded("POST", "/login", "public", self._log_in))
            routes.append(self._guarded("POST", "/logout", "public", self._log_out))
        return routes

    def _guarded(
        self,
        method: str,
        path: str,
        policy: Policy,
        answer: Callable[[Request], Awaitable[Response]],
    ) -> GuardedRoute:
        async def endpoint(request: Request) -> Response:
            trouble = self._hosts.trouble_with(request)
            if trouble is not None:
                raise Refusal(FORBIDDEN, trouble)
            return await answer(request)

        return GuardedRoute(method, path, policy, endpoint)

    async def _admit(self, request: Request, policy: Policy) -> Visitor:
        """Return who it is; raises Refusal if the role is not enough."""
        visitor = await self._access.visitor(request)
        if visitor is None:
            raise Refusal(UNAUTHORIZED, "")
        if policy == "operator" and visitor.role != "operator":
            raise Refusal(FORBIDDEN, "You may look, but change nothing: that takes an operator.")
        return visitor

    def _token_in(self, request: Request) -> str | None:
        """Return the token in the address, as in the one that is printed at the start."""
        is_ours = isinstance(self._access, TokenAccess) and request.method == "GET"
        return request.query_params.get("token") if is_ours else None

    def _entered(self, request: Request, token: str) -> Response:
        """Return the way to the same address without the token that stands in it."""
        if isinstance(self._access, TokenAccess) and self._access.accepts(token):
            return self._logged_in(request, _own_address(request))
        raise Refusal(UNAUTHORIZED, "That is not the token.")

    async def _answered(self, request: Request, page: PageRoute, visitor: Visitor) -> Response:
        visit = Visit(
            site=self._site,
            root=_root(request),
            path=_own_path(request),
            now=utc_now(),
            role=visitor.role,
            user=visitor.name,
            host="" if request.client is None else request.client.host,
            query=request.query_params,
            form=await form_of(request) if page.method == "POST" else (),
            job_id=request.path_params.get("job_id", ""),
        )
        answer = await self._in_thread(page, visit)
        if isinstance(answer, Done):
            return self._done(visit, answer)
        return self._page(visit, answer)

    async def _in_thread(self, page: PageRoute, visit: Visit) -> Page | Done:
        # A store that hangs must not take the threads of the application that we are mounted in.
        if self._reading >= MOST_AT_ONCE:
            raise Refusal(UNAVAILABLE, "Too many requests wait for the store already; try again.")
        self._reading += 1
        try:
            return await run_in_threadpool(self._answer, page, visit)
        finally:
            self._reading -= 1

    def _answer(self, page: PageRoute, visit: Visit) -> Page | Done:
        answer = page.answer(visit)
        if isinstance(answer, Done):
            self._site.changed()
            note(visit, page.action, answer)
        return answer

    def _page(self, visit: Visit, page: Page) -> Response:
        signs_out = isinstance(self._access, TokenAccess)
        return HTMLResponse(document(visit, page, signs_out=signs_out), page.status)

    def _done(self, visit: Visit, done: Done) -> Response:
        backs = visit.fields("back")
        path = path_in(backs[0]) if backs and not done.path.startswith("/jobs/") else done.path
        between = "&" if "?" in path else "?"
        target = f"{visit.root}{path}{between}notice={done.notice}.{done.count}"
        return RedirectResponse(target, SEE_OTHER)

    async def _file(self, request: Request) -> Response:
        file = BY_ADDRESS.get(request.path_params["name"])
        if file is None:
            raise Refusal(NOT_FOUND, "There is no such file.")
        forever = {"Cache-Control": f"public, max-age={YEAR}, immutable"}
        return Response(file.content, media_type=file.media_type, headers=forever)

    async def _log_in(self, request: Request) -> Response:
        form = dict(await form_of(request))
        back = path_in(form.get("back", "/"))
        access = self._access
        if isinstance(access, TokenAccess) and access.accepts(form.get("token", "")):
            return self._logged_in(request, back)
        body = login_form(_root(request), back, "That is not the token.")
        return HTMLResponse(alone(_root(request), TITLES[UNAUTHORIZED], body), UNAUTHORIZED)

    def _logged_in(self, request: Request, path: str) -> Response:
        response = RedirectResponse(_root(request) + path, SEE_OTHER)
        if isinstance(self._access, TokenAccess):
            secure = request.url.scheme == "https"
            self._access.log_in(response, path=_root(request) or "/", secure=secure)
        return response

    async def _log_out(self, request: Request) -> Response:
        response = RedirectResponse(_root(request) + "/", SEE_OTHER)
        if isinstance(self._access, TokenAccess):
            self._access.log_out(response, path=_root(request) or "/")
        return response

    async def refused(self, request: Request, error: Exception) -> Response:
        """Return the page that says what is wrong with a request."""
        status, detail, headers = _trouble(error)
        root = _root(request)
        if status == UNAUTHORIZED and isinstance(self._access, TokenAccess):
            path = _own_address(request) if request.method == "GET" else "/"
            body = login_form(root, path, detail)
        else:
            detail = detail or "You are not signed in, or not known here."
            overview = tag("a", "To the overview", href=f"{root}/")
            body = tag("div", tag("p", detail), tag("p", overview))
        page = alone(root, TITLES.get(status, "That can't be done"), body)
        return HTMLResponse(page, status, {**HEADERS, **headers})


def _trouble(error: Exception) -> tuple[int, str, dict[str, Any]]:
    """Return status, sentence and further headers."""
    if isinstance(error, Refusal):
        return error.status, error.detail, {}
    if isinstance(error, HTTPException):
        detail = SENTENCES.get(error.status_code, error.detail)
        return error.status_code, detail, dict(error.headers or {})
    if isinstance(error, InvalidOption):
        return 400, str(error), {}
    if isinstance(error, LookupError):
        return NOT_FOUND, str(error), {}  # a job that is gone by now
    if isinstance(error, StoreError):
        return UNAVAILABLE, str(error), {"Retry-After": "2"}
    return 500, "It is in the log of the server.", {}


def _root(request: Request) -> str:
    return str(request.scope.get("root_path", "")).rstrip("/")


def _own_path(request: Request) -> str:
    """Return the path below the one that the dashboard is mounted at."""
    path = str(request.scope["path"])
    return path_in(path.removeprefix(_root(request)) or "/")


def _own_address(request: Request) -> str:
    """Return the own path with what the address asks for there, but for the token."""
    query = [one for one in request.query_params.multi_items() if one[0] != "token"]
    return _own_path(request) + (f"?{urlencode(query)}" if query else "")

"""Access to the dashboard: who somebody is, by a token of its own or by a user's `authorize`."""

from __future__ import annotations

import hashlib
import hmac
import inspect
import logging
import os
import secrets
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol, TypeAlias

from starlette.concurrency import run_in_threadpool

from mainspring.errors import InvalidOption

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request
    from starlette.responses import Response

    Said: TypeAlias = "Role | tuple[Role, str] | None"
    Authorize: TypeAlias = "Callable[[Request], Said | Awaitable[Said]]"

Role = Literal["viewer", "operator"]
"""A viewer looks; an operator also acts."""


class Visitor(NamedTuple):
    """Somebody who may look: the role, and the name that the audit log has."""

    role: Role
    name: str = ""


BY_TOKEN = Visitor("operator", "token")

VARIABLE = "MAINSPRING_DASHBOARD_TOKEN"
SHORTEST_TOKEN = 16
_OWNER = "dashboard()"

log = logging.getLogger("mainspring.web")


class Access(Protocol):
    """Decides what a request may do."""

    async def visitor(self, request: Request) -> Visitor | None:
        """Return who sent the request, None for a stranger."""
        ...


class UserAccess:
    """A user's own login: `authorize(request)`, plain or async, returns the role, maybe a name."""

    def __init__(self, authorize: Authorize) -> None:
        self._authorize = authorize

    async def visitor(self, request: Request) -> Visitor | None:
        """Return what `authorize` says; raises TypeError if that is no role.

        Without a name it is that of the user whom Starlette's own authentication has found.
        """
        if inspect.iscoroutinefunction(self._authorize):
            said: object = await self._authorize(request)
        else:
            said = await run_in_threadpool(self._authorize, request)
            if inspect.isawaitable(said):
                said = await said
        match said:
            case None:
                return None
            case (role, str(name)):
                pass
            case role:
                name = _known_as(request)
        if role == "viewer":
            return Visitor("viewer", name)
        if role == "operator":
            return Visitor("operator", name)
        expected = '"viewer", "operator", one of them with a name, as in ("viewer", "ana"), or None'
        raise TypeError(f"authorize() of the dashboard returned {said!r}; return {expected}")


class TokenAccess:
    """One token makes an operator; a cookie, which is not the token itself, remembers it."""

    def __init__(self, token: str) -> None:
        self.token = token
        key = token.encode()
        # By its name two dashboards on one host, at different ports, do not log each other out.
        self.cookie = f"mainspring_{_digest(key, 'name')[:12]}"
        self._session = _digest(key, "session")

    async def visitor(self, request: Request) -> Visitor | None:
        """Return an operator for a request with our cookie."""
        shown = request.cookies.get(self.cookie, "")
        return BY_TOKEN if _equal(shown, self._session) else None

    def accepts(self, token: str) -> bool:
        """Return whether it is the token, in a time that tells nothing of it."""
        return _equal(token, self.token)

    def log_in(self, response: Response, *, path: str, secure: bool) -> None:
        """Have the browser remember, until it is closed."""
        response.set_cookie(
            self.cookie, self._session, path=path, secure=secure, httponly=True, samesite="strict"
        )

    def log_out(self, response: Response, *, path: str) -> None:
        """Have the browser forget."""
        response.delete_cookie(self.cookie, path=path, httponly=True, samesite="strict")


def access_of(authorize: Authorize | None, token: str | None) -> Access:
    """Return who decides; without `authorize` and token a token is made, and logged once.

    Raises InvalidOption.
    """
    if authorize is not None:
        if not callable(authorize):
            expected = "a function of a request"
            raise InvalidOption("authorize", authorize, owner=_OWNER, expected=expected)
        if token is not None:
            why, remedy = "does not go with authorize", "give one of the two"
            raise InvalidOption("token", "...", owner=_OWNER, why=why, remedy=remedy)
        return UserAccess(authorize)
    given = token if token is not None else os.environ.get(VARIABLE)
    if given is not None:
        return TokenAccess(checked_token(given))
    made = new_token()
    log.warning("the dashboard has no token of yours, and takes this one: %s", made)
    return TokenAccess(made)


def checked_token(token: object) -> str:
    """Return a token that nobody guesses; raises InvalidOption, which does not show it."""
    if isinstance(token, str) and len(token) >= SHORTEST_TOKEN and token.isascii():
        return token
    expected = f"an ASCII text of at least {SHORTEST_TOKEN} letters"
    raise InvalidOption("token", "...", owner=_OWNER, expected=expected)


def new_token() -> str:
    """Return a token that nobody else has."""
    return secrets.token_urlsafe(24)


def _known_as(request: Request) -> str:
    name = getattr(request.scope.get("user"), "display_name", "")
    return name if isinstance(name, str) else ""


def _digest(key: bytes, purpose: str) -> str:
    return hmac.new(key, f"mainspring dashboard {purpose}".encode(), hashlib.sha256).hexdigest()


def _equal(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode("utf-8", "replace"), other.encode())

"""One request as the pages see it, and what they answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from mainspring.web.dashboard.access import Role
    from mainspring.web.dashboard.html import Html
    from mainspring.web.dashboard.site import Site


class Refusal(Exception):
    """A request that can't be answered, with the status and a sentence that says what to do."""

    def __init__(self, status: int, detail: str) -> None:
        self.status = status
        self.detail = detail
        super().__init__(detail)


@dataclass(frozen=True, slots=True)
class Visit:
    """A request by somebody who may make it. `root` is the path that the dashboard is mounted at.

    `user` is a name for the audit log, `host` the address that it came from. `form` holds the
    fields of a change, in order; `query` those of the address.
    """

    site: Site
    root: str
    path: str
    now: datetime
    role: Role
    query: Mapping[str, str] = field(default_factory=dict)
    form: Sequence[tuple[str, str]] = ()
    job_id: str = ""
    user: str = ""
    host: str = ""

    @property
    def operates(self) -> bool:
        """True for an operator."""
        return self.role == "operator"

    def url(self, path: str, **query: str | int | None) -> str:
        """Return the address of one of our pages."""
        given = {name: value for name, value in query.items() if value not in {None, ""}}
        return self.root + quote(path) + (f"?{urlencode(given)}" if given else "")

    def field(self, name: str) -> str:
        """Return a field of the form; raises Refusal without it."""
        for key, value in self.form:
            if key == name:
                return value
        raise Refusal(400, f"The form lacks the field {name!r}; go back and try again.")

    def back(self, usual: str) -> str:
        """Return the path that the form says to go back to."""
        return path_in(next((value for key, value in self.form if key == "back"), usual))

    def fields(self, name: str) -> list[str]:
        """Return all values of a field."""
        return [value for key, value in self.form if key == name]


@dataclass(frozen=True, slots=True)
class Page:
    """A page: its title, and what stands below it. `live`: a browser reads it again and again.

    `above` is the part that stays as it is meanwhile, as somebody may type there.
    """

    title: str
    body: Html
    live: bool = False
    above: Html | None = None
    status: int = 200


@dataclass(frozen=True, slots=True)
class Done:
    """A change that was made: the browser goes to `path`, where `notice` is shown.

    A notice is a name of `notices` and a number. `targets` are the ids of what was changed, where
    the address and the form do not name it; `details` what else the audit log is to say.
    """

    path: str
    notice: str
    count: int = 1
    targets: Sequence[str] = ()
    details: Mapping[str, str] = field(default_factory=dict)


def path_in(said: str) -> str:
    """Return a path of this site that a form says; the first page instead of anything else."""
    plain = said.isascii() and said.isprintable() and "\\" not in said and " " not in said
    return said if plain and said.startswith("/") and not said.startswith("//") else "/"

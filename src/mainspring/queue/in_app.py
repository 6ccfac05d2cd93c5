"""A queue in an application: its options from there, its place there, and bodies in its context.

The frameworks are known by what their applications have; none is imported.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from mainspring.errors import InvalidOption
from mainspring.model.middleware import Middleware, replace_middleware
from mainspring.model.options import refuse_unknown
from mainspring.queue.configuring import configure
from mainspring.queue.options import CONFIGURE_OPTIONS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mainspring.model.middleware import JobAttempt
    from mainspring.queue.binding import Binding
    from mainspring.queue.consumers import Consumers

OWNER = "Queue.init_app()"
KEY = "mainspring"
PREFIX = "MAINSPRING_"
STORES = frozenset({"url", "db_path"})
"""Options that say where the jobs are: one given here takes the place of both."""


def init_app(
    queue: object, binding: Binding, consumers: Consumers, app: Any, options: Mapping[str, Any]
) -> None:
    """Configure a queue by an application and put it there; raises InvalidOption, UnknownOption."""
    place = _place_of(app)
    other = place.get(KEY)
    if other not in (None, queue):
        why = "has another queue already"
        remedy = f"keep a second one elsewhere, as app.extensions['{KEY}_mail']"
        raise InvalidOption("app", app, owner=OWNER, why=why, remedy=remedy)
    said = {name: one for name, one in options.items() if one is not None or name != "url"}
    configured = _configured(app)
    if not STORES.isdisjoint(said):
        configured = {name: one for name, one in configured.items() if name not in STORES}
    configure(binding, consumers, {**configured, **said}, owner=OWNER, again=True)
    place[KEY] = queue
    binding.tasks.round += 1
    if _has_context(app):
        replace_middleware(binding.middleware, _in_context(app))


def _place_of(app: Any) -> Any:
    extensions = getattr(app, "extensions", None)
    if isinstance(extensions, dict):
        return extensions
    state = getattr(app, "state", None)
    values = getattr(state, "_state", None)
    if isinstance(values, dict):
        return values
    expected = "an application of Flask, or of Starlette or FastAPI"
    raise InvalidOption("app", app, owner=OWNER, expected=expected)


def _configured(app: Any) -> dict[str, Any]:
    config = getattr(app, "config", None)
    found = config if isinstance(config, Mapping) else {}
    given = {name: value for name, value in found.items() if str(name).startswith(PREFIX)}
    known = ("url", *CONFIGURE_OPTIONS)
    refuse_unknown("app.config", given, tuple(f"{PREFIX}{name.upper()}" for name in known))
    named = {name.removeprefix(PREFIX).lower(): value for name, value in given.items()}
    return {name: value for name, value in named.items() if value is not None}


def _has_context(app: Any) -> bool:
    context = getattr(app, "app_context", None)
    return callable(context) and hasattr(context(), "__enter__")


def _in_context(app: Any) -> Middleware:
    @contextmanager
    def manager(_attempt: JobAttempt) -> Iterator[None]:
        with app.app_context():
            yield

    return Middleware(app_context, manager, is_sync=True, is_async=False)


def app_context(_attempt: JobAttempt) -> Iterator[None]:
    """Stand in a child process for the context of an application, which is not there."""
    yield

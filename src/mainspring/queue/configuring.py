"""Options that a queue is given after it was made, before its first use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from mainspring.engine.settings import slots_of
from mainspring.model.options import refuse_unknown
from mainspring.queue.options import CONFIGURE_OPTIONS
from mainspring.stores.url import STORE_OPTIONS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mainspring.engine.settings import WorkerSettings
    from mainspring.queue.binding import Binding
    from mainspring.queue.consumers import Consumers

_OF_THE_STORE = ("url", "db_path", *STORE_OPTIONS)


def configure(
    binding: Binding,
    consumers: Consumers,
    options: Mapping[str, Any],
    *,
    owner: str = "Queue.configure()",
    again: bool = False,
) -> None:
    """Give a queue other options, all or none; raises InvalidOption or UnknownOption.

    `again`: after the first use, options that change nothing are no error.
    """
    given: dict[str, Any] = {
        name: value for name, value in options.items() if value is not None or name != "url"
    }
    refuse_unknown(owner, given, ("url", *CONFIGURE_OPTIONS))
    if not again:
        binding.check_unused(given, owner)
    of_the_store = {name: given.pop(name) for name in _OF_THE_STORE if name in given}
    if (workers := given.get("workers")) is not None:
        given["workers"] = slots_of(workers)
    settings = replace(consumers.settings, **given)
    if binding.is_used:
        other = {} if binding.has(of_the_store) else of_the_store
        other |= {name: given[name] for name in given if _differ(name, settings, consumers)}
        if other:
            binding.check_unused(other, owner)
        return
    if of_the_store:
        binding.configure(of_the_store, owner)
    consumers.settings = settings


def _differ(name: str, settings: WorkerSettings, consumers: Consumers) -> bool:
    return bool(getattr(settings, name) != getattr(consumers.settings, name))

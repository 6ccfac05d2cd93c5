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

    from mainspring.queue.binding import Binding
    from mainspring.queue.consumers import Consumers

_OF_THE_STORE = ("url", "db_path", *STORE_OPTIONS)


def configure(binding: Binding, consumers: Consumers, options: Mapping[str, Any]) -> None:
    """Give a queue other options, all or none; raises InvalidOption or UnknownOption."""
    given: dict[str, Any] = {
        name: value for name, value in options.items() if value is not None or name != "url"
    }
    refuse_unknown("Queue.configure()", given, ("url", *CONFIGURE_OPTIONS))
    binding.check_unused(given)
    of_the_store = {name: given.pop(name) for name in _OF_THE_STORE if name in given}
    if (workers := given.get("workers")) is not None:
        given["workers"] = slots_of(workers)
    settings = replace(consumers.settings, **given)
    if of_the_store:
        binding.configure(of_the_store)
    consumers.settings = settings

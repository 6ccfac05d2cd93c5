"""What a background worker is started with: its target's arguments, and its overrides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mainspring.errors import InvalidOption

if TYPE_CHECKING:
    from collections.abc import Mapping


OVERRIDES = ("_name", "_priority", "_loop", "_interval", "_delay", "_delay_before")
"""What `start` takes for one life in the place of what the worker was made with."""


PACE = ("interval", "delay", "delay_before")
"""Those of them that only a worker with a pace can heed."""


@dataclass(frozen=True, slots=True)
class StartArguments:
    """What `start` was given: for the target, and for this life of the worker."""

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    overrides: Mapping[str, Any]

    @classmethod
    def of(cls, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> StartArguments:
        """Tell the target's arguments from the overrides."""
        mine = {name[1:]: kwargs[name] for name in OVERRIDES if name in kwargs}
        theirs = {name: value for name, value in kwargs.items() if name not in OVERRIDES}
        return cls(args, theirs, mine)

    def refuse_pace(self, owner: str) -> None:
        """Raise `InvalidOption` if it sets the pace of a worker that has none to be set."""
        for option in PACE:
            if self.overrides.get(option) is not None:
                value = self.overrides[option]
                raise InvalidOption(
                    f"_{option}",
                    value,
                    owner=owner,
                    why="is for workers with an interval",
                    remedy="leave it out",
                )

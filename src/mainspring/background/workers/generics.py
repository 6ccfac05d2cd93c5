"""The type parameters of workers: what a target takes, and what it returns.

They have defaults, so that `class Mine(BackgroundQueueWorker)` is well typed without any. Type
checkers know `typing_extensions` without its being installed; at run time nothing needs defaults.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing_extensions import ParamSpec, TypeVar

    P = ParamSpec("P", default=...)
    R = TypeVar("R", default=Any)
else:
    from typing import ParamSpec, TypeVar

    P = ParamSpec("P")
    R = TypeVar("R")

"""The options that a job has of its own, beside those of its task, and their text in a store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import DecodeError, Struct, json
from msgspec.structs import replace

from mainspring.errors import InvalidOption
from mainspring.model.backoff import DelayTable, Exponential, Fixed, backoff_of
from mainspring.model.name import is_name
from mainspring.model.options import SECONDS, Check, count
from mainspring.model.record import Undecodable
from mainspring.model.task import TIMEOUT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mainspring.model.backoff import RetryBackoff
    from mainspring.model.task import Task

MOST_RETRIES = 2**31 - 1

CHECKS = {
    "retries": count(least=0, most=MOST_RETRIES),
    "timeout": TIMEOUT.or_none("None for that of the task"),
    "keep_result": SECONDS.or_none("None for that of the task"),
}


MOST_TAGS = 20
LONGEST_TAG = 100
"""Characters."""

MOST_METADATA_BYTES = 8_192
"""Bytes of JSON."""


class JobOptions(Struct, frozen=True, omit_defaults=True):
    """Options of one job's own, its tags, its metadata and its headers.

    The options take the place of the task's; None: the task's holds. `backoff` is a number of
    seconds, a list of them, or an Exponential. Headers are texts that instrumentation sends along,
    as for traces: no option sets them.
    """

    retries: int | None = None
    timeout: float | None = None
    keep_result: float | None = None
    backoff: float | tuple[float, ...] | Exponential | None = None
    tags: tuple[str, ...] = ()
    metadata: dict[str, Any] = {}
    headers: dict[str, str] = {}

    def __post_init__(self) -> None:
        # Also of what a store holds, which somebody else may have written.
        for option, check in CHECKS.items():
            if (value := getattr(self, option)) is not None:
                check("a job", option, value)
        if self.backoff is not None:
            self.backoff_rule("a job")

    def __bool__(self) -> bool:
        """Return whether there are any."""
        return self != NO_OWN_OPTIONS

    def given(self) -> dict[str, Any]:
        """Return those that there are, by name."""
        own = {name: getattr(self, name) for name in OWN_OPTIONS}
        return {name: one for name, one in own.items() if one not in (None, (), {})}

    def backoff_rule(self, owner: str) -> RetryBackoff | None:
        """Return the backoff as a task has it; raises InvalidOption."""
        stored = self.backoff
        if isinstance(stored, (int, float)):
            return Fixed(stored)
        return None if stored is None else backoff_of(owner, stored)

    def over(self, task: Task) -> Task:
        """Return the task with these options in the place of its own."""
        own: dict[str, Any] = {option: getattr(self, option) for option in CHECKS}
        own["backoff"] = self.backoff_rule(f"task {task.name!r}")
        return task.with_options(**{name: one for name, one in own.items() if one is not None})


NO_OWN_OPTIONS = JobOptions()
OWN_OPTIONS = tuple(name for name in JobOptions.__struct_fields__ if name != "headers")

encode_options = json.Encoder().encode
_decode = json.Decoder(JobOptions).decode


def own_options(owner: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return options of a call as they are kept; raises InvalidOption."""
    return {option: _KEPT[option](owner, option, value) for option, value in given.items()}


def read_options(stored: bytes) -> JobOptions:
    """Return options that a store holds; raises Undecodable."""
    try:
        return _decode(stored)
    except (DecodeError, UnicodeError, RecursionError) as error:
        raise Undecodable(f"the stored options of the job can't be read: {error}") from error


def options_text(options: JobOptions) -> str | None:
    """Return options as a column of text holds them; None for none."""
    return encode_options(options).decode() if options else None


def with_headers(stored: bytes | None, headers: Mapping[str, str]) -> bytes:
    """Return the text of a job's options with these headers added; raises Undecodable."""
    options = NO_OWN_OPTIONS if stored is None else read_options(stored)
    return encode_options(replace(options, headers={**options.headers, **headers}))


def headers_in(stored: bytes | None) -> dict[str, str]:
    """Return the headers of a job; none of options that can't be read."""
    if stored is None:
        return {}
    try:
        return read_options(stored).headers
    except Undecodable:
        return {}


def tags_in(stored: bytes | None) -> tuple[str, ...]:
    """Return the tags by which a job is to be found; none of options that can't be read."""
    if stored is None:
        return ()
    try:
        return read_options(stored).tags
    except Undecodable:
        return ()


def task_with(task: Task, stored: bytes | None) -> Task:
    """Return the task as a job with these options has it; as it is, if they can't be read.

    The attempt of such a job fails before its body begins.
    """
    if stored is None:
        return task
    try:
        return read_options(stored).over(task)
    except Undecodable:
        return task


def _kept_backoff(
    owner: str, _option: str, value: object
) -> float | tuple[float, ...] | Exponential:
    rule = backoff_of(owner, value)
    if isinstance(rule, Fixed):
        return rule.delay(1)
    if isinstance(rule, DelayTable):
        return rule.delays
    if isinstance(rule, Exponential):
        return rule
    why = "is a function, which can't be kept with a job"
    remedy = "give it to the task, or give Exponential(...), Fixed(seconds) or a list here"
    raise InvalidOption("backoff", value, owner=owner, why=why, remedy=remedy)


def _is_tag(value: object) -> bool:
    return is_name(value) and len(value) <= LONGEST_TAG


_TAGS = Check(
    lambda value: (
        isinstance(value, (list, tuple, set, frozenset))
        and len(value) <= MOST_TAGS
        and all(_is_tag(tag) for tag in value)
    ),
    f"a list of up to {MOST_TAGS} texts of 1 to {LONGEST_TAG} characters, as in ['eu', 'vip']",
    lambda tags: tuple(dict.fromkeys(sorted(tags) if isinstance(tags, (set, frozenset)) else tags)),
)


def _kept_metadata(owner: str, option: str, value: object) -> dict[str, Any]:
    try:
        text = json.encode(value)
        kept = json.decode(text, type=dict[str, Any])
    except (TypeError, ValueError, OverflowError, RecursionError, DecodeError):
        text, kept = b"", {}
    if type(value) is not dict or kept != value:
        expected = "a dict of texts, numbers, True, False, None, lists and dicts with texts as keys"
        raise InvalidOption(option, value, owner=owner, expected=expected)
    if len(text) > MOST_METADATA_BYTES:
        why = f"is {len(text):,} bytes of JSON, and {MOST_METADATA_BYTES:,} are the most"
        remedy = "give what the body needs as an argument"
        raise InvalidOption(option, value, owner=owner, why=why, remedy=remedy)
    return kept


_KEPT: dict[str, Callable[[str, str, Any], Any]] = {
    **CHECKS,
    "backoff": _kept_backoff,
    "tags": _TAGS,
    "metadata": _kept_metadata,
}

"""A call that crosses to a child process and back: pickled function, arguments, result, error.

It knows nothing of processes. Pickle is safe here because both ends are our own and the socket
between them is private.
"""

from __future__ import annotations

import pickle
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from mainspring.errors import ChildRaised, InvalidArguments, TaskNotImportable, UnstorableResult
from mainspring.model.user_frames import frames_of
from mainspring.processes import main as process_main

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_TRACEBACK_CHARACTERS = 16_000


def label_of(function: Callable[..., object]) -> str:
    """Return what messages call a function."""
    return getattr(function, "__qualname__", None) or repr(function)


def pack_call(
    function: Callable[..., object], args: tuple[object, ...], kwargs: dict[str, object]
) -> bytes:
    """Pickle a call; InvalidArguments or TaskNotImportable name what can't be pickled."""
    try:
        request = pickle.dumps((function, args, kwargs), pickle.HIGHEST_PROTOCOL)
    except Exception as error:
        raise _unpicklable(function, args, kwargs, error) from error
    _check_main(function)
    return request


def pack_startup(
    handler: Callable[[bytes], bytes] | None,
    initializer: Callable[..., object] | None,
    initargs: tuple[object, ...],
) -> bytes:
    """Pickle what a child needs at its start; errors as of `pack_call`."""
    if handler is not None:
        pack_call(handler, (), {})
    if initializer is not None:
        pack_call(initializer, initargs, {})
    return pickle.dumps((handler, initializer, initargs), pickle.HIGHEST_PROTOCOL)


def run_call(request: bytes) -> bytes:
    """Run a packed call, in the child; return its pickled result."""
    function, args, kwargs = process_main.loads(request)
    result = function(*args, **kwargs)
    try:
        return pickle.dumps(result, pickle.HIGHEST_PROTOCOL)
    except Exception as error:
        why = f"{type(result).__qualname__} can't be pickled: {error}"
        raise UnstorableResult(label_of(function), why) from error


def unpack_result(reply: bytes) -> Any:
    """Return what `run_call` packed, in the parent."""
    return process_main.loads(reply)


def pack_error(error: BaseException) -> bytes:
    """Pickle an error with its traceback's text; one that can't be pickled leaves its text."""
    try:
        text = _traceback_text(error)
        return pickle.dumps((_portable(error), type(error).__qualname__, _sentence(error), text))
    except BaseException as second:  # noqa: BLE001  # a user's class may do anything: tell that
        sentence = f"(it raises {type(second).__name__} when it is looked at)"
        return pickle.dumps((None, type(error).__name__, sentence, ""))


def unpack_error(payload: bytes, label: str) -> BaseException:
    """Return what `pack_error` packed, with the child's traceback as a note.

    It is the original error, or ChildRaised if that could not be pickled.
    """
    blob, kind, sentence, text = pickle.loads(payload)  # noqa: S301  # see the module's docstring
    original = _restored(blob)
    error = ChildRaised(label, kind, sentence) if original is None else original
    with suppress(Exception):  # nothing can be set on some errors, as on a frozen dataclass
        error.add_note(f"In the child process:\n{text}")
    return error


def traceback_of(payload: bytes) -> str:
    """Return the text of the traceback that `pack_error` packed."""
    return str(pickle.loads(payload)[3])  # noqa: S301  # see the module's docstring


def _unpicklable(
    function: Callable[..., object],
    args: tuple[object, ...],
    kwargs: dict[str, object],
    error: Exception,
) -> Exception:
    label = label_of(function)
    if (why := _refusal(function)) is not None:
        return TaskNotImportable(label, why)
    for name, value in _named(function, args, kwargs):
        if (why := _refusal(value)) is not None:
            return InvalidArguments(f"argument {name} of {label} can't be pickled: {why}")
    return InvalidArguments(f"the arguments of {label} can't be pickled: {error}")


def _refusal(value: object) -> str | None:
    try:
        pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
    except Exception as error:  # noqa: BLE001  # a user's __reduce__ may raise anything
        return str(error) or repr(error)
    return None


def _named(
    function: Callable[..., object], args: tuple[object, ...], kwargs: dict[str, object]
) -> Iterator[tuple[str, object]]:
    code = getattr(function, "__code__", None)
    names = () if code is None else code.co_varnames[: code.co_argcount]
    for index, value in enumerate(args):
        yield (repr(names[index]) if index < len(names) else str(index + 1)), value
    for name, value in kwargs.items():
        yield repr(name), value


def _check_main(function: Callable[..., object]) -> None:
    if getattr(function, "__module__", None) == "__main__" and process_main.origin() is None:
        raise TaskNotImportable(label_of(function), "it was typed in, and stands in no file")


def _traceback_text(error: BaseException) -> str:
    import traceback  # noqa: PLC0415  # most children never need it: 8 ms of every start

    lines = traceback.format_exception(type(error), error, frames_of(error))
    return "".join(lines)[-_TRACEBACK_CHARACTERS:]


def _sentence(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as unspeakable:  # noqa: BLE001  # a user's __str__ may raise anything
        return f"(its message can't be shown: {unspeakable!r})"


def _portable(error: BaseException) -> bytes | None:
    for form in (error, _PickledError(error)):
        blob = _pickled(form)
        copy = _restored(blob)
        # A class with an __init__ of its own may unpickle to another sentence without raising.
        if copy is not None and _looks_like(copy, error):
            return blob
    return None


def _looks_like(copy: BaseException, error: BaseException) -> bool:
    return type(copy) is type(error) and _sentence(copy) == _sentence(error)


def _pickled(value: object) -> bytes | None:
    try:
        return pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
    except Exception:  # noqa: BLE001  # a user's __reduce__ may raise anything
        return None


def _restored(blob: bytes | None) -> BaseException | None:
    try:
        return None if blob is None else process_main.loads(blob)
    except Exception:  # noqa: BLE001  # a user's __init__ may raise anything
        return None


class _PickledError:
    """Pickles an error without a call of its `__init__`: many take other arguments than args."""

    def __init__(self, error: BaseException) -> None:
        self._parts = type(error), error.args, error.__dict__

    def __reduce__(self) -> tuple[Any, ...]:
        return _assembled, self._parts


def _assembled(
    kind: type[BaseException], args: tuple[object, ...], state: dict[str, object]
) -> BaseException:
    error = kind.__new__(kind, *args)
    error.__dict__.update(state)
    return error

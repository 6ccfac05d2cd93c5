"""Records: values of a class that is found again by its name, taken apart and rebuilt.

What it knows: Enum members, dataclasses, msgspec Structs and pydantic models. What it does not: how
their parts become JSON.

The safe rule for whatever a store says: a name leads to a class only through `sys.modules` and the
plain namespaces below it, so nothing is imported and no hook of a module or proxy runs; and what is
found must be a class of the kind that the tag says. Then nothing is called but that class's own
constructor (of a pydantic model: `model_construct`, which runs no validator). Fields that the
constructor computes or changes are set back to what they were, so that the copy is equal.
Attributes that are no fields are not kept.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from enum import Enum, Flag
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

from msgspec import Struct
from msgspec.structs import force_setattr

from mainspring.model.script import loaded_names, module_names, namespace

if TYPE_CHECKING:
    from collections.abc import Iterable
    from dataclasses import Field

Parts = tuple[object, ...]
_UNSET = object()


class Unstorable(TypeError):
    """A value that JSON with tags can't carry: `path` leads from it to the part with the `fault`.

    `why` is the sentence: "['a'][0] is of type socket.socket".
    """

    def __init__(self, fault: str, path: str = "") -> None:
        self.fault = fault
        self.path = path
        self.why = self.sentence_about("") if path else f"it {fault}"
        super().__init__(self.why)

    def __reduce__(self) -> tuple[object, ...]:
        """Have it pickled as what it was made from."""
        return type(self), (self.fault, self.path), self.__dict__

    def sentence_about(self, whole: str) -> str:
        """Return the sentence, begun with the name of the value that `path` leads from."""
        return " ".join(filter(None, (whole, self.path.lstrip(), self.fault)))


class TooDeep(Unstorable):
    """A value that is nested too deeply, or contains itself."""


class Undecodable(ValueError):
    """A stored text that is not what the codec writes, or names what is not loaded here."""


class Kind(Struct, frozen=True):
    """Decomposes and rebuilds values of one kind of class; `tag` is its name in JSON."""

    tag: str
    owns: Callable[[type], bool]
    take_apart: Callable[[Any], Parts]
    rebuild: Callable[..., object]


def kind_of(cls: type) -> Kind | None:
    """Return how instances of `cls` are taken apart, or None if they are no records."""
    return next((kind for kind in KINDS.values() if kind.owns(cls)), None)


def type_name(cls: type) -> str:
    """Return the full name of `cls` for people; builtins without their module."""
    return f"{cls.__module__}.{cls.__qualname__}".removeprefix("builtins.")


def stored_name(cls: type) -> str:
    """Return `module:qualname`, under which `find` returns `cls` again, or raise `Unstorable`.

    Of a running script's names for itself it is the one that other processes know, too.
    """
    for module in module_names(cls.__module__):
        name = f"{module}:{cls.__qualname__}"
        if find(name) is cls:
            return name
    msg = f"is of type {type_name(cls)}, not found under its name; define it at top level"
    raise Unstorable(msg)


def find(name: str) -> object:
    """Return what `module:qualname` names among what is loaded; None if there is nothing."""
    module, _, qualname = name.partition(":")
    first, *rest = qualname.split(".")
    found = loaded_names(module).get(first)
    for part in rest:
        found = namespace(found).get(part)
    return found


def rebuild(tag: str, name: str, parts: Iterable[object]) -> object:
    """Return the record again, or raise `Undecodable`."""
    found, kind = find(name), KINDS[tag]
    if found is None:
        msg = f"{name!r} is not loaded here; import its module where the tasks are defined"
        raise Undecodable(msg)
    if not issubclass(type(found), type) or not kind.owns(cast("type", found)):
        raise Undecodable(f"{name!r} is not a class of the kind ${tag}")
    return kind.rebuild(found, *parts)


def _is_enum(cls: type) -> bool:
    return Enum in cls.__mro__


def _enum_parts(member: Enum) -> Parts:
    cls = type(member)
    name = member._name_  # a member may hide `name`
    if cls.__members__.get(name) is member:
        return (name,)
    if isinstance(member, Flag):
        return (member.value,)
    raise Unstorable(f"is not among the members of {type_name(cls)}")


def _enum_member(cls: type[Enum], name: str | int) -> Enum:
    if type(name) is int and Flag in cls.__mro__:
        return cls(name)
    return cls.__members__[cast("str", name)]


def _is_dataclass(cls: type) -> bool:
    return any("__dataclass_fields__" in vars(base) for base in cls.__mro__)


def _declared_fields(cls: type) -> tuple[Field[Any], ...]:
    from dataclasses import fields  # noqa: PLC0415  # a lazy door: few jobs carry a dataclass

    return fields(cls)


def _dataclass_parts(value: Any) -> Parts:
    cls = type(value)
    if not _takes_its_fields(cls):  # type: ignore[arg-type]  # mypy doubts that classes hash
        msg = f"is of type {type_name(cls)}, whose constructor takes other things than its fields"
        raise Unstorable(msg)
    return (_read(value, (field.name for field in _declared_fields(cls))),)


@lru_cache(maxsize=1024)
def _takes_its_fields(cls: type) -> bool:
    names = [field.name for field in _declared_fields(cls) if field.init]
    try:
        inspect.signature(cls).bind(**dict.fromkeys(names))
    except TypeError:
        return False
    return True


def _read(value: object, names: Iterable[str]) -> dict[str, object]:
    try:
        return {name: getattr(value, name) for name in names}
    except AttributeError as error:
        raise Unstorable(f"is of type {type_name(type(value))}, a field unset: {error}") from None


def _dataclass(cls: type, values: dict[str, object]) -> object:
    known = {field.name: field.init for field in _declared_fields(cls)}
    made = cls(**{name: values[name] for name in values if known[name]})
    _restore(made, values, object.__setattr__)
    return made


def _restore(
    made: object, values: dict[str, object], assign: Callable[[Any, str, object], None]
) -> None:
    for name, value in values.items():
        if getattr(made, name, _UNSET) is not value:
            assign(made, name, value)


def _is_struct(cls: type) -> bool:
    return Struct in cls.__mro__


def _struct_parts(value: Struct) -> Parts:
    return (_read(value, value.__struct_fields__),)


def _struct(cls: type[Struct], values: dict[str, object]) -> Struct:
    made = cls(**values)
    _restore(made, values, force_setattr)
    return made


def _is_pydantic(cls: type) -> bool:
    # Asked without importing pydantic: there are models only where it is loaded.
    base = namespace(sys.modules.get("pydantic.main")).get("BaseModel")
    return base in cls.__mro__ and hasattr(cls, "model_construct")


def _pydantic_parts(model: Any) -> Parts:
    values = _read(model, type(model).model_fields)
    names = sorted(model.model_fields_set)
    return values, names, model.__pydantic_extra__, model.__pydantic_private__


def _pydantic(
    cls: Any,
    values: dict[str, object],
    names: list[str],
    extra: dict[str, object] | None,
    private: dict[str, object] | None,
) -> object:
    known = cls.model_fields
    required = {name for name, field in known.items() if field.is_required()}
    if not required <= values.keys() <= known.keys():
        raise Undecodable(f"{type_name(cls)} has other fields than those stored: {sorted(values)}")
    made = cls.model_construct(_fields_set=set(names), **values)
    vars(made).update(values)
    if extra:
        made.__pydantic_extra__.update(extra)
    if private:
        made.__pydantic_private__.update(private)
    return made


KINDS = {
    kind.tag: kind
    for kind in (
        Kind("enum", _is_enum, _enum_parts, _enum_member),
        Kind("struct", _is_struct, _struct_parts, _struct),
        Kind("pydantic", _is_pydantic, _pydantic_parts, _pydantic),
        Kind("dataclass", _is_dataclass, _dataclass_parts, _dataclass),
    )
}
"""Every kind of record by its tag, in the order in which they are tried."""

"""A JSON schema that refers to nothing outside itself, as the middle of an OpenAPI document needs.

Definitions take the place of the references to them; one inside itself stands for anything.
"""

from __future__ import annotations

from typing import Any

DEFINITIONS = "$defs"
AT = f"#/{DEFINITIONS}/"


def inlined(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema with its definitions in the place of the references to them."""
    definitions = schema.get(DEFINITIONS, {})
    rest = {name: value for name, value in schema.items() if name != DEFINITIONS}
    found: dict[str, Any] = _resolved(rest, definitions, ())
    return found


def _resolved(value: Any, definitions: dict[str, Any], inside: tuple[str, ...]) -> Any:
    if isinstance(value, list):
        return [_resolved(one, definitions, inside) for one in value]
    if not isinstance(value, dict):
        return value
    reference = value.get("$ref")
    if isinstance(reference, str) and reference.startswith(AT):
        name = reference.removeprefix(AT)
        beside = {key: one for key, one in value.items() if key != "$ref"}
        if name in inside:
            return {"title": name, **beside}
        return {**_resolved(definitions[name], definitions, (*inside, name)), **beside}
    return {
        # A discriminator maps to references; without it `oneOf` says the same.
        key: _resolved(one, definitions, inside)
        for key, one in value.items()
        if key != "discriminator"
    }

"""What a schema says about ownership: how lists and maps fall into separately owned parts.

Shared by the walks over typed objects (``field_changes``, ``field_values``). A list or map that is not granular
is one field; an element of a granular list has a path element made of its keys or its value.
"""

from collections.abc import Callable, Iterable
from typing import Any

from kubeshim.machinery import fieldsets, schemas

ANYTHING = schemas.Schema("any", preserve_unknown=True)
"""Where a schema is silent but keeps what it gets: maps are granular, lists are one field (as deduced types are)."""


def is_granular_map(schema: schemas.Schema) -> bool:
    return schema.kind in ("object", "map") and schema.map_type == "granular"


def is_granular_list(schema: schemas.Schema) -> bool:
    return schema.kind == "array" and schema.list_type in ("set", "map")


def is_deduced(schema: schemas.Schema) -> bool:
    """Custom resources' free-form parts. Built-ins' raw JSON (RawExtension) is one field."""
    return schema.kind == "any" and schema.preserve_unknown and not schema.definition


def child(schema: schemas.Schema, key: str) -> schemas.Schema | None:
    """The schema of a member, or None where none is declared (a map key has its map's values')."""
    found = schema.properties.get(key)
    if found is not None:
        return found
    if schema.kind == "map":
        return schema.values or ANYTHING
    return ANYTHING if schema.preserve_unknown else None


class MissingKey(ValueError):
    """A list element without one of the list's keys. The text is what upstream says after the path."""


def element_maker(schema: schemas.Schema) -> Callable[[Any], str]:
    """The function from an element of a granular list to its path element. It raises ``MissingKey``."""
    if schema.list_type == "set":
        return fieldsets.value_element
    keys = tuple(sorted(schema.list_map_keys))
    items = schema.items
    defaults = {
        key: items.properties[key].default
        for key in keys
        if items is not None and key in items.properties and items.properties[key].has_default
    }
    if len(keys) == 1 and not defaults:
        return _single_key(keys[0])

    def make(item: Any) -> str:
        if not isinstance(item, dict):
            raise MissingKey("associative list with keys may not have non-map elements")
        values: dict[str, Any] = {}
        for key in keys:
            value = item.get(key, defaults.get(key))
            if value is None:
                raise _missing(key)
            values[key] = value
        return fieldsets.key_element(values)

    return make


def _single_key(key: str) -> Callable[[Any], str]:
    """The common case (``name``), without a trip through the JSON encoder for plain names."""
    head = f'k:{{"{key}":"'

    def make(item: Any) -> str:
        if not isinstance(item, dict):
            raise MissingKey("associative list with keys may not have non-map elements")
        value = item.get(key)
        if (
            value.__class__ is str
            and value.isascii()
            and value.isprintable()
            and '"' not in value
            and "\\" not in value
        ):
            return f'{head}{value}"}}'
        if value is None:
            raise _missing(key)
        return fieldsets.key_element({key: value})

    return make


def _missing(key: str) -> MissingKey:
    return MissingKey(
        f'associative list with keys has an element that omits key field "{key}" (and doesn\'t have default value)'
    )


def grouped(make: Callable[[Any], str], items: Iterable[Any]) -> dict[str, list[Any]]:
    """Path element → the elements that have it: one, or several in live lists whose keys are not unique after all.

    Elements without their keys are left out.
    """
    result: dict[str, list[Any]] = {}
    for item in items:
        try:
            result.setdefault(make(item), []).append(item)
        except MissingKey:
            continue
    return result

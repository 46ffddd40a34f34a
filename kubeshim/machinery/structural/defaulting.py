"""Default values of a structural schema, and what becomes of nulls.

A null where the schema does not allow one counts as absent: it gives way to the default or goes. A null that is
allowed stays, default or not. Parts of a schema without defaults and maps cost nothing: they are not walked.
"""

from collections.abc import Callable
from typing import Any

import orjson

from kubeshim.machinery import schemas

Fill = Callable[[Any], None]


def compile_defaults(schema: schemas.Schema) -> Fill | None:
    """What fills in an object in place; None where there is nothing to do."""
    if schema.kind == "object":
        return _of_object(schema)
    if schema.kind == "map" and schema.values is not None:
        return _of_map(schema.values)
    if schema.kind == "array" and schema.items is not None:
        return _of_array(schema.items)
    return None


def _copies(value: Any) -> Callable[[], Any]:
    if isinstance(value, dict | list):
        encoded = orjson.dumps(value)
        return lambda: orjson.loads(encoded)
    return lambda: value


def _of_object(schema: schemas.Schema) -> Fill | None:
    defaults: list[tuple[str, bool, Callable[[], Any]]] = []
    below: list[tuple[str, Fill]] = []
    for name, child in schema.properties.items():
        if child.definition:
            continue  # metadata
        if child.has_default and child.default is not None:
            defaults.append((name, child.nullable, _copies(child.default)))
        if (fill := compile_defaults(child)) is not None:
            below.append((name, fill))
    if not defaults and not below:
        return None

    def fill_object(value: Any) -> None:
        if value.__class__ is not dict:
            return
        for name, nullable, make in defaults:
            if name not in value or (value[name] is None and not nullable):
                value[name] = make()
        for name, inner in below:
            if name in value:
                inner(value[name])

    return fill_object


def _of_map(values: schemas.Schema) -> Fill | None:
    below = compile_defaults(values)
    if values.kind == "any" or (values.nullable and below is None):
        return None
    make = _copies(values.default) if values.has_default and values.default is not None else None

    def fill_map(value: Any) -> None:
        if value.__class__ is not dict:
            return
        for name in [name for name, child in value.items() if child is None] if not values.nullable else ():
            if make is not None:
                value[name] = make()
            else:
                del value[name]
        if below is not None:
            for child in value.values():
                below(child)

    return fill_map


def _of_array(items: schemas.Schema) -> Fill | None:
    below = compile_defaults(items)
    make = _copies(items.default) if items.has_default and items.default is not None and not items.nullable else None
    if below is None and make is None:
        return None

    def fill_array(value: Any) -> None:
        if value.__class__ is not list:
            return
        for index, child in enumerate(value):
            if child is None and make is not None:
                value[index] = make()
        if below is not None:
            for child in value:
                below(child)

    return fill_array

"""OpenAPI v2 of other servers, merged into ours.

Of another server's document only the paths of its group-version count, and the definitions these lead to. A
definition whose name we know with another content gets a new name (``NAME_v2``, ``_v3`` …), as upstream gives it.
"""

from collections.abc import Iterator
from typing import Any

_REFERENCE = "#/definitions/"


def merge(ours: dict[str, Any], theirs: dict[str, Any], prefix: str) -> dict[str, Any]:
    """``ours`` with what ``theirs`` has below ``prefix`` (``/apis/GROUP/VERSION``); neither is changed."""
    paths = {path: item for path, item in (theirs.get("paths") or {}).items() if f"{path}/".startswith(f"{prefix}/")}
    definitions = theirs.get("definitions") or {}
    wanted = _reached(paths, definitions)
    held = ours.get("definitions") or {}
    names = {name: _name(name, definitions, held) for name in wanted}
    merged = dict(ours)
    merged["paths"] = {**ours["paths"], **{path: _renamed(item, names) for path, item in paths.items()}}
    merged["definitions"] = {**held, **{names[name]: _renamed(definitions[name], names) for name in wanted}}
    parameters = {
        name: _renamed(value, names)
        for name, value in (theirs.get("parameters") or {}).items()
        if name not in (ours.get("parameters") or {})
    }
    if parameters:
        merged["parameters"] = {**(ours.get("parameters") or {}), **parameters}
    return merged


def _reached(paths: dict[str, Any], definitions: dict[str, Any]) -> list[str]:
    found: dict[str, None] = {}
    waiting = [*_references(paths)]
    while waiting:
        name = waiting.pop()
        if name in definitions and name not in found:
            found[name] = None
            waiting += _references(definitions[name])
    return list(found)


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "$ref" and isinstance(inner, str):
                yield inner.removeprefix(_REFERENCE)
            else:
                yield from _references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _references(inner)


def _name(name: str, definitions: dict[str, Any], held: dict[str, Any]) -> str:
    chosen, number = name, 1
    while chosen in held and held[chosen] != definitions[name]:
        number += 1
        chosen = f"{name}_v{number}"
    return chosen


def _renamed(value: Any, names: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {
            key: _REFERENCE + names[inner.removeprefix(_REFERENCE)]
            if key == "$ref" and isinstance(inner, str) and inner.removeprefix(_REFERENCE) in names
            else _renamed(inner, names)
            for key, inner in value.items()
        }
    if isinstance(value, list):
        return [_renamed(inner, names) for inner in value]
    return value

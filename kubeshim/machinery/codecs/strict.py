"""An object against its schema: which fields it has that the schema lacks, and the form Go would give it.

Both walks are compiled once a schema into closures. Most objects have nothing unknown, so the check only says
yes or no at full speed; texts with paths are made by a slower walk when there is something to say.

``prune`` gives an object the form it would have after being read into upstream's Go struct and written again:
unknown fields and nulls are gone, zero values that Go omits are gone (``hostNetwork: false``), structs that Go
always writes are there (``resources: {}``), and so is what it writes even when unset (an event's ``eventTime: null``,
a container's ``restartCount: 0``). Custom resources lose unknown fields and nulls that are not allowed.
"""

import functools
from collections.abc import Callable, Iterable
from typing import Any

import orjson

from kubeshim.machinery import errors, schemas
from kubeshim.machinery.codecs import descriptors

MAX_REPORTED = 100
"""Upstream keeps this many strictness errors and drops the rest."""

_Check = Callable[[Any], bool]
_Prune = Callable[[Any], None]

_checks: dict[schemas.Schema, _Check | None] = {}
_prunes: dict[schemas.Schema, _Prune | None] = {}
_CACHE_LIMIT = 20_000
"""Compiled nodes kept. Built-ins need some 3,000; the rest is for custom resources, whose schemas come and go."""

_RESOURCE_FIELDS = frozenset(("apiVersion", "kind", "metadata"))


def unknown_fields(obj: Any, schema: schemas.Schema) -> list[str]:
    """``unknown field "spec.x"`` for each field that ``schema`` does not have, in the object's order."""
    check = _compiled_check(schema)
    if check is None or check(obj):
        return []
    found: list[str] = []
    _collect(obj, schema, "", found)
    return [f'unknown field "{path}"' for path in dict.fromkeys(found)][:MAX_REPORTED]


def unknown_fields_of_custom(obj: Any, schema: schemas.Schema) -> list[str]:
    """The same of a custom resource, in upstream's order: its metadata, what its schema lacks, embedded metadata."""
    found = unknown_fields(obj, schema)
    if len(found) < 2:
        return found
    embedded = [f'unknown field "{path}' for path in _embedded(obj, schema, "")]

    def order(text: str) -> tuple[int, str]:
        if text.startswith('unknown field "metadata.'):
            return 0, ""
        return (2, text) if text.startswith(tuple(embedded)) else (1, text)

    return sorted(found, key=order)


def _embedded(value: Any, schema: schemas.Schema, path: str) -> list[str]:
    """Where the metadata of resources inside an object is: ``spec.template.metadata.``."""
    if isinstance(value, list):
        items = schema.items
        below = [(f"{path}[{index}]", child, items) for index, child in enumerate(value)] if items else []
        return [found for where, child, inner in below if inner for found in _embedded(child, inner, where)]
    if not isinstance(value, dict):
        return []
    result = [f"{path}.metadata."] if path and schema.embedded_resource else []
    for key, child in value.items():
        inner = schema.properties.get(key) or (schema.values if schema.kind == "map" else None)
        if inner is not None:
            result += _embedded(child, inner, f"{path}.{key}" if path else key)
    return result


def unknown_fields_sorted(obj: Any, schema: schemas.Schema) -> list[str]:
    """The same in the order of the fields' names, as of a document that was made by a patch."""
    if not unknown_fields(obj, schema):
        return []
    return unknown_fields(orjson.loads(orjson.dumps(obj, option=orjson.OPT_SORT_KEYS)), schema)


def problems(obj: Any, schema: schemas.Schema, duplicates: Iterable[str]) -> list[str]:
    """Unknown and duplicate fields together, in document order; what is unknown is not duplicate as well."""
    unknown = unknown_fields(obj, schema)
    repeated = list(duplicates)
    if not unknown or not repeated:
        return unknown + repeated
    order = {path: index for index, path in enumerate(_paths(obj, ""))}
    unknown_paths = {_path(text) for text in unknown}
    kept = [text for text in repeated if _path(text) not in unknown_paths]
    yaml = [text for text in kept if not text.startswith("duplicate field")]
    rest = [text for text in unknown + kept if text not in yaml]
    return yaml + sorted(rest, key=lambda text: order.get(_path(text), len(order)))


def decoding_error(texts: Iterable[str]) -> str:
    """``strict decoding error: unknown field "x", duplicate field "y"``."""
    return "strict decoding error: " + ", ".join(texts)


def warnings(texts: Iterable[str]) -> list[str]:
    """The same as ``Warning`` headers' texts: one each, go-yaml's list taken apart."""
    result: list[str] = []
    for text in texts:
        head, newline, rest = text.partition("\n")
        if newline and head.endswith("yaml: unmarshal errors:"):
            result.extend(line.strip() for line in rest.split("\n"))
        else:
            result.append(text)
    return result


def not_strict(texts: Iterable[str]) -> errors.BadRequest:
    return errors.BadRequest(decoding_error(texts))


def _path(text: str) -> str:
    return text.partition('"')[2].rpartition('"')[0]


def _paths(value: Any, path: str) -> Iterable[str]:
    if isinstance(value, dict):
        for key, child in value.items():
            below = f"{path}.{key}" if path else key
            yield below
            yield from _paths(child, below)
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from _paths(child, f"{path}[{index}]")


def known_fields(schema: schemas.Schema) -> frozenset[str]:
    known = frozenset(schema.properties)
    return known | _RESOURCE_FIELDS if schema.embedded_resource else known


def _collect(value: Any, schema: schemas.Schema, path: str, found: list[str]) -> None:
    if isinstance(value, dict) and schema.kind == "object":
        known = known_fields(schema)
        for key, child in value.items():
            below = f"{path}.{key}" if path else key
            sub = schema.properties.get(key)
            if sub is not None:
                _collect(child, sub, below, found)
            elif key not in known and not schema.preserve_unknown:
                found.append(below)
    elif isinstance(value, dict) and schema.kind == "map" and schema.values is not None:
        for key, child in value.items():
            _collect(child, schema.values, f"{path}.{key}" if path else key, found)
    elif isinstance(value, list) and schema.kind == "array" and schema.items is not None:
        for index, child in enumerate(value):
            _collect(child, schema.items, f"{path}[{index}]", found)


# --- the check ---------------------------------------------------------------------------------------------------


def _compiled_check(schema: schemas.Schema) -> _Check | None:
    """Says True where nothing is unknown; None where there is nothing to look at."""
    if schema in _checks:
        return _checks[schema]
    if len(_checks) > _CACHE_LIMIT:
        _checks.clear()
    if schema.kind == "object" and (schema.properties or not schema.preserve_unknown):
        return _check_object(schema)
    inner = schema.values if schema.kind == "map" else schema.items if schema.kind == "array" else None
    if inner is None:
        _checks[schema] = None
        return None
    return _check_items(schema, inner)


def _check_object(schema: schemas.Schema) -> _Check:
    children: dict[str, _Check] = {}
    known = known_fields(schema)
    closed = not schema.preserve_unknown

    def check(value: Any) -> bool:
        if value.__class__ is not dict:
            return True
        if closed and not value.keys() <= known:
            return False
        for key in value:  # noqa: SIM110 (a generator costs half as much again)
            if key in children and not children[key](value[key]):
                return False
        return True

    _checks[schema] = check
    for key, sub in schema.properties.items():
        child = _compiled_check(sub)
        if child is not None:
            children[key] = child
    return check


def _check_items(schema: schemas.Schema, inner: schemas.Schema) -> _Check | None:
    cell: list[_Check | None] = [None]

    def check(value: Any) -> bool:
        item_check = cell[0]
        if item_check is None:
            return True
        if value.__class__ is list:
            return all(map(item_check, value))
        if value.__class__ is dict:
            return all(map(item_check, value.values()))
        return True

    _checks[schema] = check
    cell[0] = _compiled_check(inner)
    if cell[0] is None:
        _checks[schema] = None
    return _checks[schema]


# --- pruning -----------------------------------------------------------------------------------------------------


def prune(obj: Any, schema: schemas.Schema) -> None:
    """Brings ``obj`` in place into the form described above."""
    walk = _compiled_prune(schema)
    if walk is not None:
        walk(obj)


def fill(obj: dict[str, Any], schema: schemas.Schema) -> None:
    """Puts the structs that Go always writes (``status: {}``) at the top of an object of a built-in kind.

    A time is a struct too; an unset one is written ``null`` (an Event's ``eventTime``).
    """
    for key in _top_structs(schema.definition):
        if obj.get(key) is None:
            if schema.properties[key].kind != "object":
                obj[key] = None
                continue
            made: dict[str, Any] = {}
            obj[key] = made
            prune(made, schema.properties[key])


_ZEROS: dict[str, Any] = {
    "string": "", "bytes": "", "integer": 0, "number": 0, "boolean": False, "quantity": "0", "int-or-string": 0,
}  # fmt: skip
"""Of other kinds (times, lists, maps) the zero is ``null``."""


@functools.cache
def _zeros(schema: schemas.Schema) -> tuple[tuple[str, Any], ...]:
    """What Go writes of a struct even where nothing is set: what has no ``omitempty``, and times, which are structs.

    Lists, maps and pointers without ``omitempty`` are ``null`` then (``rules`` of a role without any).
    """
    found: list[tuple[str, Any]] = []
    for key, presence in descriptors.presence_of(schema.definition).items():
        sub = schema.properties.get(key)
        if sub is None or key in ("apiVersion", "kind"):
            continue
        if presence == "always":
            found.append((key, None if sub.kind == "bytes" else _ZEROS.get(sub.kind)))
        elif presence == "null":
            found.append((key, None))
        elif presence == "struct" and sub.kind in ("time", "micro-time", "quantity"):
            found.append((key, _ZEROS.get(sub.kind)))
    return tuple(found)


@functools.cache
def _top_structs(definition: str) -> tuple[str, ...]:
    return tuple(key for key, presence in descriptors.presence_of(definition).items() if presence == "struct")


def _compiled_prune(schema: schemas.Schema) -> _Prune | None:
    if schema in _prunes:
        return _prunes[schema]
    if len(_prunes) > _CACHE_LIMIT:
        _prunes.clear()
    if schema.kind == "object":
        return _prune_struct(schema) if descriptors.presence_of(schema.definition) else _prune_object(schema)
    return _prune_items(schema)


def _prune_struct(schema: schemas.Schema) -> _Prune:
    """Of a Go struct."""
    presence = descriptors.presence_of(schema.definition)
    rules: dict[str, tuple[bool, bool, _Prune | None]] = {}
    structs: list[tuple[str, _Prune]] = []
    zeros = _zeros(schema)

    def walk(value: Any) -> None:
        if value.__class__ is not dict:
            return
        drop = None
        for key, child in value.items():
            rule = rules.get(key)
            if rule is None or (not child and (rule[0] or (child is None and not rule[1]))):
                if drop is None:
                    drop = [key]
                else:
                    drop.append(key)
            elif rule[2] is not None:
                rule[2](child)
        if drop is not None:
            for key in drop:
                del value[key]
        for key, zero in zeros:
            if key not in value:
                value[key] = zero
        for key, fill in structs:
            if value.get(key) is None:
                made: dict[str, Any] = {}
                value[key] = made
                fill(made)

    _prunes[schema] = walk
    for key, sub in schema.properties.items():
        how = presence.get(key, "pointer" if key not in ("apiVersion", "kind") else "value")
        child = _go_items(sub) if sub.kind in ("map", "array") else _compiled_prune(sub)
        is_struct = how == "struct" and sub.kind == "object" and child is not None
        rules[key] = (how == "value", is_struct, child)
        if is_struct and child is not None:
            structs.append((key, child))
    return walk


def _prune_object(schema: schemas.Schema) -> _Prune:
    """Of a custom resource."""
    children: dict[str, _Prune] = {}
    known = known_fields(schema)
    keep = schema.preserve_unknown
    not_null = frozenset(key for key, sub in schema.properties.items() if not sub.nullable)

    def walk(value: Any) -> None:
        if value.__class__ is not dict:
            return
        drop = None
        for key, child in value.items():
            if key not in known:
                if not keep:
                    drop = [key] if drop is None else [*drop, key]
            elif child is None:
                if key in not_null:
                    drop = [key] if drop is None else [*drop, key]
            elif key in children:
                children[key](child)
        for key in drop or ():
            del value[key]

    _prunes[schema] = walk
    for key, sub in schema.properties.items():
        child = _compiled_prune(sub)
        if child is not None:
            children[key] = child
    return walk


def _prune_items(schema: schemas.Schema) -> _Prune | None:
    """Of a list or a map."""
    inner = _inner(schema)
    if inner is None:
        _prunes[schema] = None
        return None
    cell: list[_Prune | None] = [None]

    def walk(value: Any) -> None:
        item_walk = cell[0]
        if item_walk is None:
            return
        if value.__class__ is list:
            for item in value:
                item_walk(item)
        elif value.__class__ is dict:
            for item in value.values():
                item_walk(item)

    _prunes[schema] = walk
    cell[0] = _compiled_prune(inner)
    if cell[0] is None:
        _prunes[schema] = None
    return _prunes[schema]


def _inner(schema: schemas.Schema) -> schemas.Schema | None:
    return schema.values if schema.kind == "map" else schema.items if schema.kind == "array" else None


def _go_items(schema: schemas.Schema) -> _Prune | None:
    """Of a list or a map in a Go struct, where ``null`` as an element is read as the element type's zero."""
    inner = _inner(schema)
    if inner is None:
        return None
    zero = _ZEROS.get(inner.kind)
    is_struct = inner.kind == "object"
    below = _go_items(inner) if inner.kind in ("map", "array") else _compiled_prune(inner)

    def walk(value: Any) -> None:
        if value.__class__ is list:
            if None in value:
                value[:] = [({} if is_struct else zero) if item is None else item for item in value]
            items: Any = value
        elif value.__class__ is dict:
            items = value.values()
            if None in items:
                value.update({key: {} if is_struct else zero for key, item in value.items() if item is None})
        else:
            return
        if below is not None:
            for item in items:
                below(item)

    return walk if below is not None or is_struct or zero is not None else None

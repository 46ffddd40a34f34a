"""What server-side apply does to values: read the fields a configuration names, merge it in, take fields out.

These walks follow structured-merge-diff. They never change their arguments, but results share parts with them.
"""

from collections.abc import Callable
from typing import Any

from kubeshim.machinery import field_types, fieldsets, go_text, schemas

Fields = fieldsets.Fields


class NotTyped(ValueError):
    """The object does not fit its schema; the text lists every problem with its path."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__(problems[0] if len(problems) == 1 else "\n  ".join(["errors:", *problems]))


# --- the fields of a configuration -------------------------------------------------------------------------------


def field_set(obj: dict[str, Any], schema: schemas.Schema) -> Fields:
    """The fields that ``obj`` names. Raises ``NotTyped``, also for undeclared fields and duplicate elements."""
    problems: list[str] = []
    found = _members(obj, schema, "", problems)
    if problems:
        raise NotTyped(problems)
    return found


def lenient_field_set(obj: dict[str, Any], schema: schemas.Schema) -> Fields:
    """The same for a live object, whose oddities are passed over."""
    return _members(obj, schema, "", [])


def _below(value: Any, schema: schemas.Schema, path: str, problems: list[str]) -> Fields | None:
    """What is under a place; None means that the place itself is the field."""
    if field_types.is_deduced(schema):
        return _members(value, schema, path, problems) if isinstance(value, dict) else None
    if schema.kind in ("object", "map"):
        if not isinstance(value, dict) and value is not None:
            problems.append(f"{path}: expected map, got &{{{go_text.value(value)}}}")
            return None
        if value is None:
            return {}
        members = _members(value, schema, path, problems)
        return members if schema.map_type == "granular" else None
    if schema.kind == "array":
        if not isinstance(value, list) and value is not None:
            problems.append(f"{path}: expected list, got &{{{go_text.value(value)}}}")
            return None
        elements = _elements(value or [], schema, path, problems)
        return elements if field_types.is_granular_list(schema) else None
    expected = _mismatch(value, schema)
    if expected:
        problems.append(f"{path}: expected {expected}, got &{{{go_text.value(value)}}}")
    return None


def _members(value: dict[str, Any], schema: schemas.Schema, path: str, problems: list[str]) -> Fields:
    result: Fields = {}
    for key, child in value.items():
        field = field_types.child(schema, key)
        if field is None:
            problems.append(f"{path}.{key}: field not declared in schema")
            continue
        below = _below(child, field, f"{path}.{key}", problems)
        empty = child is None or child == {}
        found = fieldsets.node(below is None or empty or key not in schema.properties, below or {})
        if found is not None:
            result["f:" + key] = found
    return result


def _elements(value: list[Any], schema: schemas.Schema, path: str, problems: list[str]) -> Fields:
    items = schema.items or field_types.ANYTHING
    if not field_types.is_granular_list(schema):
        for index, item in enumerate(value):
            _below(item, items, f"{path}[{index}]", problems)
        return {}
    make = field_types.element_maker(schema)
    result: Fields = {}
    for index, item in enumerate(value):
        try:
            element = make(item)
        except field_types.MissingKey as problem:
            problems.append(f"{path}: element {index}: {problem}")
            continue
        text = fieldsets.path_text((element,))
        if element in result:
            problems.append(f"{path}: duplicate entries for key {text}")
            result[element] = fieldsets.LEAF
            continue
        below = _below(item, items, path + text, problems)
        result[element] = fieldsets.node(True, below or {}) or fieldsets.LEAF
    return result


def _mismatch(value: Any, schema: schemas.Schema) -> str:
    """What was expected of a scalar, where it is something else."""
    if value is None:
        return ""
    if schema.kind == "string" and not isinstance(value, str):
        return "string"
    if schema.kind in ("integer", "number") and (isinstance(value, bool) or not isinstance(value, (int, float))):
        return "numeric (int or float)"
    return "boolean" if schema.kind == "boolean" and not isinstance(value, bool) else ""


# --- merging -----------------------------------------------------------------------------------------------------


def merge(live: Any, applied: Any, schema: schemas.Schema) -> Any:
    """``live`` with everything that ``applied`` says; null takes nothing out of what is merged part by part."""
    if field_types.is_deduced(schema) or field_types.is_granular_map(schema):
        if isinstance(live, dict) and isinstance(applied, dict):
            return _merge_members(live, applied, schema)
        return live if applied is None and live and isinstance(live, dict) else applied
    if field_types.is_granular_list(schema) and isinstance(live, list):
        if applied is None:
            return live or None
        if isinstance(applied, list):
            return _merge_elements(live, applied, schema)
    return applied


def _merge_members(live: dict[str, Any], applied: dict[str, Any], schema: schemas.Schema) -> dict[str, Any]:
    result = dict(live)
    for key, value in applied.items():
        if key in result:
            result[key] = merge(result[key], value, field_types.child(schema, key) or field_types.ANYTHING)
        else:
            result[key] = value
    return result


def _merge_elements(live: list[Any], applied: list[Any], schema: schemas.Schema) -> list[Any]:
    """Elements in the applied order; those of the live list alone keep their place between shared ones.

    The applied list has no duplicates; of a live element that it names, duplicates are dropped.
    """
    make = field_types.element_maker(schema)
    items = schema.items or field_types.ANYTHING
    ours, theirs = field_types.grouped(make, live), field_types.grouped(make, applied)
    rest: list[tuple[str | None, Any]] = [
        (element, item) for element, found in ours.items() if len(found) == 1 for item in found
    ]
    if len(rest) != len(live):
        rest = [(_element_or_none(make, item), item) for item in live]
    wanted = list(theirs)
    shared = [element for element in wanted if element in ours]
    awaited = i = j = 0
    merged: set[str | None] = set()
    result: list[Any] = []
    while i < len(rest) or j < len(wanted):
        element, item = rest[i] if i < len(rest) else (None, None)
        if i < len(rest):
            if element not in theirs:
                # With both lists at the same shared element next, that one goes first only when it is here.
                result.append(item)
                i += 1
                continue
            if element in merged or (j < len(wanted) and element != wanted[j] and element != _at(shared, awaited)):
                i += 1
                continue
        if j < len(wanted):
            name = wanted[j]
            found = ours.get(name, ())
            value = theirs[name][0]
            result.append(merge(found[0], value, items) if len(found) == 1 else value)
            merged.add(name)
            awaited += _at(shared, awaited) == name
            i += element == name
            j += 1
    return result


def _at(items: list[str], index: int) -> str | None:
    return items[index] if index < len(items) else None


def _element_or_none(make: Callable[[Any], str], item: Any) -> str | None:
    """None for an element without its keys, which nobody can name."""
    try:
        return make(item)
    except field_types.MissingKey:
        return None


# --- taking out --------------------------------------------------------------------------------------------------


def remove(value: Any, fields: Fields, schema: schemas.Schema) -> Any:
    """``value`` without the given fields; of a container that this empties null is left, as upstream has it."""
    if not fields:
        return value
    if isinstance(value, dict) and (field_types.is_deduced(schema) or field_types.is_granular_map(schema)):
        kept = _kept_members(value, fields, schema)
        return kept if kept or not value else None
    if isinstance(value, list) and field_types.is_granular_list(schema):
        elements = _kept_elements(value, fields, schema)
        return elements if elements or not value else None
    return value


def _kept_members(value: dict[str, Any], fields: Fields, schema: schemas.Schema) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for key, child in value.items():
        node = fields.get("f:" + key)
        if node is None:
            kept[key] = child
        elif not fieldsets.is_member(node):
            kept[key] = remove(child, node, field_types.child(schema, key) or field_types.ANYTHING)
    return kept


def _kept_elements(value: list[Any], fields: Fields, schema: schemas.Schema) -> list[Any]:
    make: Callable[[Any], str] = field_types.element_maker(schema)
    items = schema.items or field_types.ANYTHING
    kept: list[Any] = []
    for item in value:
        try:
            node = fields.get(make(item))
        except field_types.MissingKey:
            node = None
        if node is None:
            kept.append(item)
        elif not fieldsets.is_member(node):
            rest = remove(item, node, items)
            if rest is not None:
                kept.append(rest)
    return kept


def with_named_fields(fields: Fields, schema: schemas.Schema) -> Fields:
    """The set plus every declared field that something in it lies under (``spec`` where it has ``spec.replicas``)."""
    result: Fields = {}
    for key, below in fields.items():
        if key == fieldsets.SELF:
            result[key] = below
            continue
        named = key.startswith("f:") and key[2:] in schema.properties
        if key.startswith("f:"):
            inner = field_types.child(schema, key[2:])
        else:
            inner = schema.items
        children = with_named_fields(below, inner) if inner is not None else below
        if named and children and fieldsets.SELF not in children:
            children = {fieldsets.SELF: fieldsets.LEAF, **children}
        result[key] = children
    return result

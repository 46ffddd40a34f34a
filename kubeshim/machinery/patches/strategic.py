"""Strategic merge patch: a merge patch that knows from the schema which lists are maps in disguise.

Directives a patch may hold:

    $patch: replace | delete | merge     of the map or list element it stands in
    $retainKeys: [names]                 fields of the original that are not named go
    $setElementOrder/LIST: [...]         the order of LIST afterwards
    $deleteFromPrimitiveList/LIST: [...] values to take out of LIST

A list with patch strategy ``merge`` is merged by its merge key (or, of scalars, as a set); any other list is
replaced. Order: what the patch names goes in the patch's order; what only the server has keeps its place
relative to it as far as both orders allow (``ordering``).
"""

from typing import Any

import orjson

from kubeshim.machinery import errors, go_text, schemas
from kubeshim.machinery.patches import equality, merge, ordering

DIRECTIVE = "$patch"
RETAIN_KEYS = "$retainKeys"
DELETE_PREFIX = "$deleteFromPrimitiveList/"
ORDER_PREFIX = "$setElementOrder/"

_Map = dict[str, Any]


def apply(obj: _Map, patch: Any, schema: schemas.Schema) -> _Map:
    """The patched copy of ``obj``. Raises 400 for a patch in a wrong form, 422 for one that cannot be merged."""
    if not isinstance(patch, dict):
        raise errors.BadRequest("invalid JSON document")
    # Values move from the patch into the object: the caller's patch stays its own.
    return _merge_map(_copied(obj), _copied(patch), schema)


def _copied(value: _Map) -> _Map:
    result: _Map = orjson.loads(orjson.dumps(value))
    return result


def _merge_map(original: _Map, patch: _Map, schema: schemas.Schema | None) -> _Map:
    if DIRECTIVE in patch:
        return _directed(patch)
    _retain_keys(original, patch)
    _merge_ordered_lists(original, patch, schema)
    for key, value in patch.items():
        from_list = key.startswith(DELETE_PREFIX)
        name = key[len(DELETE_PREFIX) :] if from_list else key
        if value is None:
            original.pop(name, None)
            continue
        current: Any = original.get(name)
        if name not in original or current.__class__ is not value.__class__:
            if not from_list:
                original[name] = _without_directives(merge.without_nulls(value))
            continue
        field = _field(schema, name)
        if isinstance(value, dict):
            replaces = field is not None and _strategy(field) == "replace"
            original[name] = value if replaces else _merge_map(current, value, field)
        elif isinstance(value, list):
            original[name] = _merge_list_field(current, value, field, from_list)
        else:
            original[name] = value
    return original


def _directed(patch: _Map) -> _Map:
    directive = patch.pop(DIRECTIVE)
    if directive == "replace":
        return _without_directives(patch)  # type: ignore[no-any-return]
    if directive == "delete":
        return {}
    raise _refused(f"unknown patch type: {directive}")


def _retain_keys(original: _Map, patch: _Map) -> None:
    if RETAIN_KEYS not in patch:
        return
    kept = patch.pop(RETAIN_KEYS)
    if not isinstance(kept, list):
        raise errors.BadRequest("invalid patch format of retainKeys")
    for key, value in patch.items():
        if value is not None and not key.startswith((DELETE_PREFIX, ORDER_PREFIX)) and key not in kept:
            raise errors.BadRequest("invalid patch format of retainKeys")
    for key in [key for key in original if key not in kept]:
        del original[key]


def _merge_ordered_lists(original: _Map, patch: _Map, schema: schemas.Schema | None) -> None:
    """Handles each ``$setElementOrder/LIST`` with its LIST, and takes both out of the patch."""
    for key in [key for key in patch if key.startswith(ORDER_PREFIX)]:
        order = patch.pop(key)
        name = key[len(ORDER_PREFIX) :]
        if not isinstance(order, list):
            raise errors.BadRequest("invalid patch format of setElementOrder list")
        field = _field(schema, name)
        merge_key = field.patch_merge_key if field is not None else ""
        current, change = original.get(name), patch.pop(name, None)
        if change is None and current is None:
            continue
        for given in (current, change):
            if given is not None and not isinstance(given, list):
                raise errors.BadRequest("invalid patch format of setElementOrder list")
        _check_order(change or [], order, merge_key)
        if current is None:
            merged = _without_directives(change)
        elif change is None:
            merged = current
        else:
            merged = _merge_list_field(list(current), change, field, from_list=False)
        original[name] = ordering.arranged(merged, order, current or [], merge_key)


def _check_order(change: list[Any], order: list[Any], merge_key: str) -> None:
    """The list in the patch has to stand in the order that the patch demands."""
    named = [item for item in change if not (isinstance(item, dict) and DIRECTIVE in item)]
    positions = [ordering.position(order, item, merge_key) for item in named]
    if -1 in positions or positions != sorted(positions):
        given, wanted = go_text.value(change), go_text.value(order)
        raise _refused(f"The order in patch list:\n{given}\n doesn't match {ORDER_PREFIX[:-1]} list:\n{wanted}\n")


def _merge_list_field(
    current: list[Any], change: list[Any], field: schemas.Schema | None, from_list: bool
) -> list[Any]:
    if field is None or _strategy(field) != "merge":
        return change
    return _merge_list(current, change, field, from_list)


def _merge_list(current: list[Any], change: list[Any], field: schemas.Schema, from_list: bool) -> list[Any]:
    if not current and not change:
        return current
    merge_key = field.patch_merge_key
    if not _holds_maps(current + change):
        if from_list:
            return [item for item in current if ordering.position(change, item, "") < 0]
        merged: list[Any] = []
        for item in current + change:
            if ordering.position(merged, item, "") < 0:
                merged.append(item)
        return ordering.arranged(merged, change, current, "")
    if not merge_key:
        raise _refused(f"cannot merge lists without merge key for {field.definition}")
    current, change = _apply_element_directives(current, change, merge_key)
    server_order = list(current)
    merged = list(current)
    for item in change:
        if merge_key not in item:
            raise _no_merge_key(item, merge_key)
        at = ordering.position(merged, item, merge_key)
        if at >= 0:
            merged[at] = _merge_map(merged[at], item, field.items)
        else:
            merged.append(_without_directives(merge.without_nulls(item)))
    return ordering.arranged(merged, change, server_order, merge_key)


def _holds_maps(items: list[Any]) -> bool:
    kinds = {dict if isinstance(item, dict) else list if isinstance(item, list) else object for item in items}
    if list in kinds:
        raise errors.Invalid("the server rejected our request due to an error in our request", details={})
    if len(kinds) > 1:
        raise _refused("list element types are not identical")
    return dict in kinds


def _apply_element_directives(
    current: list[Any], change: list[Any], merge_key: str
) -> tuple[list[Any], list[dict[str, Any]]]:
    """Carries out ``$patch`` elements: ``(what is left of the original, what is left of the patch)``."""
    plain: list[dict[str, Any]] = []
    replace = False
    for item in change:
        directive = item.get(DIRECTIVE)
        if directive is None:
            plain.append(item)
        elif directive == "delete":
            if merge_key not in item:
                raise _no_merge_key(item, merge_key)
            current = [old for old in current if not equality.same(old.get(merge_key), item[merge_key])]
        elif directive == "replace":
            replace = True
        elif directive == "merge":
            raise _refused("merging lists cannot yet be specified in the patch")
        else:
            raise _refused(f"unknown patch type: {directive} in map: {go_text.value(item)}")
    return ([_without_directives(item) for item in plain], []) if replace else (current, plain)


def _without_directives(value: Any) -> Any:
    """What a patch's new value is once nothing is there to direct."""
    if isinstance(value, dict):
        if value.get(DIRECTIVE) == "delete":
            return {}
        return {key: _without_directives(child) for key, child in value.items() if not _is_directive(key)}
    if isinstance(value, list):
        return [
            _without_directives(item)
            for item in value
            if not (isinstance(item, dict) and (item.get(DIRECTIVE) == "delete" or list(item) == [DIRECTIVE]))
        ]
    return value


def _is_directive(key: str) -> bool:
    return key in (DIRECTIVE, RETAIN_KEYS) or key.startswith((DELETE_PREFIX, ORDER_PREFIX))


def _field(schema: schemas.Schema | None, name: str) -> schemas.Schema | None:
    if schema is None:
        return None
    return schema.properties.get(name) or schema.values


def _strategy(field: schemas.Schema) -> str:
    """``merge`` or ``replace``; retainKeys stands beside it and only says what patches hold."""
    return next((strategy for strategy in field.patch_strategy if strategy != "retainKeys"), "")


def _no_merge_key(item: _Map, merge_key: str) -> errors.APIStatusError:
    return _refused(f"map: {go_text.value(item)} does not contain declared merge key: {merge_key}")


def _refused(why: str) -> errors.APIStatusError:
    """Upstream passes these through as plain errors: 500 without a reason."""
    return errors.APIStatusError(why, code=500, reason="")

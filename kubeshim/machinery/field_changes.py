"""Which fields differ between two objects of a type: what an update makes its manager the owner of.

The walk is compiled once a schema node into two closures: ``added`` for a value that the other side lacks (all
of a new container, say) and ``compare`` for two values. It is on the path of every write, so equal subtrees end
it at once and paths are never built: the result grows as a ``FieldsV1`` tree.

``TEMPLATE``: a created object is compared with Go's empty struct of that type, not with nothing. Fields that
such a struct has anyway (``spec``, ``spec.containers``) are therefore never owned themselves, only what is in
them; optional ones (``metadata.labels``) are. ``template`` makes that struct from the facts about Go's fields.
"""

from collections.abc import Callable
from typing import Any

from kubeshim.machinery import field_types, fieldsets, schemas
from kubeshim.machinery.codecs import descriptors

Fields = fieldsets.Fields
Changes = tuple[Fields | None, Fields | None]
"""``(changed or added, removed)`` as nodes; None where nothing is."""

_Added = Callable[[Any], Fields]
_Compare = Callable[[Any, Any], Changes]

_LEAF = fieldsets.LEAF
_SELF = fieldsets.SELF
_NOTHING: Changes = (None, None)
_CHANGED: Changes = (_LEAF, None)
_ABSENT: Any = object()
_CACHE_LIMIT = 20_000
_added: dict[schemas.Schema, _Added | None] = {}
_compare: dict[schemas.Schema, _Compare] = {}
_templates: dict[schemas.Schema, dict[str, Any]] = {}


def changes(old: dict[str, Any], new: dict[str, Any], schema: schemas.Schema) -> tuple[Fields, Fields]:
    """``(changed or added, removed)`` between two objects, as sets."""
    changed, removed = _comparer(schema)(old, new)
    return changed or _LEAF, removed or _LEAF


def template(schema: schemas.Schema) -> dict[str, Any]:
    """Go's empty struct of a built-in type as JSON; ``{}`` for a custom resource. Not to be changed."""
    found = _templates.get(schema)
    if found is None:
        if len(_templates) > _CACHE_LIMIT:
            _templates.clear()
        found = _templates[schema] = _empty_struct(schema)
    return found


_ZERO = {"string": "", "integer": 0, "number": 0, "boolean": False, "quantity": "0", "int-or-string": 0}


def _empty_struct(schema: schemas.Schema) -> dict[str, Any]:
    empty: dict[str, Any] = {}
    for name, presence in descriptors.presence_of(schema.definition).items():
        field = schema.properties.get(name)
        if field is None or presence in ("pointer", "value"):
            continue
        if presence == "struct" and field.kind == "object":
            empty[name] = _empty_struct(field)
        elif presence == "null":
            empty[name] = None
        else:
            empty[name] = _ZERO.get(field.kind)
    return empty


# --- what is new -------------------------------------------------------------------------------------------------


def _adder(schema: schemas.Schema) -> _Added | None:
    """None for a field that is one whole: its node is always the leaf."""
    if schema in _added:
        return _added[schema]
    if len(_added) > _CACHE_LIMIT:
        _added.clear()
    if field_types.is_deduced(schema):
        _added[schema] = _deduced_added
    elif field_types.is_granular_map(schema):
        return _object_adder(schema) if schema.kind == "object" else _map_adder(schema)
    elif field_types.is_granular_list(schema):
        return _list_adder(schema)
    else:
        _added[schema] = None
    return _added[schema]


def _deduced_added(value: Any) -> Fields:
    if value.__class__ is not dict or not value:
        return _LEAF
    result: Fields = {_SELF: _LEAF}
    for key, child in value.items():
        result["f:" + key] = _deduced_added(child)
    return result


def _object_adder(schema: schemas.Schema) -> _Added:
    rules: dict[str, tuple[str, _Added | None]] = {}

    def added(value: Any) -> Fields:
        if value.__class__ is not dict or not value:
            return _LEAF
        result: Fields = {_SELF: _LEAF}
        for key, child in value.items():
            rule = rules.get(key)
            if rule is None:
                result["f:" + key] = _deduced_added(child)
            else:
                inner = rule[1]
                result[rule[0]] = _LEAF if inner is None else inner(child)
        return result

    _added[schema] = added
    for key, field in schema.properties.items():
        rules[key] = ("f:" + key, _adder(field))
    return added


def _map_adder(schema: schemas.Schema) -> _Added:
    cell: list[_Added | None] = [None]

    def added(value: Any) -> Fields:
        if value.__class__ is not dict or not value:
            return _LEAF
        inner = cell[0]
        result: Fields = {_SELF: _LEAF}
        for key, child in value.items():
            result["f:" + key] = _LEAF if inner is None else inner(child)
        return result

    _added[schema] = added
    cell[0] = _adder(schema.values) if schema.values is not None else _deduced_added
    return added


def _list_adder(schema: schemas.Schema) -> _Added:
    make = field_types.element_maker(schema)
    cell: list[_Added | None] = [None]

    def added(value: Any) -> Fields:
        if value.__class__ is not list or not value:
            return _LEAF
        inner = cell[0]
        result: Fields = {_SELF: _LEAF}
        for item in value:
            try:
                element = make(item)
            except field_types.MissingKey:
                continue
            # Of an element that is there twice, only that it is.
            result[element] = _LEAF if inner is None or element in result else inner(item)
        return result

    _added[schema] = added
    cell[0] = _adder(schema.items) if schema.items is not None else None
    return added


# --- what differs ------------------------------------------------------------------------------------------------


def _comparer(schema: schemas.Schema) -> _Compare:
    found = _compare.get(schema)
    if found is not None:
        return found
    if len(_compare) > _CACHE_LIMIT:
        _compare.clear()
    if field_types.is_deduced(schema):
        return _members_comparer(schema)
    if field_types.is_granular_map(schema):
        return _members_comparer(schema)
    if field_types.is_granular_list(schema):
        return _list_comparer(schema)
    _compare[schema] = _compare_whole
    return _compare_whole


def _compare_whole(old: Any, new: Any) -> Changes:
    return _NOTHING if old == new else _CHANGED


def _members_comparer(schema: schemas.Schema) -> _Compare:
    """For structs, maps and free-form parts: member by member."""
    rules: dict[str, tuple[str, _Added | None, _Compare | None]] = {}

    def rule_for(key: str) -> tuple[str, _Added | None, _Compare | None]:
        field = field_types.child(schema, key) or field_types.ANYTHING
        adder, comparer = _adder(field), _comparer(field)
        return "f:" + key, adder, None if comparer is _compare_whole else comparer

    named = schema.properties

    def compare(old: Any, new: Any) -> Changes:
        if old == new:
            return _NOTHING
        if old.__class__ is not dict:
            if new.__class__ is not dict or old is not None:
                return _CHANGED
            old = _LEAF
        elif new.__class__ is not dict:
            if new is not None:
                return _CHANGED
            new = _LEAF
        if not old and not new:
            return _CHANGED
        changed: Fields = {}
        removed: Fields = {}
        for key, value in new.items():
            rule = rules.get(key)
            if rule is None:
                rule = rule_for(key)
                if key in named:
                    rules[key] = rule
            before = old.get(key, _ABSENT)
            if before is _ABSENT:
                changed[rule[0]] = _LEAF if rule[1] is None else rule[1](value)
            elif before != value:
                if rule[2] is None:
                    changed[rule[0]] = _LEAF
                else:
                    below = rule[2](before, value)
                    if below[0] is not None:
                        changed[rule[0]] = below[0]
                    if below[1] is not None:
                        removed[rule[0]] = below[1]
        for key in old:
            if key not in new:
                rule = rules.get(key) or rule_for(key)
                removed[rule[0]] = _LEAF if rule[1] is None else rule[1](old[key])
        return changed or None, removed or None

    _compare[schema] = compare
    return compare


def _each(adder: _Added | None, values: list[Any]) -> Fields:
    """What an element of a list adds or takes away; only itself where several have its key."""
    return _LEAF if adder is None or len(values) > 1 else adder(values[0])


def _list_comparer(schema: schemas.Schema) -> _Compare:
    make = field_types.element_maker(schema)
    cell: list[tuple[_Added | None, _Compare]] = []

    def compare(old: Any, new: Any) -> Changes:
        if old == new:
            return _NOTHING
        if old.__class__ is not list and old is not None:
            return _CHANGED
        if new.__class__ is not list and new is not None:
            return _CHANGED
        if not old and not new:
            return _CHANGED
        adder, comparer = cell[0]
        before, after = field_types.grouped(make, old or ()), field_types.grouped(make, new or ())
        changed: Fields = {}
        removed: Fields = {}
        for element, values in after.items():
            earlier = before.get(element)
            if earlier is None:
                changed[element] = _each(adder, values)
                continue
            if len(values) > 1 or len(earlier) > 1:
                # What becomes one or several of a key leaves its parts, or its mark, behind.
                if len(values) == 1:
                    changed[element], removed[element] = _each(adder, values), _LEAF
                elif len(earlier) == 1:
                    changed[element], removed[element] = _LEAF, _each(adder, earlier)
                elif values != earlier:
                    changed[element] = _LEAF
                continue
            below = comparer(earlier[0], values[0])
            if below[0] is not None:
                changed[element] = below[0]
            if below[1] is not None:
                removed[element] = below[1]
        for element, values in before.items():
            if element not in after:
                removed[element] = _each(adder, values)
        return changed or None, removed or None

    _compare[schema] = compare
    items = schema.items or field_types.ANYTHING
    cell.append((_adder(items), _comparer(items)))
    return compare

"""What a structural schema is to expressions: types, names, how data is read, and how big it can be.

A place without a type of its own (``x-kubernetes-preserve-unknown-fields`` alone) is not declared: expressions cannot
name it. Bounds on sizes come from ``maxLength`` and its like or, without them, from what fits into a request; the
estimates of cost stand on them, so their arithmetic is upstream's.
"""

import base64
import binascii
import dataclasses
import re
from collections.abc import Callable, Mapping
from typing import Any

from kubeshim.machinery.cel import gotime, types, values

MAX_REQUEST = 3 * 1024 * 1024
_TIME_SIZES = {"duration": (3, 32), "date": (12, 12), "date-time": (21, 32)}

Schema = Mapping[str, Any]
TYPE_NAME = "$type"
"""Names the type of an object in schemas written here; two places of one name are of one type."""


@dataclasses.dataclass(slots=True, eq=False)
class Declaration:
    """``max_elements`` bounds characters, items or entries; of what has none it is 0, as upstream counts."""

    type: types.Type
    wrap: values.Wrap = None
    max_elements: int = 0
    min_size: int = 0
    """Bytes of the smallest JSON."""
    element: "Declaration | None" = None
    key: "Declaration | None" = None
    fields: dict[str, "Declaration"] = dataclasses.field(default_factory=dict)
    """By the name expressions use."""
    fields_alike: bool = False
    """Of a map: read by a field's name, every value is ``element``."""

    def value(self, data: Any) -> Any:
        return data if self.wrap is None or data is None else self.wrap(data)

    def cardinality(self) -> int:
        """How many of these fit into a request."""
        return MAX_REQUEST // (self.min_size + 1)


_NAME = re.compile(r"[a-zA-Z_.\-/][a-zA-Z0-9_.\-/]*").fullmatch
_PARTS = re.compile(r"__|[./-]")
_PART_NAMES = {"__": "__underscores__", ".": "__dot__", "-": "__dash__", "/": "__slash__"}
_KEYWORDS = frozenset({
    "true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function", "if", "import",
    "let", "loop", "package", "namespace", "return", "var", "void", "while",
})  # fmt: skip


def escape(name: str) -> str | None:
    """A property's name in expressions; None for one they cannot say."""
    if name in _KEYWORDS:
        return f"__{name}__"
    if not _NAME(name):
        return None
    return _PARTS.sub(lambda match: _PART_NAMES[match.group()], name)


def unescape(name: str) -> str:
    if name.startswith("__") and name.endswith("__") and name[2:-2] in _KEYWORDS:
        return name[2:-2]
    for part, written in _PART_NAMES.items():
        if part != "__":
            name = name.replace(written, part)
    return name.replace("__underscores__", "__")


def declare(schema: Schema, name: str = "selfType", *, root: bool = False) -> Declaration | None:
    """The declaration of a subschema, or None where there is nothing to name. ``root``: of a resource."""
    if schema.get("x-kubernetes-int-or-string"):
        return Declaration(types.DYN, None, _text_bound(schema), 1)
    if root or schema.get("x-kubernetes-embedded-resource"):
        schema = with_metadata(schema)
    declared = schema.get("type")
    if declared == "array":
        return _array(schema, name)
    if declared == "object":
        return _map(schema, name) if isinstance(schema.get("additionalProperties"), Mapping) else _object(schema, name)
    if declared == "string":
        return _string(schema)
    return _SCALARS.get(declared or "")


_STRING = {"type": "string"}
_SCALARS = {
    "boolean": Declaration(types.BOOL, None, 0, 4),
    "integer": Declaration(types.INT, lambda raw: int(raw) if type(raw) is float else raw, 0, 1),
    "number": Declaration(types.DOUBLE, float, 0, 1),
}
_KEY = Declaration(types.STRING, None, 0, 2)


def with_metadata(schema: Schema) -> Schema:
    """A resource says its type, name and generateName whatever its schema says."""
    properties = dict(schema.get("properties") or {})
    told = properties.get("metadata") or {}
    metadata = {**_mapping(told.get("properties")), "name": _STRING, "generateName": _STRING}
    if "name" in _mapping(told.get("properties")):
        metadata["name"] = told["properties"]["name"]
    properties |= {"kind": _STRING, "apiVersion": _STRING, "metadata": {"type": "object", "properties": metadata}}
    return {**schema, "type": schema.get("type") or "object", "properties": properties}


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _array(schema: Schema, name: str) -> Declaration | None:
    items = schema.get("items")
    element = declare(items, f"{name}.@idx") if isinstance(items, Mapping) else None
    if element is None:
        return None
    bound = schema.get("maxItems")
    most = max(bound, 0) if bound is not None else (MAX_REQUEST - 2) // (element.min_size + 1)
    wrap_item = element.wrap
    kind = schema.get("x-kubernetes-list-type") or "atomic"
    keys = tuple(schema.get("x-kubernetes-list-map-keys") or ())

    def wrap(raw: Any) -> Any:
        return values.TypedList(_expect(raw, list, "array"), wrap_item, kind, keys)

    plain = wrap_item is None and kind == "atomic"
    return Declaration(types.list_of(element.type), None if plain else wrap, most, 2, element)


def _map(schema: Schema, name: str) -> Declaration | None:
    element = declare(schema["additionalProperties"], f"{name}.@elem")
    if element is None:
        return None
    bound = schema.get("maxProperties")
    most = max(bound, 0) if bound is not None else (MAX_REQUEST - 2) // (element.min_size + 6)
    wrap_value = element.wrap

    def wrap(raw: Any) -> Any:
        assert wrap_value is not None
        return values.TypedMap(_expect(raw, dict, "map"), wrap_value)

    kind = types.map_of(types.STRING, element.type)
    return Declaration(kind, wrap if wrap_value else None, most, 2, element, _KEY)


def _object(schema: Schema, name: str) -> Declaration:
    fields: dict[str, Declaration] = {}
    readers: dict[str, tuple[str, values.Wrap]] = {}
    required = set(schema.get("required") or ())
    name = schema.get(TYPE_NAME) or name
    smallest = 2
    for property_name, node in _mapping(schema.get("properties")).items():
        declared = declare(node, f"{name}.{property_name}")
        if declared is None:
            continue
        escaped = escape(property_name)
        if escaped is not None:
            fields[escaped] = declared
            readers[escaped] = (property_name, declared.wrap)
        if property_name in required and node.get("default") is None:
            smallest += len(property_name) + declared.min_size + 4
    kind = types.object_type(name, fields)

    def wrap(raw: Any) -> Any:
        return values.Object(_expect(raw, dict, "map"), readers, kind)

    return Declaration(kind, wrap, 0, smallest, None, None, fields)


def _string(schema: Schema) -> Declaration:
    form = schema.get("format") or ""
    if form == "byte":
        length = schema.get("maxLength")
        return Declaration(types.BYTES, _bytes, max(length, 0) if length is not None else MAX_REQUEST - 2, 2)
    if form in _TIME_SIZES:
        smallest, most = _TIME_SIZES[form]
        if form == "duration":
            return Declaration(types.DURATION, _duration, most, smallest)
        return Declaration(types.TIMESTAMP, _date if form == "date" else _timestamp, most, smallest)
    return Declaration(types.STRING, None, _text_bound(schema), 2)


def _text_bound(schema: Schema) -> int:
    length: int | None = schema.get("maxLength")
    if length is not None:
        # of characters, where requests are counted in bytes
        return max(length, 0) * 4
    if schema.get("enum") and not schema.get("x-kubernetes-int-or-string"):
        return max((len(each.encode()) for each in schema["enum"] if isinstance(each, str)), default=0)
    return MAX_REQUEST - 2


def _expect(raw: Any, kind: type, shown: str) -> Any:
    if isinstance(raw, kind):
        return raw
    raise values.EvaluationError(f"invalid data, expected {shown} to match the provided schema")


def _reading(parse: Callable[[str], Any], shown: str) -> Callable[[Any], Any]:
    def wrap(raw: Any) -> Any:
        try:
            return parse(raw)
        except (ValueError, TypeError):
            raise values.EvaluationError(f"Invalid {shown}: {raw}") from None

    return wrap


def _decode(raw: str) -> bytes:
    try:
        return base64.b64decode(raw, validate=True)
    except binascii.Error as problem:
        raise ValueError from problem


_bytes = _reading(_decode, "byte formatted string")
_duration = _reading(gotime.parse_duration, "duration formatted string")
_timestamp = _reading(gotime.parse_timestamp, "date-time formatted string")
_date = _reading(lambda raw: gotime.parse_timestamp(f"{raw}T00:00:00Z"), "date formatted string")

"""The versions of a CustomResourceDefinition: schemas, subresources, printed columns, selectable fields."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kubeshim.machinery import errors, objects
from kubeshim.machinery.custom_validation import formats
from kubeshim.machinery.structural import defaults, expressions, field_paths, invariants, rules
from kubeshim.machinery.validation import crd_internals, fields

Problems = list[errors.FieldError]
Version = Mapping[str, Any]

_TOP = {"schema": "validation", "subresources": "subresources", "additionalPrinterColumns": "additionalPrinterColumns",
        "selectableFields": "selectableFields"}  # fmt: skip
"""What goes to the top of upstream's internal form where all versions agree, and its name there."""
_COLUMN_TYPES = ("boolean", "date", "integer", "number", "string")
_COLUMN_FORMATS = ("byte", "date", "date-time", "double", "float", "int32", "int64", "password")
_AT_ROOT = (
    "Description", "Type", "Format", "Title", "Maximum", "ExclusiveMaximum", "Minimum", "ExclusiveMinimum",
    "MaxLength", "MinLength", "Pattern", "MaxItems", "MinItems", "UniqueItems", "MultipleOf", "Required", "Items",
    "Properties", "ExternalDocs", "Example", "XPreserveUnknownFields", "XValidations",
)  # fmt: skip
_ROOT_KEYS = frozenset(
    {name[0].lower() + name[1:] for name in _AT_ROOT}
    | {"x-kubernetes-preserve-unknown-fields", "x-kubernetes-validations"}
)
_MOST_SELECTABLE = 8


def shared(versions: Sequence[Version]) -> frozenset[str]:
    """Which of ``_TOP`` all versions have alike."""
    if not versions:
        return frozenset()
    first = versions[0]
    same = {
        name for name in _TOP if all((version.get(name) or None) == (first.get(name) or None) for version in versions)
    }
    if "schema" not in same:
        same.discard("selectableFields")  # which are held against the schema beside them
    return frozenset(same)


def has_defaults(version: Version) -> bool:
    return any(node.get("default") is not None for node in _nodes(objects.dig(version, "schema", "openAPIV3Schema")))


def strange_formats(version: Version) -> list[str]:
    """Formats of strings that nothing is known of, which values are not held against."""
    return [
        node["format"]
        for node in _nodes(objects.dig(version, "schema", "openAPIV3Schema"))
        if node.get("type") == "string" and node.get("format") and formats.find(node["format"]) is None
    ]


def _nodes(schema: Any) -> Iterator[Mapping[str, Any]]:
    """A schema and all below it."""
    if not isinstance(schema, Mapping):
        return
    yield schema
    for key in ("items", "not", "additionalProperties"):
        yield from _nodes(schema.get(key))
    for key in ("allOf", "anyOf", "oneOf"):
        for node in schema.get(key) or ():
            yield from _nodes(node)
    for node in (schema.get("properties") or {}).values():
        yield from _nodes(node)


def validate(version: Version, path: str, agreed: frozenset[str]) -> Problems:
    """What a version has of its own."""
    wrong: Problems = []
    for name, check in _CHECKS:
        if version.get(name) and name not in agreed:
            wrong += check(version if "schema" not in agreed else {**version, "schema": None}, f"{path}.{name}")
    return wrong


def validate_shared(versions: Sequence[Version], agreed: frozenset[str]) -> Problems:
    """What all versions have in common, once; a schema is one with a status if any version has one."""
    if not versions:
        return []
    statuses = [version for version in versions if objects.dig(version, "subresources", "status") is not None]
    shown = {
        **versions[0],
        "subresources": (versions[0] if "subresources" in agreed else (statuses or versions)[0]).get("subresources"),
    }
    wrong: Problems = []
    for name, check in _CHECKS:
        if name in agreed and shown.get(name):
            wrong += check(shown, f"spec.{_TOP[name]}")
    return wrong


def _schema(version: Version, path: str) -> Problems:
    schema = objects.dig(version, "schema", "openAPIV3Schema")
    if not isinstance(schema, Mapping):
        return []
    place = f"{path}.openAPIV3Schema"
    wrong: Problems = []
    if objects.dig(version, "subresources", "status") is not None:
        wrong += _root_with_status(schema, place)
    if schema.get("nullable"):
        wrong.append(fields.forbidden(f"{place}.nullable", "nullable cannot be true at the root"))
    unreadable = invariants.unreadable(schema)
    if not unreadable:
        wrong += invariants.validate(schema, place) or defaults.validate(schema, place)
    wrong += rules.validate(schema, place)
    if wrong:
        return wrong
    return [fields.invalid(place, "", unreadable)] if unreadable else expressions.check(schema, place)


def _root_with_status(schema: Mapping[str, Any], path: str) -> Problems:
    """The schema of ``status`` alone must say all there is to say of it."""
    given = [key for key, value in schema.items() if value not in (None, "", [], {}, False)]
    others = [key for key in given if key not in _ROOT_KEYS]
    first = any(key in ("id", "$schema", "$ref") for key in others)
    if not first and "type" in given and schema["type"] != "object":
        text = 'only "object" is allowed as the type at the root of the schema if the status subresource is enabled'
        return [fields.invalid(f"{path}.type", schema["type"], text)]
    if not others:
        return []
    text = (
        f"only [{' '.join(_AT_ROOT)}] fields are allowed at the root of the schema if the status subresource is enabled"
    )
    return [fields.invalid(path, crd_internals.schema(schema), text)]


def _subresources(version: Version, path: str) -> Problems:
    scale = objects.dig(version, "subresources", "scale")
    if scale is None:
        return []
    wrong = _replicas_path(scale.get("specReplicasPath") or "", f"{path}.scale.specReplicasPath", ".spec")
    wrong += _replicas_path(scale.get("statusReplicasPath") or "", f"{path}.scale.statusReplicasPath", ".status")
    if selector := scale.get("labelSelectorPath"):
        place = f"{path}.scale.labelSelectorPath"
        found = _simple_path(selector, place)
        if not found and not selector.startswith((".spec.", ".status.")):
            found.append(fields.invalid(place, selector, "should be a json path under either .spec or .status"))
        wrong += found
    return wrong


def _replicas_path(text: str, path: str, under: str) -> Problems:
    if not text:
        return [fields.required(path)]
    wrong = _simple_path(text, path)
    if not wrong and not text.startswith(under + "."):
        wrong.append(fields.invalid(path, text, f"should be a json path under {under}"))
    return wrong


def _simple_path(text: str, path: str) -> Problems:
    return [] if text[:1] == "." else [fields.invalid(path, text, "must be a simple json path starting with .")]


def _columns(version: Version, path: str) -> Problems:
    wrong: Problems = []
    for index, column in enumerate(version["additionalPrinterColumns"]):
        wrong += _column(column, f"{path}[{index}]")
    return wrong


def _column(column: Mapping[str, Any], path: str) -> Problems:
    wrong: Problems = []
    if not column.get("name"):
        wrong.append(fields.required(f"{path}.name"))
    kind, shape, place = column.get("type") or "", column.get("format") or "", column.get("jsonPath") or ""
    text = f"must be one of {','.join(_COLUMN_TYPES)}"
    if not kind:
        wrong.append(fields.required(f"{path}.type", text))
    elif kind not in _COLUMN_TYPES:
        wrong.append(fields.invalid(f"{path}.type", kind, text))
    if shape and shape not in _COLUMN_FORMATS:
        wrong.append(fields.invalid(f"{path}.format", shape, f"must be one of {','.join(_COLUMN_FORMATS)}"))
    if not place:
        wrong.append(fields.required(f"{path}.JSONPath"))
    else:
        wrong += _simple_path(place, f"{path}.JSONPath")
    return wrong


def _selectable(version: Version, path: str) -> Problems:
    schema = objects.dig(version, "schema", "openAPIV3Schema")
    if not isinstance(schema, Mapping):
        text = "selectableFields may only be set when version.schema.openAPIV3Schema is not included"
        if path == "spec.selectableFields":
            text = "selectableFields may only be set when validations.schema is included"
        return [fields.invalid(path, "", text)]
    wrong: Problems = []
    seen: set[str] = set()
    for index, entry in enumerate(version["selectableFields"]):
        place, text = f"{path}[{index}].jsonPath", entry.get("jsonPath") or ""
        if not text:
            wrong.append(fields.required(place))
            continue
        try:
            found, node = field_paths.resolve(text, schema, brackets=False)
        except field_paths.Invalid as problem:
            wrong.append(fields.invalid(place, text, f"is an invalid path: {problem}"))
            continue
        wrong += _selectable_field(found, node, place, text)
        if found in seen:
            wrong.append(fields.duplicate(place, text))
        seen.add(found)
    if len(seen) > _MOST_SELECTABLE:
        wrong.append(fields.too_many(path, len(seen), _MOST_SELECTABLE))
    return wrong


def _selectable_field(found: str, node: Mapping[str, Any], place: str, text: str) -> Problems:
    wrong: Problems = []
    if found == "metadata" or found.startswith("metadata."):
        wrong.append(fields.invalid(place, text, "must not point to fields in metadata"))
    if node.get("type") not in ("string", "boolean", "integer"):
        why = (
            "must point to a field of type string, boolean or integer. Enum string fields and strings with formats "
            "are allowed."
        )
        wrong.append(fields.invalid(place, text, why))
    return wrong


_CHECKS = (
    ("schema", _schema), ("subresources", _subresources), ("additionalPrinterColumns", _columns),
    ("selectableFields", _selectable),
)  # fmt: skip

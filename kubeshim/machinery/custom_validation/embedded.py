"""Objects within objects (``x-kubernetes-embedded-resource``): they have apiVersion, kind and sound metadata."""

from collections.abc import Mapping
from typing import Any

from kubeshim.machinery import errors, schemas, upstream
from kubeshim.machinery.validation import content, decoding, fields, metadata


def validate(value: Any, schema: Mapping[str, Any] | None, path: str = "") -> list[errors.FieldError]:
    """Walks ``value`` along its structural schema; the root's own metadata is judged elsewhere."""
    if not isinstance(schema, Mapping):
        return []
    wrong: list[errors.FieldError] = []
    if isinstance(value, dict):
        if schema.get("x-kubernetes-embedded-resource"):
            wrong += resource(value, path)
        properties, additional = schema.get("properties") or {}, schema.get("additionalProperties")
        for name in sorted(value):
            if name in properties:
                wrong += validate(value[name], properties[name], f"{path}.{name}" if path else name)
            elif isinstance(additional, Mapping):
                wrong += validate(value[name], additional, f"{path}[{name}]")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            wrong += validate(item, schema.get("items"), f"{path}[{index}]")
    return wrong


def unreadable(value: Any, schema: Mapping[str, Any] | None, path: str = "") -> errors.FieldError | None:
    """The first type or metadata within ``value`` that cannot even be read as such."""
    if not isinstance(schema, Mapping):
        return None
    if isinstance(value, dict):
        if schema.get("x-kubernetes-embedded-resource") and (problem := _unreadable(value, f"{path}." if path else "")):
            return problem
        properties, additional = schema.get("properties") or {}, schema.get("additionalProperties")
        for name in value:
            if name in properties:
                problem = unreadable(value[name], properties[name], f"{path}.{name}" if path else name)
            else:
                problem = unreadable(value[name], additional, f"{path}[{name}]")
            if problem:
                return problem
    elif isinstance(value, list):
        for index, item in enumerate(value):
            if problem := unreadable(item, schema.get("items"), f"{path}[{index}]"):
                return problem
    return None


def _unreadable(value: Mapping[str, Any], dot: str) -> errors.FieldError | None:
    for name in ("apiVersion", "kind"):
        if name in value and not isinstance(value[name], str):
            return fields.invalid(dot + name, value[name], "must be a string")
    if "metadata" in value and (why := malformed(value["metadata"])):
        return fields.invalid(dot + "metadata", value["metadata"], why)
    return None


def has_resources(schema: Any) -> bool:
    """Whether there are objects within objects of a schema."""
    if not isinstance(schema, Mapping):
        return False
    if schema.get("x-kubernetes-embedded-resource"):
        return True
    below = [schema.get("items"), schema.get("additionalProperties"), *(schema.get("properties") or {}).values()]
    return any(map(has_resources, below))


def resource(value: Mapping[str, Any], path: str) -> list[errors.FieldError]:
    """One embedded object's type and metadata."""
    dot = f"{path}." if path else ""
    wrong = [fields.required(dot + name) for name in ("apiVersion", "kind") if name not in value]
    if "apiVersion" in value:
        wrong += _api_version(value["apiVersion"], dot + "apiVersion")
    if "kind" in value:
        wrong += _kind(value["kind"], dot + "kind")
    if "metadata" in value:
        wrong += _metadata(value["metadata"], dot + "metadata")
    return wrong


def _api_version(value: Any, path: str) -> list[errors.FieldError]:
    if not isinstance(value, str):
        return [fields.invalid(path, value, "must be a string")]
    if not value:
        return [fields.invalid(path, value, "must not be empty")]
    if value.count("/") > 1:
        return [fields.invalid(path, value, f"unexpected GroupVersion string: {value}")]
    return []


def _kind(value: Any, path: str) -> list[errors.FieldError]:
    if not isinstance(value, str):
        return [fields.invalid(path, value, "must be a string")]
    if not value:
        return [fields.invalid(path, value, "must not be empty")]
    complaints = content.dns_1035_label(value.lower())
    if not complaints:
        return []
    return [fields.invalid(path, value, "may have mixed case, but should otherwise match: " + ",".join(complaints))]


def _metadata(value: Any, path: str) -> list[errors.FieldError]:
    why = malformed(value)
    if why:
        return [fields.invalid(path, value, why)]
    wrong: list[errors.FieldError] = []
    if name := value.get("name"):
        wrong += fields.all_invalid(path + ".name", name, content.path_segment(name))
    if space := value.get("namespace"):
        wrong += fields.all_invalid(path + ".namespace", space, content.dns_label(space))
    return wrong + metadata.common(value, path)


def malformed(value: Any) -> str:
    """What Go says where a value cannot be an ObjectMeta; empty if it can. The value is left alone."""
    try:
        decoding.check(_copy(value), schemas.definitions().schema_of(upstream.OBJECT_META))
    except (decoding.Mismatch, decoding.Malformed) as problem:
        return str(problem)
    return ""


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copy(child) for key, child in value.items()}
    return [_copy(child) for child in value] if isinstance(value, list) else value

"""Resource slices, which offer devices, and the rules that taint devices."""

import re
from collections.abc import Mapping
from typing import Any

from kubeshim.machinery import objects
from kubeshim.machinery.errors import FieldError
from kubeshim.machinery.validation import (
    conditions,
    content,
    device_capacities,
    fields,
    go_structs,
    scheduling,
    volumes,
)
from kubeshim.machinery.validation import device_common as common

_DEVICES, _DEVICES_WITH_MORE = 128, 64
_ATTRIBUTES, _ATTRIBUTE_VALUES, _VALUE_LIMIT = 32, 48, 64
_COUNTER_SETS, _COUNTERS, _TAINTS, _CONSUMED_SETS = 8, 32, 16, 2
_RULE_CONDITIONS = 8
_is_version = re.compile(
    r"(0|[1-9]\d*)(\.(0|[1-9]\d*)){2}"
    r"(-(0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(\.(0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*)?"
    r"(\+[0-9a-zA-Z-]+(\.[0-9a-zA-Z-]+)*)?"
).fullmatch
_ATTRIBUTE = go_structs.Shape(
    ("int", "bool", "string", "version", "ints", "bools", "strings", "versions"),
    spelled={
        **{kind: f"{kind.capitalize()}Value" for kind in ("int", "bool", "string", "version")},
        **{f"{kind}s": f"{kind.capitalize()}Values" for kind in ("int", "bool", "string", "version")},
    },
)
_VALUES = ("bool", "int", "string", "version", "bools", "ints", "strings", "versions")


def resource_slice(obj: objects.Object, old: objects.Object | None = None) -> list[FieldError]:
    """Capacities and taints of a device that are as they were are not judged again."""
    spec = obj.get("spec") or {}
    wrong = volumes.driver_name(spec.get("driver") or "", "spec.driver") + _pool(spec.get("pool") or {})
    if old is not None:
        wrong += _moved(obj, old)
    wrong += _where(spec)
    devices, counters = spec.get("devices"), spec.get("sharedCounters")
    if devices is not None and counters is not None:
        wrong.append(fields.invalid("spec", "", "only one of `sharedCounters` or `devices` is allowed"))
    more = any(one.get("taints") or one.get("consumesCounters") or _has_lists(one) for one in devices or ())
    chosen = bool(spec.get("perDeviceNodeSelection"))
    held = {one.get("name") or "": one for one in reversed(objects.dig(old or {}, "spec", "devices", default=()) or ())}

    def device(found: Mapping[str, Any], path: str) -> list[FieldError]:
        return _device(found, path, chosen, held.get(found.get("name") or ""))

    limit = _DEVICES_WITH_MORE if more else _DEVICES
    wrong += common.items(devices, limit, device, "spec.devices", lambda one: one.get("name") or "")
    key = "spec.sharedCounters"
    return wrong + common.items(counters, _COUNTER_SETS, _counter_set, key, lambda one: one.get("name") or "")


def _moved(obj: objects.Object, old: objects.Object) -> list[FieldError]:
    wrong: list[FieldError] = []
    for path in ("pool.name", "driver", "nodeName"):
        new, before = (objects.dig(one, "spec", *path.split(".")) for one in (obj, old))
        wrong += fields.immutable(f"spec.{path}", new, before)
    return wrong


def warn_slice(obj: objects.Object, old: objects.Object | None) -> list[str]:
    driver = objects.dig(obj, "spec", "driver", default="") or ""
    if driver == driver.lower():
        return []
    return [f"spec.driver: driver names should be lowercase; {fields.quote(driver)} contains uppercase characters"]


def _has_lists(device: Mapping[str, Any]) -> bool:
    return any(
        value.get(kind) is not None for value in (device.get("attributes") or {}).values() for kind in _VALUES[4:]
    )


def _pool(pool: Mapping[str, Any]) -> list[FieldError]:
    wrong = common.pool_name(pool.get("name") or "", "spec.pool.name")
    count, generation = pool.get("resourceSliceCount") or 0, pool.get("generation") or 0
    if count <= 0:
        wrong.append(fields.invalid("spec.pool.resourceSliceCount", count, "must be greater than zero"))
    if generation < 0:
        text = "must be greater than or equal to zero"
        wrong.append(fields.invalid("spec.pool.generation", generation, text))
    return wrong


_ONE_PLACE = "exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required"


def _where(spec: Mapping[str, Any]) -> list[FieldError]:
    wrong: list[FieldError] = []
    given: list[str] = []
    name, selector = spec.get("nodeName"), spec.get("nodeSelector")
    if name:
        given.append("`nodeName`")
        wrong += fields.all_invalid("spec.nodeName", name, content.dns_subdomain(name))
    elif name is not None:
        wrong.append(fields.invalid("spec.nodeName", name, "must be either unset or set to a non-empty string"))
    if selector is not None:
        given.append("`nodeSelector`")
        wrong += scheduling.node_selector(selector, "spec.nodeSelector")
        terms = selector.get("nodeSelectorTerms") or []
        if len(terms) != 1:
            text = "must have exactly one node selector term"
            shown = go_structs.listed(go_structs.NODE_SELECTOR_TERM, terms) if terms else None
            wrong.append(fields.invalid("spec.nodeSelector.nodeSelectorTerms", shown, text))
    for field in ("allNodes", "perDeviceNodeSelection"):
        if spec.get(field):
            given.append(f"`{field}`")
        elif spec.get(field) is not None:
            wrong.append(fields.invalid(f"spec.{field}", False, "must be either unset or set to true"))
    if not given:
        wrong.append(fields.required("spec", _ONE_PLACE))
    elif len(given) > 1:
        told = "{" + ", ".join(given) + "}"
        wrong.append(fields.invalid("spec", told, f"{_ONE_PLACE}, but multiple fields are set"))
    return wrong


def _counter_set(found: Mapping[str, Any], path: str) -> list[FieldError]:
    return _counters(found, "name", path)


def _consumption(found: Mapping[str, Any], path: str) -> list[FieldError]:
    return _counters(found, "counterSet", path)


def _counters(found: Mapping[str, Any], field: str, path: str) -> list[FieldError]:
    name, counters = found.get(field) or "", found.get("counters") or {}
    wrong = common.label(name, f"{path}.{field}") if name else [fields.required(f"{path}.{field}")]
    path += ".counters"
    if not counters:
        return [*wrong, fields.required(path)]
    if len(counters) > _COUNTERS:
        return [*wrong, fields.too_many(path, len(counters), _COUNTERS)]
    return wrong + [error for key in counters for error in common.label(key, path)]


def _device(device: Mapping[str, Any], path: str, chosen: bool, held: Mapping[str, Any] | None) -> list[FieldError]:
    attributes, capacity = device.get("attributes") or {}, device.get("capacity") or {}
    wrong = common.label(device.get("name") or "", path + ".name")
    total = len(attributes) + len(capacity)
    if total > _ATTRIBUTES:
        text = f"the total number of attributes and capacities must not exceed {_ATTRIBUTES}"
        wrong.append(fields.invalid(path, total, text))
    values = sum(max(1, sum(len(value.get(kind) or ()) for kind in _VALUES[4:])) for value in attributes.values())
    if values > _ATTRIBUTE_VALUES:
        text = f"the total number of attribute values must not exceed {_ATTRIBUTE_VALUES}"
        wrong.append(fields.invalid(path, values, text))
    for key, value in attributes.items():
        wrong += common.qualified(key, path + ".attributes") + _attribute(value, f"{path}.attributes[{key}]")
    for key, value in capacity.items() if held is None or (held.get("capacity") or {}) != capacity else ():
        wrong += common.qualified(key, path + ".capacity")
        wrong += device_capacities.validate(
            value, f"{path}.capacity[{key}]", bool(device.get("allowMultipleAllocations"))
        )
    if held is None or (held.get("taints") or []) != (device.get("taints") or []):
        wrong += common.items(device.get("taints"), _TAINTS, common.taint, path + ".taints")
    wrong += common.items(
        device.get("consumesCounters"), _CONSUMED_SETS, _consumption, path + ".consumesCounters",
        lambda one: one.get("counterSet") or "",
    )  # fmt: skip
    return wrong + _device_place(device, path, chosen) + common.binding_conditions(device, path)


def _attribute(value: Mapping[str, Any], path: str) -> list[FieldError]:
    wrong: list[FieldError] = []
    given = [kind for kind in _VALUES if value.get(kind) is not None]
    for kind in given:
        found, place = value[kind], f"{path}.{kind}"
        if kind in ("string", "version"):
            wrong += _text(found, place, version=kind == "version")
        elif isinstance(found, list):
            if not found:
                wrong.append(fields.invalid(place, found, "must not be empty if specified"))
            if kind in ("strings", "versions"):
                for index, item in enumerate(found):
                    wrong += _text(item, f"{place}[{index}]", version=kind == "versions")
    if len(given) != 1:
        shown = go_structs.shown(_ATTRIBUTE, value) if given else ""
        wrong.append(fields.invalid(path, shown, "exactly one value must be specified"))
    return wrong


def _text(text: str, path: str, *, version: bool) -> list[FieldError]:
    wrong: list[FieldError] = []
    if version and not _is_version(text):
        wrong.append(fields.invalid(path, text, "must be a string compatible with semver.org spec 2.0.0"))
    if len(text) > _VALUE_LIMIT:
        wrong.append(fields.too_long(path, _VALUE_LIMIT))
    return wrong


_DEVICE_PLACE = (
    "exactly one of `nodeName`, `nodeSelector`, or `allNodes` is required when `perDeviceNodeSelection` is set to true "
    "in the ResourceSlice spec"
)


def _device_place(device: Mapping[str, Any], path: str, chosen: bool) -> list[FieldError]:
    name, selector, everywhere = (device.get(field) for field in ("nodeName", "nodeSelector", "allNodes"))
    if not chosen:
        if name is None and selector is None and everywhere is None:
            return []
        text = (
            "`nodeName`, `nodeSelector` and `allNodes` can only be set if `perDeviceNodeSelection` is set to true in "
            "the ResourceSlice spec"
        )
        return [fields.invalid(path, None, text)]
    wrong: list[FieldError] = []
    given: list[str] = []
    if name:
        given.append("`nodeName`")
        wrong += fields.all_invalid(path + ".nodeName", name, content.dns_subdomain(name))
    elif name is not None:
        wrong.append(fields.invalid(path + ".nodeName", name, "must not be empty"))
    if selector is not None:
        given.append("`nodeSelector`")
        wrong += scheduling.node_selector(selector, path + ".nodeSelector")
    if everywhere:
        given.append("`allNodes`")
    elif everywhere is not None:
        wrong.append(fields.invalid(path + ".allNodes", False, "must be either unset or set to true"))
    if not given:
        wrong.append(fields.required(path, _DEVICE_PLACE))
    elif len(given) > 1:
        wrong.append(fields.invalid(path, "{" + ", ".join(given) + "}", _DEVICE_PLACE))
    return wrong


def taint_rule(obj: objects.Object, old: objects.Object | None = None) -> list[FieldError]:
    taint, held = (objects.dig(one, "spec", "taint", default={}) for one in (obj, old or {}))
    return _taint_selector(obj) + common.taint(taint, "spec.taint", None if old is None else held)


def taint_rule_status(obj: objects.Object, old: objects.Object) -> list[FieldError]:
    found = objects.dig(obj, "status", "conditions", default=()) or ()
    wrong = conditions.validate(found, "status.conditions")
    if len(found) > _RULE_CONDITIONS:
        wrong.append(fields.too_many("status.conditions", len(found), _RULE_CONDITIONS))
    return wrong


def _taint_selector(obj: objects.Object) -> list[FieldError]:
    selector, path = objects.dig(obj, "spec", "deviceSelector"), "spec.deviceSelector"
    checks = (("driver", volumes.driver_name), ("pool", common.pool_name), ("device", common.label))
    wrong: list[FieldError] = []
    for field, check in checks:
        if selector is not None and selector.get(field) is not None:
            wrong += check(selector[field], f"{path}.{field}")
    return wrong

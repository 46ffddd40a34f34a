"""PersistentVolumeClaims and templates of such."""

from collections.abc import Mapping
from typing import Any

from kubeshim.machinery import objects, quantity
from kubeshim.machinery.errors import FieldError
from kubeshim.machinery.validation import amounts, content, differences, fields, go_values, metadata, warnings

ACCESS_MODES = ("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")
VOLUME_MODES = ("Block", "Filesystem")
_BETA_CLASS = "volume.beta.kubernetes.io/storage-class"
_RESIZE_STATES = (
    "ControllerResizeInProgress", "ControllerResizeInfeasible", "NodeResizePending", "NodeResizeInProgress",
    "NodeResizeInfeasible",
)  # fmt: skip
_STORAGE = "spec.resources.requests.storage"


def access_modes(modes: Any, path: str) -> list[FieldError]:
    wrong = [fields.not_supported(path, mode, ACCESS_MODES) for mode in modes if mode not in ACCESS_MODES]
    if "ReadWriteOncePod" in modes and len({mode for mode in modes if mode in ACCESS_MODES}) > 1:
        wrong.append(fields.forbidden(path, "may not use ReadWriteOncePod with other access modes"))
    return wrong


def spec(found: Mapping[str, Any], path: str) -> list[FieldError]:
    """A claim's spec, its own or a template's."""
    modes = found.get("accessModes") or ()
    wrong: list[FieldError] = []
    if not modes:
        wrong.append(fields.required(path + ".accessModes", "at least 1 access mode is required"))
    wrong += metadata.label_selector(found.get("selector"), path + ".selector")
    wrong += access_modes(modes, path + ".accessModes")
    amount = ((found.get("resources") or {}).get("requests") or {}).get("storage")
    if amount is None:
        wrong.append(fields.required(path + ".resources[storage]"))
    else:
        wrong += amounts.positive(amount, path + ".resources[storage]")
    if name := found.get("storageClassName"):
        wrong += fields.all_invalid(path + ".storageClassName", name, content.dns_subdomain(name))
    if (mode := found.get("volumeMode")) is not None:
        wrong += fields.one_of(path + ".volumeMode", mode, VOLUME_MODES)
    wrong += _sources(found.get("dataSource"), found.get("dataSourceRef"), path)
    if name := found.get("volumeAttributesClassName"):
        wrong += fields.all_invalid(path + ".volumeAttributesClassName", name, content.dns_subdomain(name))
    return wrong


def _sources(source: Any, reference: Any, path: str) -> list[FieldError]:
    wrong: list[FieldError] = []
    for field, found in (("dataSource", source), ("dataSourceRef", reference)):
        if found is None:
            continue
        place, group = f"{path}.{field}", found.get("apiGroup") or ""
        wrong += [fields.required(f"{place}.{name}") for name in ("name", "kind") if not found.get(name)]
        if not group and found.get("kind") != "PersistentVolumeClaim":
            text = "must be 'PersistentVolumeClaim' when referencing the default apiGroup"
            wrong.append(fields.invalid(place, found.get("kind") or "", text))
        if group:
            wrong += fields.all_invalid(place + ".apiGroup", group, content.dns_subdomain(group))
        if field == "dataSourceRef" and (namespace := found.get("namespace")):
            wrong += fields.all_invalid(place + ".namespace", namespace, content.dns_label(namespace))
    if source is not None and reference is not None:
        if reference.get("namespace"):
            wrong.append(fields.invalid(path, {}, "may not be specified when dataSourceRef.namespace is specified"))
        elif any(source.get(field) != reference.get(field) for field in ("apiGroup", "kind", "name")):
            # what upstream shows as the value here is a path, which has nothing that JSON would print
            wrong.append(fields.invalid(path, {}, "must match dataSourceRef"))
    return wrong


def claim(obj: objects.Object) -> list[FieldError]:
    return spec(obj.get("spec") or {}, "spec")


def update(obj: objects.Object, old: objects.Object) -> list[FieldError]:
    """A claim gets its volume and class once, and more room when it is bound; else its spec stays."""
    changed, before = dict(obj.get("spec") or {}), dict(old.get("spec") or {})
    wrong: list[FieldError] = []
    new_size, old_size = _storage(changed), _storage(before)
    if not before.get("volumeName"):
        _put_back(changed, before, "volumeName")
    wrong += _class(obj, old, changed, before)
    if objects.dig(obj, "status", "phase") == "Bound":
        _keep_what_bound_claims_change(changed, before, old_size)
    if changed != before:
        text = (
            "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"
        )
        wrong.append(fields.forbidden("spec", f"{text}\n{differences.text(go_values.CLAIM_SPEC, before, changed)}"))
    kept = quantity.parse(objects.dig(old, "status", "capacity", "storage", default="0"))
    if new_size < old_size and new_size <= kept:
        wrong.append(fields.forbidden(_STORAGE, "field can not be less than status.capacity"))
    new, previous = obj.get("spec") or {}, old.get("spec") or {}
    wrong += fields.immutable("volumeMode", new.get("volumeMode"), previous.get("volumeMode"))
    name = new.get("volumeAttributesClassName")
    if not name and objects.dig(old, "status", "currentVolumeAttributesClassName") is not None:
        what = "nil" if name is None else "empty string"
        text = f"update to {what} is forbidden when status.currentVolumeAttributesClassName is not nil"
        wrong.append(fields.forbidden("spec.volumeAttributesClassName", text))
    return wrong


def _class(
    obj: objects.Object, old: objects.Object, changed: dict[str, Any], before: dict[str, Any]
) -> list[FieldError]:
    """The class may move from the annotation of old to the field, or be filled in where there was none."""
    new, previous = objects.annotations(obj).get(_BETA_CLASS), objects.annotations(old).get(_BETA_CLASS)
    name, earlier = changed.get("storageClassName"), before.get("storageClassName")
    filled_in = name is not None and earlier is None
    if filled_in and previous is not None and name == previous and new in (None, previous):
        del changed["storageClassName"]
        return []
    if filled_in and previous in (None, name):
        _put_back(changed, before, "storageClassName")
    if (new or "") != (previous or ""):
        return [fields.invalid(f"metadata.annotations.{_BETA_CLASS}", new or "", fields.IMMUTABLE)]
    return []


def _keep_what_bound_claims_change(changed: dict[str, Any], before: dict[str, Any], size: quantity.Quantity) -> None:
    _put_back(changed, before, "volumeAttributesClassName")
    resources = dict(changed.get("resources") or {})
    if resources.get("requests") is not None:
        resources["requests"] = {**resources["requests"], "storage": str(size)}
        changed["resources"] = resources
        earlier = before.get("resources") or {}
        before["resources"] = {**earlier, "requests": {**(earlier.get("requests") or {}), "storage": str(size)}}


def _storage(found: Mapping[str, Any]) -> quantity.Quantity:
    return quantity.parse(((found.get("resources") or {}).get("requests") or {}).get("storage") or "0")


def _put_back(target: dict[str, Any], before: Mapping[str, Any], field: str) -> None:
    target.pop(field, None)
    if field in before:
        target[field] = before[field]


def status(obj: objects.Object, old: objects.Object) -> list[FieldError]:
    """The status door."""
    found = obj.get("status") or {}
    wrong: list[FieldError] = []
    if not objects.dig(obj, "spec", "accessModes"):
        wrong.append(fields.required("Spec.accessModes"))
    for name, amount in (found.get("capacity") or {}).items():
        wrong += amounts.basic(amount, f"status.capacity[{name}]")
    for name, state in (found.get("allocatedResourceStatuses") or {}).items():
        wrong += _resource_key(name, "status.allocatedResourceStatuses")
        if state not in _RESIZE_STATES:
            wrong.append(fields.not_supported("status.allocatedResourceStatuses", name, sorted(_RESIZE_STATES)))
    for name, amount in (found.get("allocatedResources") or {}).items():
        wrong += _resource_key(name, "status.allocatedResources") or amounts.basic(
            amount, f"status.allocatedResources[{name}]"
        )
    return wrong


def _resource_key(name: str, path: str) -> list[FieldError]:
    if wrong := fields.all_invalid(path, name, content.qualified_name(name)):
        return wrong
    return fields.one_of(path, name, ("storage",)) if amounts.is_native(name) else []


def warn(obj: objects.Object, old: objects.Object | None) -> list[str]:
    return warnings.old_class(obj) + warnings.claim_spec(obj.get("spec") or {}, "spec")

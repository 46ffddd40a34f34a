"""The plainer kinds of the core group: ConfigMaps, Secrets, namespaces, nodes, volumes, claims, quotas, limits."""

import base64
from collections.abc import Mapping
from typing import Any

import orjson

from kubeshim.machinery import objects, quantity
from kubeshim.machinery.errors import FieldError
from kubeshim.machinery.validation import amounts, content, differences, fields, metadata, scheduling, volumes

_MEGABYTE = 1024 * 1024
_KEPT_BY_TYPE: dict[str, tuple[str, ...]] = {
    "kubernetes.io/dockercfg": (".dockercfg",),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
}
_ACCOUNT_NAME = "kubernetes.io/service-account.name"
_MODES = ("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")


def config_map(obj: objects.Object) -> list[FieldError]:
    data, binary = obj.get("data") or {}, obj.get("binaryData") or {}
    wrong: list[FieldError] = []
    size = 0
    for key, value in data.items():
        wrong += fields.all_invalid(f"data[{key}]", key, content.config_key(key))
        if key in binary:
            text = "duplicate of key present in binaryData"
            wrong.append(fields.invalid(f"data[{key}]", key, text))
        size += len(value.encode())
    for key, value in binary.items():
        wrong += fields.all_invalid(f"binaryData[{key}]", key, content.config_key(key))
        size += len(base64.b64decode(value))
    if size > _MEGABYTE:
        # upstream measures but has no path to name: the complaint is about the object as a whole
        wrong.append(FieldError("", "FieldValueTooLong", f"Too long: may not be more than {_MEGABYTE} bytes"))
    return wrong


def config_map_update(obj: objects.Object, old: objects.Object) -> list[FieldError]:
    return _immutable_data(obj, old, ("data", "binaryData"))


def _immutable_data(obj: objects.Object, old: objects.Object, held: tuple[str, ...]) -> list[FieldError]:
    if not old.get("immutable"):
        return []
    text = "field is immutable when `immutable` is set"
    wrong = [] if obj.get("immutable") else [fields.forbidden("immutable", text)]
    return wrong + [fields.forbidden(field, text) for field in held if (obj.get(field) or {}) != (old.get(field) or {})]


def secret(obj: objects.Object) -> list[FieldError]:
    data, kind = obj.get("data") or {}, obj.get("type") or ""
    wrong: list[FieldError] = []
    size = 0
    for key, value in data.items():
        wrong += fields.all_invalid(f"data[{key}]", key, content.config_key(key))
        size += len(value or "") * 3 // 4 - (value or "").count("=", -2)
    if size > _MEGABYTE:
        wrong.append(fields.too_long("data", _MEGABYTE))
    for key in _KEPT_BY_TYPE.get(kind, ()):
        if key not in data:
            wrong.append(fields.required(f"data[{key}]"))
        elif "docker" in kind and not _is_json(data[key]):
            wrong.append(fields.invalid(f"data[{key}]", "<secret contents redacted>", "invalid character"))
    if kind == "kubernetes.io/service-account-token" and not objects.annotations(obj).get(_ACCOUNT_NAME):
        wrong.append(fields.required(f"metadata.annotations[{_ACCOUNT_NAME}]"))
    if kind == "kubernetes.io/basic-auth" and not {"username", "password"} & set(data):
        wrong += [fields.required("data[username]"), fields.required("data[password]")]
    return wrong


def _is_json(encoded: str) -> bool:
    try:
        orjson.loads(base64.b64decode(encoded))
    except ValueError:
        return False
    return True


def secret_update(obj: objects.Object, old: objects.Object) -> list[FieldError]:
    wrong = fields.immutable("type", obj.get("type") or "", old.get("type") or "")
    return wrong + _immutable_data(obj, old, ("data",))


def service_account_update(obj: objects.Object, old: objects.Object) -> list[FieldError]:
    return []


def namespace_update(obj: objects.Object, old: objects.Object) -> list[FieldError]:
    return []


def namespace_finalizers(obj: objects.Object) -> list[FieldError]:
    wrong: list[FieldError] = []
    for index, name in enumerate(objects.dig(obj, "spec", "finalizers", default=())):
        wrong += metadata.finalizer_name(name, f"spec.finalizers[{index}]")
    return wrong


def namespace_status(obj: objects.Object) -> list[FieldError]:
    phase = objects.dig(obj, "status", "phase", default="")
    if objects.is_deleting(obj):
        if phase != "Terminating":
            text = "may only be 'Terminating' if `deletionTimestamp` is not empty"
            return [fields.invalid("status.Phase", phase, text)]
    elif phase not in ("", "Active"):
        return [fields.invalid("status.Phase", phase, "may only be 'Active' if `deletionTimestamp` is empty")]
    return []


def node(obj: objects.Object) -> list[FieldError]:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    wrong = scheduling.taints(spec.get("taints") or (), "metadata.taints")
    for field in ("capacity", "allocatable"):
        for name, amount in (status.get(field) or {}).items():
            wrong += amounts.resource_value(name, amount, f"status.{field}.{name}")
    ranges = spec.get("podCIDRs") or []
    for index, cidr in enumerate(ranges):
        wrong += fields.all_invalid(f"spec.podCIDRs[{index}]", cidr, content.cidr(cidr))
    if len(ranges) > 1 and (len(ranges) > 2 or len({":" in cidr for cidr in ranges}) != 2):
        text = "may specify no more than one CIDR for each IP family"
        wrong.append(fields.invalid("spec.podCIDRs", ranges, text))
    return wrong


def node_update(obj: objects.Object, old: objects.Object) -> list[FieldError]:
    spec, before = obj.get("spec") or {}, old.get("spec") or {}
    wrong: list[FieldError] = []
    seen: list[Any] = []
    for index, address in enumerate(objects.dig(obj, "status", "addresses", default=())):
        if address in seen:
            wrong.append(fields.duplicate(f"status.addresses[{index}]", address))
        seen.append(address)
    if before.get("podCIDRs") and spec.get("podCIDRs") != before["podCIDRs"]:
        text = 'node updates may not change podCIDR except from "" to valid'
        wrong.append(fields.forbidden("spec.podCIDRs", text))
    if before.get("providerID") and spec.get("providerID") != before["providerID"]:
        text = 'node updates may not change providerID except from "" to valid'
        wrong.append(fields.forbidden("spec.providerID", text))
    return wrong


def _access_modes(modes: Any, path: str) -> list[FieldError]:
    wrong = [fields.not_supported(path, mode, _MODES) for mode in modes if mode not in _MODES]
    if "ReadWriteOncePod" in modes and len(modes) > 1:
        wrong.append(fields.forbidden(path, "may not use ReadWriteOncePod with other access modes"))
    return wrong


def claim_spec(spec: Mapping[str, Any], path: str) -> list[FieldError]:
    """A PersistentVolumeClaim's spec, its own or a template's."""
    modes = spec.get("accessModes") or ()
    wrong: list[FieldError] = []
    if not modes:
        wrong.append(fields.required(path + ".accessModes", "at least 1 access mode is required"))
    wrong += metadata.label_selector(spec.get("selector"), path + ".selector")
    wrong += _access_modes(modes, path + ".accessModes")
    amount = ((spec.get("resources") or {}).get("requests") or {}).get("storage")
    if amount is None:
        wrong.append(fields.required(path + ".resources[storage]"))
    else:
        wrong += amounts.positive(amount, path + ".resources[storage]")
    if name := spec.get("storageClassName"):
        wrong += fields.all_invalid(path + ".storageClassName", name, content.dns_subdomain(name))
    if (mode := spec.get("volumeMode")) is not None:
        wrong += fields.one_of(path + ".volumeMode", mode, ("Block", "Filesystem"))
    for field in ("dataSource", "dataSourceRef"):
        if (source := spec.get(field)) is not None:
            wrong += [fields.required(f"{path}.{field}.{name}") for name in ("name", "kind") if not source.get(name)]
            if not source.get("apiGroup") and source.get("kind") not in (None, "", "PersistentVolumeClaim"):
                text = "must be 'PersistentVolumeClaim' when referencing the default apiGroup"
                wrong.append(fields.invalid(f"{path}.{field}", source["kind"], text))
    return wrong


def claim(obj: objects.Object) -> list[FieldError]:
    return claim_spec(obj.get("spec") or {}, "spec")


def claim_update(obj: objects.Object, old: objects.Object) -> list[FieldError]:
    spec, before = dict(obj.get("spec") or {}), dict(old.get("spec") or {})
    wrong: list[FieldError] = []
    new_size, old_size = (_storage(s.get("resources")) for s in (spec, before))
    if not before.get("volumeName"):
        _put_back(spec, before, "volumeName")
    if before.get("storageClassName") is None:
        _put_back(spec, before, "storageClassName")
    if objects.dig(obj, "status", "phase") == "Bound":
        _put_back(spec, before, "volumeAttributesClassName")
        resources = dict(spec.get("resources") or {})
        if old_size is not None and resources.get("requests"):
            resources["requests"] = {**resources["requests"], "storage": str(old_size)}
            spec["resources"] = resources
            before["resources"] = _canonical_storage(before.get("resources") or {}, old_size)
    if spec != before:
        text = (
            "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"
        )
        wrong.append(fields.forbidden("spec", f"{text}\n{differences.text(before, spec)}"))
    if new_size is not None and old_size is not None and new_size < old_size:
        capacity = objects.dig(old, "status", "capacity", "storage")
        if new_size <= (quantity.parse(capacity) if capacity else quantity.ZERO):
            text = "field can not be less than status.capacity"
            wrong.append(fields.forbidden("spec.resources.requests.storage", text))
    return wrong


def _storage(resources: Any) -> quantity.Quantity | None:
    amount = ((resources or {}).get("requests") or {}).get("storage")
    return quantity.parse(amount) if amount is not None else None


def _canonical_storage(resources: Mapping[str, Any], size: quantity.Quantity) -> dict[str, Any]:
    return {**resources, "requests": {**(resources.get("requests") or {}), "storage": str(size)}}


def _put_back(target: dict[str, Any], before: Mapping[str, Any], field: str) -> None:
    target.pop(field, None)
    if field in before:
        target[field] = before[field]


def volume(obj: objects.Object) -> list[FieldError]:
    spec = obj.get("spec") or {}
    modes = spec.get("accessModes") or ()
    wrong: list[FieldError] = []
    if not modes:
        wrong.append(fields.required("spec.accessModes"))
    wrong += _access_modes(modes, "spec.accessModes")
    capacity = spec.get("capacity") or {}
    if not capacity:
        wrong.append(fields.required("spec.capacity"))
    if "storage" not in capacity or len(capacity) > 1:
        wrong.append(fields.not_supported("spec.capacity", capacity, ("storage",)))
    for name, amount in capacity.items():
        wrong += amounts.positive(amount, f"spec.capacity[{name}]")
    policy = spec.get("persistentVolumeReclaimPolicy") or ""
    if policy:
        path = "spec.persistentVolumeReclaimPolicy"
        wrong += fields.one_of(path, policy, ("Delete", "Recycle", "Retain"))
    if (affinity := spec.get("nodeAffinity")) is not None:
        if affinity.get("required") is None:
            wrong.append(fields.required("spec.nodeAffinity.required", "must specify required node constraints"))
        else:
            wrong += scheduling.node_selector(affinity["required"], "spec.nodeAffinity.required")
    if spec.get("local") is not None and affinity is None:
        wrong.append(fields.required("spec.nodeAffinity", "Local volume requires node affinity"))
    wrong += volumes.source(spec, "spec")
    if name := spec.get("storageClassName"):
        wrong += fields.all_invalid("spec.storageClassName", name, content.dns_subdomain(name))
    if (mode := spec.get("volumeMode")) is not None:
        wrong += fields.one_of("spec.volumeMode", mode, ("Block", "Filesystem"))
    if objects.dig(spec, "hostPath", "path") == "/" and policy == "Recycle":
        text = "may not be 'recycle' for a hostPath mount of '/'"
        wrong.append(fields.forbidden("spec.persistentVolumeReclaimPolicy", text))
    return wrong


def volume_update(obj: objects.Object, old: objects.Object) -> list[FieldError]:
    spec, before = obj.get("spec") or {}, old.get("spec") or {}
    names = volumes.sources_in(before)
    wrong: list[FieldError] = []
    if {name: spec.get(name) for name in names} != {name: before.get(name) for name in names}:
        difference = differences.text({n: before.get(n) for n in names}, {n: spec.get(n) for n in names})
        text = f"spec.persistentvolumesource is immutable after creation\n{difference}"
        wrong.append(fields.forbidden("spec.persistentvolumesource", text))
    wrong += fields.immutable("volumeMode", spec.get("volumeMode"), before.get("volumeMode"))
    if before.get("nodeAffinity") is not None:
        wrong += fields.immutable("nodeAffinity", spec.get("nodeAffinity"), before["nodeAffinity"])
    return wrong


_SCOPES = (
    "BestEffort", "CrossNamespacePodAffinity", "NotBestEffort", "NotTerminating", "PriorityClass", "Terminating",
    "VolumeAttributesClass",
)  # fmt: skip


def resource_quota(obj: objects.Object) -> list[FieldError]:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    wrong: list[FieldError] = []
    for found, path in ((spec.get("hard"), "spec.hard"), (status.get("hard"), "status.hard")):
        wrong += _quota_amounts(found or {}, path)
    wrong += _quota_amounts(status.get("used") or {}, "status.used")
    scopes = spec.get("scopes") or []
    for scope in scopes:
        if scope not in _SCOPES:
            wrong.append(fields.invalid("spec.scopes", scopes, "unsupported scope"))
    for pair in ({"BestEffort", "NotBestEffort"}, {"Terminating", "NotTerminating"}):
        if pair <= set(scopes):
            wrong.append(fields.invalid("spec.scopes", scopes, "conflicting scopes"))
    terms = (spec.get("scopeSelector") or {}).get("matchExpressions") or ()
    for term in terms:
        path = "spec.scopeSelector.matchExpressions"
        if term.get("scopeName") not in _SCOPES:
            wrong.append(fields.invalid(path + ".scopeName", term.get("scopeName") or "", "unsupported scope"))
        operator, values = term.get("operator") or "", term.get("values") or []
        if operator in ("In", "NotIn") and not values:
            text = "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector"
            wrong.append(fields.required(path + ".values", text))
        elif operator in ("Exists", "DoesNotExist") and values:
            text = "must be no value when `operator` is 'Exists' or 'DoesNotExist' for scope selector"
            wrong.append(fields.invalid(path + ".values", values, text))
        elif operator not in ("In", "NotIn", "Exists", "DoesNotExist"):
            wrong.append(fields.invalid(path + ".operator", operator, "not a valid selector operator"))
    return wrong


def _quota_amounts(found: Mapping[str, str], path: str) -> list[FieldError]:
    wrong: list[FieldError] = []
    for name, amount in found.items():
        wrong += amounts.quota_resource_name(name, f"{path}[{name}]")
        wrong += amounts.resource_value(name, amount, f"{path}[{name}]")
    return wrong


def resource_quota_update(obj: objects.Object, old: objects.Object) -> list[FieldError]:
    new, before = (
        set(objects.dig(obj, "spec", "scopes", default=())),
        set(objects.dig(old, "spec", "scopes", default=())),
    )
    return [] if new == before else [fields.invalid("spec.scopes", sorted(new), fields.IMMUTABLE)]


def limit_range(obj: objects.Object) -> list[FieldError]:
    wrong: list[FieldError] = []
    seen: set[str] = set()
    for index, limit in enumerate(objects.dig(obj, "spec", "limits", default=())):
        path, kind = f"spec.limits[{index}]", limit.get("type") or ""
        if not kind:
            wrong.append(fields.required(path + ".type"))
        elif "/" in kind or kind not in ("Pod", "Container", "PersistentVolumeClaim"):
            wrong += fields.all_invalid(path + ".type", kind, content.qualified_name(kind))
            if "/" not in kind:
                wrong.append(fields.invalid(path + ".type", kind, "must be a standard limit type or fully qualified"))
        if kind in seen:
            wrong.append(fields.duplicate(path + ".type", kind))
        seen.add(kind)
        wrong += _limit_item(limit, kind, path)
    return wrong


_BOUNDS = ("min", "max", "default", "defaultRequest", "maxLimitRequestRatio")
_ORDERED = (("min", "max"), ("min", "defaultRequest"), ("defaultRequest", "max"), ("defaultRequest", "default"),
            ("min", "default"), ("default", "max"))  # fmt: skip


def _limit_item(limit: Mapping[str, Any], kind: str, path: str) -> list[FieldError]:
    wrong: list[FieldError] = []
    parsed: dict[str, dict[str, quantity.Quantity]] = {}
    for bound in _BOUNDS:
        parsed[bound] = {}
        for name, amount in (limit.get(bound) or {}).items():
            place = f"{path}.{bound}[{name}]"
            wrong += amounts.resource_name(name, place) + amounts.resource_value(name, amount, place)
            parsed[bound][name] = quantity.parse(amount)
    if kind == "Pod":
        for bound in ("default", "defaultRequest"):
            if parsed[bound]:
                text = "may not be specified when `type` is 'Pod'"
                wrong.append(fields.forbidden(f"{path}.{bound}", text))
    if kind == "PersistentVolumeClaim" and not parsed["min"].keys() & {"storage"} | parsed["max"].keys() & {"storage"}:
        text = "either minimum or maximum storage value is required, but neither was provided"
        wrong.append(fields.required(path + ".limits", text))
    for low, high in _ORDERED:
        for name in parsed[low].keys() & parsed[high].keys():
            if parsed[low][name] > parsed[high][name]:
                shown = parsed[low][name]
                word = {"defaultRequest": "default request", "default": "default"}.get(low, low)
                other = {"defaultRequest": "default request", "default": "default limit"}.get(high, high)
                text = f"{word} value {shown} is greater than {other} value {parsed[high][name]}"
                wrong.append(fields.invalid(f"{path}.{low}[{name}]", str(shown), text))
    for name, ratio in parsed["maxLimitRequestRatio"].items():
        if ratio < quantity.of(1):
            text = f"ratio {ratio} is less than 1"
            wrong.append(fields.invalid(f"{path}.maxLimitRequestRatio[{name}]", str(ratio), text))
    return wrong

"""The plainer kinds of the core group: ConfigMaps, Secrets, namespaces, nodes."""

import base64
import re
from collections.abc import Mapping
from typing import Any

import orjson

from kubeshim.machinery import legacy_tokens, objects
from kubeshim.machinery.codecs import json_scanner
from kubeshim.machinery.errors import FieldError
from kubeshim.machinery.validation import (
    amounts,
    content,
    fields,
    go_structs,
    key_pairs,
    metadata,
    node_annotations,
    scheduling,
    warnings,
)

_MEGABYTE = 1024 * 1024
_DOCKER = {"kubernetes.io/dockercfg": ".dockercfg", "kubernetes.io/dockerconfigjson": ".dockerconfigjson"}
_FEATURE = re.compile(r"[A-Z][a-zA-Z0-9]*(/[a-zA-Z0-9]+)*").fullmatch
_LONGEST_FEATURE = 253
_FEATURE_RULE = (
    "must start with an UpperCamelCase segment, with subsequent segments separated by '/' (e.g., MyFeature or "
    "MyFeature/mySubFeature), and contain only alphanumeric characters and slashes"
)
_MOUNTABLE = "kubernetes.io/enforce-mountable-secrets"
WHOLE = "[]"
"""How a path without a name is shown: the complaint is about the object as a whole."""


def config_map(obj: objects.Object) -> list[FieldError]:
    data, binary = obj.get("data") or {}, obj.get("binaryData") or {}
    wrong: list[FieldError] = []
    size = 0
    for key, value in data.items():
        wrong += fields.all_invalid(f"data[{key}]", key, content.config_key(key))
        if key in binary:
            text = "duplicate of key present in binaryData"
            wrong.append(fields.invalid(f"data[{key}]", key, text))
        size += len((value or "").encode())
    for key, value in binary.items():
        wrong += fields.all_invalid(f"binaryData[{key}]", key, content.config_key(key))
        size += len(base64.b64decode(value or ""))
    if size > _MEGABYTE:
        wrong.append(fields.too_long(WHOLE, _MEGABYTE))
    return wrong


def config_map_change(obj: objects.Object, old: objects.Object) -> list[FieldError]:
    return _immutable_data(obj, old, ("data", "binaryData")) + config_map(obj)


def _immutable_data(obj: objects.Object, old: objects.Object, held: tuple[str, ...]) -> list[FieldError]:
    if not old.get("immutable"):
        return []
    text = "field is immutable when `immutable` is set"
    wrong = [] if obj.get("immutable") else [fields.forbidden("immutable", text)]
    return wrong + [fields.forbidden(field, text) for field in held if (obj.get(field) or {}) != (old.get(field) or {})]


def secret(obj: objects.Object) -> list[FieldError]:
    data = obj.get("data") or {}
    wrong: list[FieldError] = []
    size = 0
    for key, value in data.items():
        wrong += fields.all_invalid(f"data[{key}]", key, content.config_key(key))
        size += len(value or "") * 3 // 4 - (value or "").count("=", -2)
    if size > _MEGABYTE:
        wrong.append(fields.too_long("data", _MEGABYTE))
    return wrong + _by_type(obj, data)


def _by_type(obj: objects.Object, data: Mapping[str, Any]) -> list[FieldError]:
    """What a secret of a well-known type must hold."""
    match obj.get("type") or "":
        case legacy_tokens.SECRET_TYPE:
            if not objects.annotations(obj).get(legacy_tokens.ACCOUNT_NAME):
                return [fields.required(f"metadata.annotations[{legacy_tokens.ACCOUNT_NAME}]")]
        case "kubernetes.io/dockercfg" | "kubernetes.io/dockerconfigjson" as kind:
            key = _DOCKER[kind]
            if key not in data:
                return [fields.required(f"data[{key}]")]
            if complaint := _json_problem(base64.b64decode(data[key] or "")):
                return [fields.invalid(f"data[{key}]", "<secret contents redacted>", complaint)]
        case "kubernetes.io/basic-auth":
            if not {"username", "password"} & set(data):
                return [fields.required("data[username]"), fields.required("data[password]")]
        case "kubernetes.io/ssh-auth":
            if not data.get("ssh-privatekey"):
                return [fields.required("data[ssh-privatekey]")]
        case "kubernetes.io/tls":
            return [fields.required(f"data[{key}]") for key in ("tls.crt", "tls.key") if key not in data]
    return []


_KINDS: tuple[tuple[type, str], ...] = ((str, "string"), (bool, "bool"), (int, "number"), (float, "number"))


def _json_problem(text: bytes) -> str:
    """What Go says when it cannot read this as an object."""
    try:
        json_scanner.scan(text)
        value = orjson.loads(text)
    except ValueError as error:
        return str(error)
    if value is None or isinstance(value, dict):
        return ""
    kind = next((name for of, name in _KINDS if isinstance(value, of)), "array")
    return f"json: cannot unmarshal {kind} into Go value of type map[string]interface {{}}"


def secret_change(obj: objects.Object, old: objects.Object) -> list[FieldError]:
    wrong = fields.immutable("type", obj.get("type") or "", old.get("type") or "")
    return wrong + _immutable_data(obj, old, ("data",)) + secret(obj)


def warn_secret(obj: objects.Object, old: objects.Object | None) -> list[str]:
    if obj.get("type") != "kubernetes.io/tls":
        return []
    data = obj.get("data") or {}
    problem = key_pairs.problem(*(base64.b64decode(data.get(name) or "") for name in ("tls.crt", "tls.key")))
    return [problem] if problem else []


def warn_service_account(obj: objects.Object, old: objects.Object | None) -> list[str]:
    if _MOUNTABLE not in objects.annotations(obj):
        return []
    text = "deprecated in v1.32+; prefer separate namespaces to isolate access to mounted secrets"
    return [f"metadata.annotations[{_MOUNTABLE}]: {text}"]


def namespace_finalizers(obj: objects.Object) -> list[FieldError]:
    wrong: list[FieldError] = []
    for index, name in enumerate(objects.dig(obj, "spec", "finalizers", default=()) or ()):
        wrong += metadata.finalizer_name(name, f"spec.finalizers[{index}]")
    return wrong


def namespace_status(obj: objects.Object) -> list[FieldError]:
    phase = objects.dig(obj, "status", "phase", default="")
    if objects.is_deleting(obj):
        if phase != "Terminating":
            text = "may only be 'Terminating' if `deletionTimestamp` is not empty"
            return [fields.invalid("status.Phase", phase, text)]
    elif phase != "Active":
        return [fields.invalid("status.Phase", phase, "may only be 'Active' if `deletionTimestamp` is empty")]
    return []


def node(obj: objects.Object) -> list[FieldError]:
    wrong = node_annotations.validate(obj) + _taints(obj) + _node_resources(obj) + _declared_features(obj)
    ranges = objects.dig(obj, "spec", "podCIDRs", default=[]) or []
    for index, cidr in enumerate(ranges):
        wrong += fields.all_invalid(f"spec.podCIDRs[{index}]", cidr, content.cidr(cidr))
    if len(ranges) > 1 and (len(ranges) > 2 or len({":" in cidr for cidr in ranges}) != 2):
        text = "may specify no more than one CIDR for each IP family"
        wrong.append(fields.invalid("spec.podCIDRs", ranges, text))
    return wrong


def _taints(obj: objects.Object) -> list[FieldError]:
    return scheduling.taints(objects.dig(obj, "spec", "taints", default=()) or (), "metadata.taints")


def _node_resources(obj: objects.Object) -> list[FieldError]:
    wrong: list[FieldError] = []
    for field in ("capacity", "allocatable"):
        for name, amount in objects.dig(obj, "status", field, default={}).items():
            wrong += amounts.resource_value(name, amount, f"status.{field}.{name}")
    return wrong


def _declared_features(obj: objects.Object) -> list[FieldError]:
    """What a kubelet says that it can do: a sorted list without repetitions."""
    wrong: list[FieldError] = []
    names = objects.dig(obj, "status", "declaredFeatures", default=()) or ()
    for index, name in enumerate(names):
        path, after = f"status.declaredFeatures[{index + 1}]", names[index + 1] if index + 1 < len(names) else None
        if rule := _feature_rule(name):
            text = f"invalid feature name {fields.quote(name)}: {rule}"
            wrong.append(fields.invalid(f"status.declaredFeatures[{index}]", name, text))
        if after == name:
            wrong.append(fields.duplicate(path, after))
        elif after is not None and after < name:
            wrong.append(fields.invalid(path, after, "list must be sorted alphabetically"))
    return wrong


def _feature_rule(name: str) -> str:
    """What the name of a feature breaks."""
    if len(name) > _LONGEST_FEATURE:
        return f"must be no more than {_LONGEST_FEATURE} characters"
    return "" if _FEATURE(name) else _FEATURE_RULE


def node_update(obj: objects.Object, old: objects.Object) -> list[FieldError]:
    spec, before = obj.get("spec") or {}, old.get("spec") or {}
    wrong = node_annotations.validate(obj) + _node_resources(obj) + _declared_features(obj)
    seen: list[Any] = []
    for index, address in enumerate(objects.dig(obj, "status", "addresses", default=())):
        if address in seen:
            shown = go_structs.shown(go_structs.NODE_ADDRESS, address)
            wrong.append(fields.duplicate(f"status.addresses[{index}]", shown))
        seen.append(address)
    if ranges := before.get("podCIDRs") or []:
        new = spec.get("podCIDRs") or []
        text = 'node updates may not change podCIDR except from "" to valid'
        changes = 1 if len(new) != len(ranges) else sum(one != other for one, other in zip(new, ranges, strict=True))
        wrong += [fields.forbidden("spec.podCIDRs", text)] * changes
    if before.get("providerID") and spec.get("providerID") != before["providerID"]:
        text = 'node updates may not change providerID except from "" to valid'
        wrong.append(fields.forbidden("spec.providerID", text))
    wrong += _taints(obj)
    if (spec.get("externalID") or "") != (before.get("externalID") or ""):
        wrong.append(fields.forbidden("spec.externalID", "may not be updated"))
    return wrong


def warn_node(obj: objects.Object, old: objects.Object | None) -> list[str]:
    spec = obj.get("spec") or {}
    found = []
    if spec.get("configSource") is not None:
        found.append("spec.configSource: the feature is removed")
    if spec.get("externalID"):
        found.append("spec.externalID: this field is deprecated, and is unused by Kubernetes")
    for index, cidr in enumerate(spec.get("podCIDRs") or ()):
        found += warnings.network(cidr, f"spec.podCIDRs[{index}]")
    return found

"""Environment variables and where their values come from; downward API fields, for volumes too."""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from kubeshim.machinery import quantity
from kubeshim.machinery.errors import FieldError
from kubeshim.machinery.validation import content, fields, mounts

ENV_FIELDS = (
    "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName",
    "status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs",
)  # fmt: skip
VOLUME_FIELDS = ("metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid")
_KNOWN = frozenset((*ENV_FIELDS, *VOLUME_FIELDS, "spec.restartPolicy", "spec.schedulerName", "status.phase"))
_RESOURCES = (
    "limits.cpu", "limits.ephemeral-storage", "limits.memory", "requests.cpu", "requests.ephemeral-storage",
    "requests.memory",
)  # fmt: skip
_HUGE = ("limits.hugepages-", "requests.hugepages-")
_SIZES = ("1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei")
_SUBSCRIPT = re.compile(r"(.+?)\['(.*)'\]", re.DOTALL).fullmatch


def variables(found: Sequence[Mapping[str, Any]], base: str) -> list[FieldError]:
    wrong: list[FieldError] = []
    for index, variable in enumerate(found):
        name = variable.get("name")
        if not name:
            wrong.append(fields.required(f"{base}[{index}].name"))
        elif complaints := content.env_name(name):
            wrong += fields.all_invalid(f"{base}[{index}].name", name, complaints)
        source = variable.get("valueFrom")
        if source is not None:
            wrong += _value_from(source, variable.get("value") or "", f"{base}[{index}].valueFrom")
    return wrong


def _value_from(source: Mapping[str, Any], value: str, path: str) -> list[FieldError]:
    wrong: list[FieldError] = []
    given = 0
    if (found := source.get("fieldRef")) is not None:
        given += 1
        wrong += object_field(found, ENV_FIELDS, path + ".fieldRef")
    if (found := source.get("resourceFieldRef")) is not None:
        given += 1
        wrong += resource_field(found, path + ".resourceFieldRef", volume=False)
    for field in ("configMapKeyRef", "secretKeyRef"):
        if (found := source.get(field)) is not None:
            given += 1
            wrong += _key_reference(found, f"{path}.{field}")
    if (found := source.get("fileKeyRef")) is not None:
        given += 1
        wrong += _file_key(found, path + ".fileKeyRef")
    if not given:
        text = "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`"
        wrong.append(fields.invalid(path, "", text))
    elif value:
        wrong.append(fields.invalid(path, "", "may not be specified when `value` is not empty"))
    elif given > 1:
        wrong.append(fields.invalid(path, "", "may not have more than one field specified at a time"))
    return wrong


def sources(found: Sequence[Mapping[str, Any]], base: str) -> list[FieldError]:
    """``envFrom``."""
    wrong: list[FieldError] = []
    for index, source in enumerate(found):
        path = f"{base}[{index}]"
        if prefix := source.get("prefix"):
            wrong += fields.all_invalid(path + ".prefix", prefix, content.env_name(prefix))
        given = 0
        for field in ("configMapRef", "secretRef"):
            if (reference := source.get(field)) is None:
                continue
            given += 1
            if not (name := reference.get("name")):
                wrong.append(fields.required(f"{path}.{field}.name"))
            else:
                # upstream takes it for the beginning of a name: a dash may be its last character
                judged = f"{name[:-2]}a" if name.endswith("-") and len(name) > 1 else name
                wrong += fields.all_invalid(f"{path}.{field}.name", name, content.dns_subdomain(judged))
        if not given:
            wrong.append(fields.invalid(base, "", "must specify one of: `configMapRef` or `secretRef`"))
        elif given > 1:
            wrong.append(fields.invalid(base, "", "may not have more than one field specified at a time"))
    return wrong


def _key_reference(found: Mapping[str, Any], path: str) -> list[FieldError]:
    name, key = found.get("name") or "", found.get("key") or ""
    wrong = fields.all_invalid(path + ".name", name, content.dns_subdomain(name))
    if not key:
        wrong.append(fields.required(path + ".key"))
    else:
        wrong += fields.all_invalid(path + ".key", key, content.config_key(key))
    return wrong


def _file_key(found: Mapping[str, Any], path: str) -> list[FieldError]:
    """A variable from a file that another container wrote."""
    wrong: list[FieldError] = []
    key, volume, target = found.get("key") or "", found.get("volumeName") or "", found.get("path") or ""
    wrong += fields.all_invalid(path + ".key", key, content.env_name(key)) if key else [fields.required(path + ".key")]
    place = path + ".volumeName"
    wrong += fields.all_invalid(place, volume, content.dns_label(volume)) if volume else [fields.required(place)]
    place = path + ".path"
    return wrong + (mounts.no_backsteps(target, place) if target else [fields.required(place)])


def file_volumes(container: Mapping[str, Any], volumes: Sequence[Mapping[str, Any]], path: str) -> list[FieldError]:
    """Files of variables lie in an ``emptyDir``."""
    wrong: list[FieldError] = []
    for index, variable in enumerate(container.get("env") or ()):
        found = (variable.get("valueFrom") or {}).get("fileKeyRef")
        if found is None:
            continue
        name, place = found.get("volumeName") or "", f"{path}.env[{index}].valueFrom.fileKeyRef.volumeName"
        volume = next((volume for volume in volumes if volume.get("name") == name), None)
        if volume is None:
            wrong.append(fields.not_found(place, name))
        elif volume.get("emptyDir") is None:
            wrong.append(fields.invalid(place, name, "referenced volume must be of type emptyDir"))
    return wrong


def object_field(found: Mapping[str, Any], supported: Collection[str], path: str) -> list[FieldError]:
    """A ``fieldRef``: a path of the pod, perhaps with a label or annotation key in brackets."""
    if not found.get("apiVersion"):
        return [fields.required(path + ".apiVersion")]
    text = found.get("fieldPath") or ""
    if not text:
        return [fields.required(path + ".fieldPath")]
    if found["apiVersion"] != "v1":
        complaint = f"error converting fieldPath: unsupported pod version: {found['apiVersion']}"
        return [fields.invalid(path + ".fieldPath", text, complaint)]
    if match := _SUBSCRIPT(text):
        place, key = match.groups()
        if place not in ("metadata.annotations", "metadata.labels"):
            complaint = f"error converting fieldPath: field label does not support subscript: {text}"
            return [fields.invalid(path + ".fieldPath", text, complaint)]
        judged = key.lower() if place == "metadata.annotations" else key
        return fields.all_invalid(path, judged, content.qualified_name(judged))
    if text not in _KNOWN:
        complaint = f"error converting fieldPath: field label not supported: {text}"
        return [fields.invalid(path + ".fieldPath", text, complaint)]
    return [] if text in supported else [fields.not_supported(path + ".fieldPath", text, sorted(supported))]


def resource_field(found: Mapping[str, Any], path: str, *, volume: bool) -> list[FieldError]:
    """A ``resourceFieldRef``; in a volume it must name its container."""
    wrong: list[FieldError] = []
    name = found.get("resource") or ""
    if volume and not found.get("containerName"):
        wrong.append(fields.required(path + ".containerName"))
    elif not name:
        wrong.append(fields.required(path + ".resource"))
    elif name not in _RESOURCES and not name.startswith(_HUGE):
        wrong.append(fields.not_supported(path + ".resource", name, _RESOURCES))
    return wrong + _divisor(name, found.get("divisor") or "0", path + ".divisor")


def _divisor(name: str, text: str, path: str) -> list[FieldError]:
    divisor = quantity.parse(text)
    if not divisor:
        return []
    canonical = str(divisor)
    if name in ("limits.cpu", "requests.cpu"):
        if canonical not in ("1", "1m"):
            complaint = "only divisor's values 1m and 1 are supported with the cpu resource"
            return [fields.invalid(path, name, complaint)]
        return []
    kind = {"memory": "memory", "ephemeral-storage": "local ephemeral storage"}.get(name.partition(".")[2])
    if name.startswith(_HUGE):
        kind = "hugepages"
    if kind and canonical not in _SIZES:
        complaint = f"only divisor's values {', '.join(_SIZES)} are supported with the {kind} resource"
        return [fields.invalid(path, name, complaint)]
    return []

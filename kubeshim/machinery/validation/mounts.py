"""A container's volume mounts and block devices, against the pod's volumes; and paths inside volumes."""

from collections.abc import Mapping
from typing import Any

from kubeshim.machinery.errors import FieldError
from kubeshim.machinery.validation import fields

_PROPAGATION = ("Bidirectional", "HostToContainer", "None")
_READ_ONLY = ("Disabled", "Enabled", "IfPossible")


def validate(container: Mapping[str, Any], volumes: Mapping[str, Mapping[str, Any]], path: str) -> list[FieldError]:
    """``volumes`` maps a volume's name to its whole entry."""
    mounts, devices = container.get("volumeMounts") or (), container.get("volumeDevices") or ()
    wrong: list[FieldError] = []
    seen: set[str] = set()
    device_names = {device.get("name"): device.get("devicePath") for device in devices}
    for index, mount in enumerate(mounts):
        place = f"{path}.volumeMounts[{index}]"
        name, target = mount.get("name") or "", mount.get("mountPath") or ""
        if not name:
            wrong.append(fields.required(place + ".name"))
        if name not in volumes:
            wrong.append(fields.not_found(place + ".name", name))
        if not target:
            wrong.append(fields.required(place + ".mountPath"))
        if target in seen:
            wrong.append(fields.invalid(place + ".mountPath", target, "must be unique"))
        seen.add(target)
        if device_names:
            wrong += _overlap(name, target, device_names, place, "mountPath", "volumeDevices")
        if len(mount) > 2:
            wrong += _options(mount, container, volumes.get(name) or {}, place, f"{path}.volumeMounts")
    if devices:
        wrong += _devices(devices, {mount.get("name"): mount.get("mountPath") for mount in mounts}, volumes, path)
    return wrong


def _overlap(name: str, target: str, others: Mapping[Any, Any], place: str, field: str, where: str) -> list[FieldError]:
    wrong: list[FieldError] = []
    if name in others:
        wrong.append(fields.invalid(place + ".name", name, f"must not already exist in {where}"))
    if target in others.values():
        wrong.append(fields.invalid(f"{place}.{field}", target, f"must not already exist as a path in {where}"))
    return wrong


def _options(
    mount: Mapping[str, Any], container: Mapping[str, Any], volume: Mapping[str, Any], place: str, base: str
) -> list[FieldError]:
    """The rarer fields of a mount; upstream names the list, not the entry, in most of these complaints."""
    wrong: list[FieldError] = []
    sub_path, expression = mount.get("subPath") or "", mount.get("subPathExpr") or ""
    if sub_path:
        wrong += descending_path(sub_path, base + ".subPath")
    if expression:
        if sub_path:
            text = "subPathExpr and subPath are mutually exclusive"
            wrong.append(fields.invalid(place + ".subPathExpr", expression, text))
        wrong += descending_path(expression, base + ".subPathExpr")
    propagation = mount.get("mountPropagation")
    if propagation is not None:
        wrong += _propagation(propagation, container, base + ".mountPropagation")
    return wrong + _recursive_read_only(mount, base + ".recursiveReadOnly")


def _propagation(mode: str, container: Mapping[str, Any], path: str) -> list[FieldError]:
    if mode not in _PROPAGATION:
        return [fields.not_supported(path, mode, _PROPAGATION)]
    if mode == "Bidirectional" and not (container.get("securityContext") or {}).get("privileged"):
        return [fields.forbidden(path, "Bidirectional mount propagation is available only to privileged containers")]
    return []


def _recursive_read_only(mount: Mapping[str, Any], path: str) -> list[FieldError]:
    mode = mount.get("recursiveReadOnly")
    if mode is None or mode == "Disabled":
        return []
    if mode not in _READ_ONLY:
        return [fields.not_supported(path, mode, _READ_ONLY)]
    wrong: list[FieldError] = []
    if not mount.get("readOnly"):
        wrong.append(fields.forbidden(path, "may only be specified when readOnly is true"))
    if mount.get("mountPropagation") not in (None, "None"):
        text = "may only be specified when mountPropagation is None or not specified"
        wrong.append(fields.forbidden(path, text))
    return wrong


def _devices(
    devices: Any, mounted: Mapping[Any, Any], volumes: Mapping[str, Mapping[str, Any]], path: str
) -> list[FieldError]:
    wrong: list[FieldError] = []
    names: set[str] = set()
    targets: set[str] = set()
    for index, device in enumerate(devices):
        place = f"{path}.volumeDevices[{index}]"
        name, target = device.get("name") or "", device.get("devicePath") or ""
        volume = volumes.get(name)
        if not name:
            wrong.append(fields.required(place + ".name"))
        if name in names:
            wrong.append(fields.invalid(place + ".name", name, "must be unique"))
        if volume is None:
            wrong.append(fields.not_found(place + ".name", name))
        elif volume.get("persistentVolumeClaim") is None and volume.get("ephemeral") is None:
            text = "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode"
            wrong.append(fields.invalid(place + ".name", name, text))
        if not target:
            wrong.append(fields.required(place + ".devicePath"))
        if target in targets:
            wrong.append(fields.invalid(place + ".devicePath", target, "must be unique"))
        if ".." in target.split("/"):
            wrong.append(fields.invalid(place + ".devicePath", target, "can not contain backsteps ('..')"))
        else:
            targets.add(target)
        wrong += _overlap(name, target, mounted, place, "devicePath", "volumeMounts")
        if name:
            names.add(name)
    return wrong


def descending_path(text: str, path: str) -> list[FieldError]:
    """A relative path that never steps back."""
    wrong = [fields.invalid(path, text, "must be a relative path")] if text.startswith("/") else []
    return wrong + no_backsteps(text, path)


def no_backsteps(text: str, path: str) -> list[FieldError]:
    return [fields.invalid(path, text, "must not contain '..'")] if ".." in text.split("/") else []


def unreserved_path(text: str, path: str) -> list[FieldError]:
    """A descending path whose name does not begin with two dots either: those are the kubelet's own."""
    wrong = descending_path(text, path)
    if text.startswith("..") and not text.startswith("../"):
        wrong.append(fields.invalid(path, text, "must not start with '..'"))
    return wrong

"""PersistentVolumes."""

import posixpath
from collections.abc import Mapping
from typing import Any

from kubeshim.machinery import objects
from kubeshim.machinery.errors import FieldError
from kubeshim.machinery.validation import (
    amounts,
    claims,
    content,
    differences,
    fields,
    go_structs,
    go_values,
    scheduling,
    volumes,
    warnings,
)

_POLICIES = ("Delete", "Recycle", "Retain")
_MAY_BE_RENAMED = {
    "failure-domain.beta.kubernetes.io/zone": "topology.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region": "topology.kubernetes.io/region",
    "beta.kubernetes.io/os": "kubernetes.io/os",
    "beta.kubernetes.io/arch": "kubernetes.io/arch",
    "beta.kubernetes.io/instance-type": "node.kubernetes.io/instance-type",
}


def volume(obj: objects.Object) -> list[FieldError]:
    return spec(obj.get("spec") or {}, objects.name(obj), "spec")


def inline(found: Mapping[str, Any], path: str) -> list[FieldError]:
    """A volume's spec inside a VolumeAttachment: of a CSI driver's volume, and nothing that a claim decides."""
    text = "may not be specified in the context of inline volumes"
    wrong = [fields.forbidden(f"{path}.claimRef", text)] if found.get("claimRef") is not None else []
    if found.get("capacity"):
        wrong.append(fields.forbidden(path + ".capacity", text))
    if found.get("csi") is None:
        wrong.append(fields.required(path + ".csi", "has to be specified in the context of inline volumes"))
    wrong += _modes(found, path)
    if (found.get("persistentVolumeReclaimPolicy") or "Retain") != "Retain":
        place = path + ".persistentVolumeReclaimPolicy"
        wrong.append(fields.forbidden(place, "may only be Retain in the context of inline volumes"))
    if found.get("nodeAffinity") is not None:
        wrong.append(fields.forbidden(path + ".nodeAffinity", text))
    wrong += volumes.persistent_source(found, path, "")
    if found.get("storageClassName"):
        wrong.append(fields.forbidden(path + ".storageClassName", text))
    if (found.get("volumeMode") or "Filesystem") != "Filesystem":
        other = "may not specify volumeMode other than Filesystem in the context of inline volumes"
        wrong.append(fields.forbidden(path + ".volumeMode", other))
    return wrong + _attributes_class(found, path)


def _modes(found: Mapping[str, Any], path: str) -> list[FieldError]:
    modes = found.get("accessModes") or ()
    wrong = [] if modes else [fields.required(path + ".accessModes")]
    return wrong + claims.access_modes(modes, path + ".accessModes")


def spec(found: Mapping[str, Any], name: str, path: str) -> list[FieldError]:
    wrong = _modes(found, path)
    capacity = found.get("capacity") or {}
    if not capacity:
        wrong.append(fields.required(path + ".capacity"))
    if "storage" not in capacity or len(capacity) > 1:
        wrong.append(fields.not_supported(path + ".capacity", capacity or None, ("storage",)))
    for resource, amount in capacity.items():
        wrong += amounts.basic(amount, f"{path}.capacity[{resource}]")
        wrong += amounts.positive(amount, f"{path}.capacity[{resource}]")
    policy = found.get("persistentVolumeReclaimPolicy") or ""
    if policy:
        wrong += fields.one_of(path + ".persistentVolumeReclaimPolicy", policy, _POLICIES)
    if (affinity := found.get("nodeAffinity")) is not None:
        place = path + ".nodeAffinity.required"
        if affinity.get("required") is None:
            wrong.append(fields.required(place, "must specify required node constraints"))
        else:
            wrong += scheduling.node_selector(affinity["required"], place)
    wrong += volumes.persistent_source(found, path, name)
    on_host = found.get("hostPath")
    if on_host is not None and policy == "Recycle" and not _cleaned(on_host).lstrip("/"):
        text = "may not be 'recycle' for a hostPath mount of '/'"
        wrong.append(fields.forbidden(path + ".persistentVolumeReclaimPolicy", text))
    if storage_class := found.get("storageClassName"):
        complaints = content.dns_subdomain(storage_class)
        wrong += fields.all_invalid(path + ".storageClassName", storage_class, complaints)
    if (mode := found.get("volumeMode")) is not None:
        wrong += fields.one_of(path + ".volumeMode", mode, claims.VOLUME_MODES)
    return wrong + _attributes_class(found, path)


def _cleaned(on_host: Mapping[str, Any]) -> str:
    return posixpath.normpath(on_host.get("path") or ".")


def _attributes_class(found: Mapping[str, Any], path: str) -> list[FieldError]:
    name, place = found.get("volumeAttributesClassName"), path + ".volumeAttributesClassName"
    if name is None:
        return []
    wrong = (
        fields.all_invalid(place, name, content.dns_subdomain(name))
        if name
        else [fields.required(place, "an empty string is disallowed")]
    )
    if found.get("csi") is None:
        text = "has to be specified when using volumeAttributesClassName"
        wrong.append(fields.required(path + ".csi", text))
    return wrong


def update(obj: objects.Object, old: objects.Object) -> list[FieldError]:
    found, before = obj.get("spec") or {}, old.get("spec") or {}
    new, previous = _sources(found), _sources(before)
    if new.get("csi") and previous.get("csi") and previous["csi"].get("controllerExpandSecretRef") is None:
        new["csi"] = {key: value for key, value in new["csi"].items() if key != "controllerExpandSecretRef"}
    wrong: list[FieldError] = []
    if new != previous:
        changed = differences.text(go_values.VOLUME_SOURCE, previous, new)
        text = f"spec.persistentvolumesource is immutable after creation\n{changed}"
        wrong.append(fields.forbidden("spec.persistentvolumesource", text))
    wrong += fields.immutable("volumeMode", found.get("volumeMode"), before.get("volumeMode"))
    affinity, earlier = found.get("nodeAffinity"), before.get("nodeAffinity")
    if earlier is not None and not _same_but_renamed(affinity, earlier):
        shown = None if affinity is None else go_structs.shown(go_structs.VOLUME_NODE_AFFINITY, affinity)
        text = f"{fields.IMMUTABLE}, except for updating from beta label to GA"
        wrong.append(fields.invalid("nodeAffinity", shown, text))
    if before.get("volumeAttributesClassName") is not None and found.get("volumeAttributesClassName") is None:
        text = "update from non-nil value to nil is forbidden"
        wrong.append(fields.forbidden("spec.volumeAttributesClassName", text))
    return wrong


def _sources(found: Mapping[str, Any]) -> dict[str, Any]:
    return {name: found[name] for name in volumes.sources_in(found)}


def _same_but_renamed(new: Any, old: Any) -> bool:
    """Equal, save that a requirement's old label may have become its successor."""
    if isinstance(new, dict) and isinstance(old, dict):
        if _MAY_BE_RENAMED.get(old.get("key") or "") == new.get("key") and "operator" in old:
            old = {**old, "key": new["key"]}
        return new.keys() == old.keys() and all(_same_but_renamed(new[key], old[key]) for key in new)
    if isinstance(new, list) and isinstance(old, list):
        return len(new) == len(old) and all(map(_same_but_renamed, new, old))
    return bool(new == old)


_OLD_MOUNT_OPTIONS = "volume.beta.kubernetes.io/mount-options"
_DEAD_SOURCES = {
    "cephfs": ("cephfs", "deprecated in v1.28, non-functional in v1.31+"),
    "photonPersistentDisk": ("photonPersistentDisk", "deprecated in v1.11, non-functional in v1.16+"),
    "scaleIO": ("scaleIO", "deprecated in v1.16, non-functional in v1.22+"),
    "storageos": ("storageOS", "deprecated in v1.22, non-functional in v1.25+"),
    "glusterfs": ("glusterfs", "deprecated in v1.25, non-functional in v1.26+"),
    "rbd": ("rbd", "deprecated in v1.28, non-functional in v1.31+"),
}


def warn(obj: objects.Object, old: objects.Object | None) -> list[str]:
    spec = obj.get("spec") or {}
    found = warnings.old_class(obj)
    if _OLD_MOUNT_OPTIONS in objects.annotations(obj):
        text = 'deprecated since v1.31; use "mountOptions" attribute instead'
        found.append(f"metadata.annotations[{_OLD_MOUNT_OPTIONS}]: {text}")
    if spec.get("persistentVolumeReclaimPolicy") == "Recycle":
        found.append(
            "spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead, the recommended "
            "approach is to use dynamic provisioning."
        )
    for index, term in enumerate(objects.dig(spec, "nodeAffinity", "required", "nodeSelectorTerms", default=()) or ()):
        found += warnings.selector_term(term, f"spec.nodeAffinity.required.nodeSelectorTerms[{index}]")
    found += [
        f"spec.{shown}: {text}" for source, (shown, text) in _DEAD_SOURCES.items() if spec.get(source) is not None
    ]
    return found

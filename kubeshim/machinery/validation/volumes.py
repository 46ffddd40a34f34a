"""Volumes of pods and of persistent volumes: exactly one source each, and that source's own rules."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kubeshim.machinery import quantity
from kubeshim.machinery.errors import FieldError
from kubeshim.machinery.validation import claims, content, fields, metadata, mounts, projections, vendor_volumes

_Found = Mapping[str, Any]
_HOST_PATH_TYPES = (
    "", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket",
)  # fmt: skip
_PULL_POLICIES = ("Always", "IfNotPresent", "Never")
_SECOND = "may not specify more than 1 volume type"
_LONG_PORTAL = (
    "Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters "
    "if iscsi.initiatorName is specified."
)


def validate(found: Sequence[_Found], base: str, pod_name: str = "") -> tuple[list[FieldError], dict[str, _Found]]:
    """``spec.volumes``: what is wrong, and the right ones by name. Of a template's pods no name is known."""
    wrong: list[FieldError] = []
    right: dict[str, _Found] = {}
    made = {f"{pod_name}-{volume.get('name') or ''}" for volume in found if pod_name and volume.get("ephemeral")}
    for index, volume in enumerate(found):
        path = f"{base}[{index}]"
        name = volume.get("name") or ""
        problems = source(volume, path, name=name, pod_name=pod_name)
        if not name:
            problems.append(fields.required(path + ".name"))
        elif complaints := content.dns_label(name):
            problems += fields.all_invalid(path + ".name", name, complaints)
        if name in right:
            problems.append(fields.duplicate(path + ".name", name))
        if problems:
            wrong += problems
        else:
            right[name] = volume
        if made and (claim := (volume.get("persistentVolumeClaim") or {}).get("claimName")) in made:
            text = "must not reference a PVC that gets created for an ephemeral volume"
            wrong.append(fields.invalid(path + ".persistentVolumeClaim.claimName", claim, text))
    return wrong, right


def source(volume: _Found, path: str, *, name: str = "", pod_name: str = "") -> list[FieldError]:
    """The one source of a pod's volume."""
    wrong: list[FieldError] = []
    given = 0
    for field in _OF_PODS:
        if (value := volume.get(field)) is None:
            continue
        given += 1
        if given > 1:
            wrong.append(fields.forbidden(f"{path}.{_SPELLED.get(field, field)}", _SECOND))
            continue
        place = f"{path}.{_CALLED.get(field, field)}"
        if check := _CHECKS.get(field):
            wrong += check(value, place)
        else:
            wrong += vendor_volumes.CHECKS[field](value, place, False)
        if field == "iscsi" and value.get("initiatorName") is not None:
            if len(f"{name}:{value.get('targetPortal') or ''}") > 64:
                wrong.append(fields.invalid(path + ".name", name, _LONG_PORTAL))
        elif field == "ephemeral" and pod_name and name:
            claim = f"{pod_name}-{name}"
            for complaint in content.dns_subdomain(claim):
                wrong.append(fields.invalid(path + ".name", name, f"PVC name {fields.quote(claim)}: {complaint}"))
    return wrong if given else [fields.required(path, "must specify a volume type")]


def persistent_source(spec: _Found, path: str, volume_name: str) -> list[FieldError]:
    """The one source of a persistent volume's spec."""
    wrong: list[FieldError] = []
    given = 0
    for field in _OF_PERSISTENT:
        if (value := spec.get(field)) is None:
            continue
        given += 1
        if given > 1 and field != "flexVolume":
            wrong.append(fields.forbidden(f"{path}.{_SPELLED.get(field, field)}", _SECOND))
            continue
        place = f"{path}.{_CALLED.get(field, field)}"
        if field == "iscsi" and value.get("initiatorName") is not None:
            portal = value.get("targetPortal") or ""
            if len(f"{volume_name}:{portal}") > 64:
                wrong.append(fields.invalid(place + ".targetportal", portal, _LONG_PORTAL))
        if field == "csi":
            wrong += _persistent_csi(value, place)
        elif check := _CHECKS.get(field):
            wrong += check(value, place)
        else:
            wrong += vendor_volumes.CHECKS[field](value, place, True)
        if field == "local" and spec.get("nodeAffinity") is None:
            wrong.append(fields.required(path + ".nodeAffinity", "Local volume requires node affinity"))
    return wrong if given else [fields.required(path, "must specify a volume type")]


def sources_in(spec: _Found) -> list[str]:
    """The names of the sources a persistent volume's spec gives."""
    return [field for field in _OF_PERSISTENT if spec.get(field) is not None]


def _empty_dir(found: _Found, path: str) -> list[FieldError]:
    limit = found.get("sizeLimit")
    if limit is not None and quantity.parse(limit).nano < 0:
        return [fields.forbidden(path + ".sizeLimit", "SizeLimit field must be a valid resource quantity")]
    return []


def _host_path(found: _Found, path: str) -> list[FieldError]:
    target = found.get("path") or ""
    if not target:
        return [fields.required(path + ".path")]
    wrong = mounts.no_backsteps(target, path + ".path")
    return wrong + fields.one_of(path + ".type", found.get("type") or "", _HOST_PATH_TYPES)


def _local(found: _Found, path: str) -> list[FieldError]:
    target = found.get("path") or ""
    return mounts.no_backsteps(target, path + ".path") if target else [fields.required(path + ".path")]


def _keys_of(name: str) -> Callable[[_Found, str], list[FieldError]]:
    """A secret's or config map's keys as files; ``name`` is the field that names it."""

    def check(found: _Found, path: str) -> list[FieldError]:
        wrong = vendor_volumes.required(found, path, (name,))
        wrong += projections.mode(found.get("defaultMode"), path + ".defaultMode")
        return wrong + projections.keys(found, path)

    return check


def _image(found: _Found, path: str) -> list[FieldError]:
    wrong = vendor_volumes.required(found, path, ("reference",))
    policy = found.get("pullPolicy")
    if not policy:
        return [*wrong, fields.required(path + ".pullPolicy")]
    return wrong + fields.one_of(path + ".pullPolicy", policy, _PULL_POLICIES)


def _ephemeral(found: _Found, path: str) -> list[FieldError]:
    template = found.get("volumeClaimTemplate")
    path += ".volumeClaimTemplate"
    if template is None:
        return [fields.required(path)]
    wrong = metadata.template(template.get("metadata") or {}, path + ".metadata")
    return wrong + claims.spec(template.get("spec") or {}, path + ".spec")


def driver_name(name: str, path: str) -> list[FieldError]:
    """A CSI driver's."""
    if not name:
        return [fields.required(path)]
    wrong = [fields.too_long(path, 63)] if len(name) > 63 else []
    return wrong + fields.all_invalid(path, name, content.dns_subdomain(name.lower()))


def _csi(found: _Found, path: str) -> list[FieldError]:
    wrong = driver_name(found.get("driver") or "", path + ".driver")
    if (secret := found.get("nodePublishSecretRef")) is not None:
        name = secret.get("name") or ""
        if not name:
            wrong.append(fields.required(path + ".nodePublishSecretRef.name"))
        else:
            wrong += fields.all_invalid(path + ".name", name, content.dns_subdomain(name))
    return wrong


_CSI_SECRETS = (
    "controllerPublishSecretRef", "controllerExpandSecretRef", "nodePublishSecretRef", "nodeExpandSecretRef",
)  # fmt: skip


def _persistent_csi(found: _Found, path: str) -> list[FieldError]:
    wrong = driver_name(found.get("driver") or "", path + ".driver")
    wrong += vendor_volumes.required(found, path, ("volumeHandle",))
    for field in _CSI_SECRETS:
        if (secret := found.get(field)) is None:
            continue
        for part, check in (("name", content.dns_subdomain), ("namespace", content.dns_label)):
            text, place = secret.get(part) or "", f"{path}.{field}.{part}"
            wrong += fields.all_invalid(place, text, check(text)) if text else [fields.required(place)]
    return wrong


_CHECKS: dict[str, Callable[[_Found, str], list[FieldError]]] = {
    "emptyDir": _empty_dir,
    "hostPath": _host_path,
    "secret": _keys_of("secretName"),
    "configMap": _keys_of("name"),
    "downwardAPI": projections.downward,
    "projected": projections.projected,
    "persistentVolumeClaim": lambda found, path: vendor_volumes.required(found, path, ("claimName",)),
    "image": _image,
    "ephemeral": _ephemeral,
    "csi": _csi,
    "local": _local,
}
_OF_PODS = (
    "emptyDir", "hostPath", "gitRepo", "gcePersistentDisk", "awsElasticBlockStore", "secret", "nfs", "iscsi",
    "glusterfs", "flocker", "persistentVolumeClaim", "rbd", "cinder", "cephfs", "quobyte", "downwardAPI", "fc",
    "flexVolume", "configMap", "azureFile", "vsphereVolume", "photonPersistentDisk", "portworxVolume", "azureDisk",
    "storageos", "projected", "scaleIO", "csi", "ephemeral", "image",
)  # fmt: skip
"""In the order in which upstream looks for them: of two, the later is one too many."""
_OF_PERSISTENT = (
    "hostPath", "gcePersistentDisk", "awsElasticBlockStore", "glusterfs", "flocker", "nfs", "rbd", "quobyte",
    "cephfs", "iscsi", "cinder", "fc", "flexVolume", "azureFile", "vsphereVolume", "photonPersistentDisk",
    "portworxVolume", "azureDisk", "scaleIO", "local", "storageos", "csi",
)  # fmt: skip
_SPELLED = {"cephfs": "cephFS", "downwardAPI": "downwarAPI"}
"""What a second source is called in the complaint, where that differs from its field."""
_CALLED = {"gcePersistentDisk": "persistentDisk"}
"""What a source is called in complaints about its parts, where that differs from its field."""

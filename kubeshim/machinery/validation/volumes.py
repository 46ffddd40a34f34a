"""A pod's volumes: exactly one source each, and that source's own rules.

Sources of vendors' drivers that a node no longer mounts itself are checked for their required fields only, as the
published definitions list them.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kubeshim.machinery import quantity
from kubeshim.machinery.errors import FieldError
from kubeshim.machinery.validation import certificates, content, environment, fields, mounts

_MODE_TEXT = "must be a number between 0 and 0777 (octal), both inclusive"
_HOST_PATH_TYPES = (
    "", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket",
)  # fmt: skip
_REQUIRED: dict[str, tuple[str, ...]] = {
    "awsElasticBlockStore": ("volumeID",),
    "azureDisk": ("diskName", "diskURI"),
    "azureFile": ("secretName", "shareName"),
    "cephfs": ("monitors",),
    "cinder": ("volumeID",),
    "csi": ("driver",),
    "flexVolume": ("driver",),
    "gcePersistentDisk": ("pdName",),
    "gitRepo": ("repository",),
    "glusterfs": ("endpoints", "path"),
    "image": (),
    "iscsi": ("targetPortal", "iqn"),
    "nfs": ("server", "path"),
    "persistentVolumeClaim": ("claimName",),
    "photonPersistentDisk": ("pdID",),
    "portworxVolume": ("volumeID",),
    "quobyte": ("registry", "volume"),
    "rbd": ("monitors", "image"),
    "scaleIO": ("gateway", "system", "volumeName"),
    "storageos": (),
    "vsphereVolume": ("volumePath",),
    "fc": (),
    "flocker": (),
}


def validate(found: Sequence[Mapping[str, Any]], base: str) -> list[FieldError]:
    """``spec.volumes``."""
    wrong: list[FieldError] = []
    names: set[str] = set()
    for index, volume in enumerate(found):
        path = f"{base}[{index}]"
        wrong += source(volume, path)
        name = volume.get("name") or ""
        if not name:
            wrong.append(fields.required(path + ".name"))
            continue
        if complaints := content.dns_label(name):
            wrong += fields.all_invalid(path + ".name", name, complaints)
        if name in names:
            wrong.append(fields.duplicate(path + ".name", name))
        names.add(name)
    return wrong


def source(volume: Mapping[str, Any], path: str) -> list[FieldError]:
    """The one source of a pod's volume or of a persistent volume's spec."""
    wrong: list[FieldError] = []
    given = 0
    for field, value in volume.items():
        if value is None or (field not in _SOURCES and field not in _REQUIRED):
            continue
        given += 1
        place = f"{path}.{field}"
        if given > 1:
            wrong.append(fields.forbidden(place, "may not specify more than 1 volume type"))
            continue
        wrong += [fields.required(f"{place}.{name}") for name in _REQUIRED.get(field, ()) if not value.get(name)]
        if check := _SOURCES.get(field):
            wrong += check(value, place)
    return wrong if given else [fields.required(path, "must specify a volume type")]


def sources_in(spec: Mapping[str, Any]) -> list[str]:
    """The names of the sources a spec gives."""
    return [field for field in spec if spec[field] is not None and (field in _SOURCES or field in _REQUIRED)]


def mode(value: Any, path: str) -> list[FieldError]:
    if value is None or 0 <= value <= 0o777:
        return []
    return [fields.invalid(path, value, _MODE_TEXT)]


def _empty_dir(found: Mapping[str, Any], path: str) -> list[FieldError]:
    limit = found.get("sizeLimit")
    if limit is not None and quantity.parse(limit).nano < 0:
        return [fields.forbidden(path + ".sizeLimit", "SizeLimit field must be a valid resource quantity")]
    return []


def _host_path(found: Mapping[str, Any], path: str) -> list[FieldError]:
    target = found.get("path") or ""
    if not target:
        return [fields.required(path + ".path")]
    wrong = mounts.no_backsteps(target, path + ".path")
    return wrong + fields.one_of(path + ".type", found.get("type") or "", _HOST_PATH_TYPES)


def _secret(found: Mapping[str, Any], path: str) -> list[FieldError]:
    wrong = [] if found.get("secretName") else [fields.required(path + ".secretName")]
    return wrong + mode(found.get("defaultMode"), path + ".defaultMode") + _items(found, path)


def _config_map(found: Mapping[str, Any], path: str) -> list[FieldError]:
    wrong = [] if found.get("name") else [fields.required(path + ".name")]
    return wrong + mode(found.get("defaultMode"), path + ".defaultMode") + _items(found, path)


def _items(found: Mapping[str, Any], path: str) -> list[FieldError]:
    """Keys projected to paths."""
    wrong: list[FieldError] = []
    for index, item in enumerate(found.get("items") or ()):
        place = f"{path}.items[{index}]"
        if not item.get("key"):
            wrong.append(fields.required(place + ".key"))
        target = item.get("path") or ""
        wrong += mounts.unreserved_path(target, place + ".path") if target else [fields.required(place + ".path")]
        wrong += mode(item.get("mode"), place + ".mode")
    return wrong


def _downward(found: Mapping[str, Any], path: str) -> list[FieldError]:
    wrong = mode(found.get("defaultMode"), path + ".defaultMode")
    for item in found.get("items") or ():
        wrong += _downward_item(item, path)
    return wrong


def _downward_item(item: Mapping[str, Any], path: str) -> list[FieldError]:
    target = item.get("path") or ""
    wrong = mounts.unreserved_path(target, path + ".path") if target else [fields.required(path + ".path")]
    field, resource = item.get("fieldRef"), item.get("resourceFieldRef")
    if field is not None:
        wrong += environment.object_field(field, environment.VOLUME_FIELDS, path + ".fieldRef")
        if resource is not None:
            text = "fieldRef and resourceFieldRef can not be specified simultaneously"
            wrong.append(fields.invalid(path, "resource", text))
    elif resource is not None:
        wrong += environment.resource_field(resource, path + ".resourceFieldRef", volume=True)
    else:
        wrong.append(fields.required(path, "one of fieldRef and resourceFieldRef is required"))
    return wrong + mode(item.get("mode"), path + ".mode")


def _projected(found: Mapping[str, Any], path: str) -> list[FieldError]:
    wrong = mode(found.get("defaultMode"), path + ".defaultMode")
    paths: set[str] = set()
    for index, entry in enumerate(found.get("sources") or ()):
        place = f"{path}.sources[{index}]"
        given = 0
        for field, check in _PROJECTIONS.items():
            if (value := entry.get(field)) is None:
                continue
            given += 1
            if given > 1:
                wrong.append(fields.forbidden(f"{place}.{field}", "may not specify more than 1 volume type"))
                continue
            wrong += check(value, f"{place}.{field}")
            wrong += _conflicts(_targets(field, value), paths, f"{place}.{field}")
        if not given:
            wrong.append(fields.required(place, "must specify a volume type"))
    return wrong


def _targets(field: str, value: Mapping[str, Any]) -> list[str]:
    if field in ("serviceAccountToken", "clusterTrustBundle"):
        return [value.get("path") or ""]
    if field == "podCertificate":
        return [value.get(name) or "" for name in _CERTIFICATE_PATHS]
    return [item.get("path") or "" for item in value.get("items") or ()]


def _conflicts(targets: Sequence[str], paths: set[str], place: str) -> list[FieldError]:
    wrong = []
    for target in targets:
        if target and target in paths:
            wrong.append(fields.invalid(place, target, f"conflicting duplicate paths for {target}"))
        paths.add(target)
    return wrong


def _projected_secret(found: Mapping[str, Any], path: str) -> list[FieldError]:
    wrong = [] if found.get("name") else [fields.required(path + ".name")]
    return wrong + _items(found, path)


def _token(found: Mapping[str, Any], path: str) -> list[FieldError]:
    wrong: list[FieldError] = []
    seconds = found.get("expirationSeconds")
    if seconds is None:
        wrong.append(fields.required(path + ".expirationSeconds"))
    elif seconds < 600:
        text = "may not specify a duration less than 10 minutes"
        wrong.append(fields.invalid(path + ".expirationSeconds", seconds, text))
    elif seconds > 2**32:
        text = "may not specify a duration larger than 2^32 seconds"
        wrong.append(fields.invalid(path + ".expirationSeconds", seconds, text))
    target = found.get("path") or ""
    return wrong + (mounts.unreserved_path(target, path + ".path") if target else [fields.required(path + ".path")])


def _trust_bundle(found: Mapping[str, Any], path: str) -> list[FieldError]:
    wrong: list[FieldError] = []
    name, signer = found.get("name"), found.get("signerName")
    if name is not None and signer is not None:
        wrong.append(fields.invalid(path, found, "only one of name and signerName may be used"))
    elif name is None and signer is None:
        wrong.append(fields.required(path, "either name or signerName must be specified"))
    target = found.get("path") or ""
    return wrong + (mounts.unreserved_path(target, path + ".path") if target else [fields.required(path + ".path")])


def _pod_certificate(found: Mapping[str, Any], path: str) -> list[FieldError]:
    signer, kind = found.get("signerName") or "", found.get("keyType") or ""
    wrong = certificates.signer_name(signer, path + ".signerName")
    wrong += fields.one_of(path + ".keyType", kind, _KEY_TYPES)
    seconds = found.get("maxExpirationSeconds")
    if seconds is not None:
        wrong += certificates.lifetime(signer, seconds, path + ".maxExpirationSeconds")
    targets = [name for name in _CERTIFICATE_PATHS if found.get(name)]
    if not targets:
        wrong.append(fields.required(path, f"specify at least one of {', '.join(_CERTIFICATE_PATHS)}"))
    for name in targets:
        wrong += mounts.unreserved_path(found[name], f"{path}.{name}")
    annotations = found.get("userAnnotations")
    return wrong + (certificates.user_annotations(annotations, path + ".userAnnotations") if annotations else [])


_KEY_TYPES = ("RSA3072", "RSA4096", "ECDSAP256", "ECDSAP384", "ECDSAP521", "ED25519")
_CERTIFICATE_PATHS = ("credentialBundlePath", "keyPath", "certificateChainPath")


def _nfs(found: Mapping[str, Any], path: str) -> list[FieldError]:
    if found.get("path") and not str(found["path"]).startswith("/"):
        return [fields.invalid(path + ".path", found["path"], "must be an absolute path")]
    return []


def _image(found: Mapping[str, Any], path: str) -> list[FieldError]:
    wrong = [] if found.get("reference") else [fields.required(path + ".reference")]
    return wrong + fields.one_of(path + ".pullPolicy", found.get("pullPolicy"), ("Always", "IfNotPresent", "Never"))


def _ephemeral(found: Mapping[str, Any], path: str) -> list[FieldError]:
    template = found.get("volumeClaimTemplate")
    if template is None:
        return [fields.required(path + ".volumeClaimTemplate")]
    spec = template.get("spec") or {}
    place = path + ".volumeClaimTemplate.spec"
    wrong = []
    if not spec.get("accessModes"):
        wrong.append(fields.required(place + ".accessModes", "at least 1 access mode is required"))
    if "storage" not in ((spec.get("resources") or {}).get("requests") or {}):
        wrong.append(fields.required(place + ".resources[storage]"))
    return wrong


def _csi(found: Mapping[str, Any], path: str) -> list[FieldError]:
    name = found.get("driver") or ""
    if not name:
        return []
    if len(name) > 63:
        return [fields.too_long(path + ".driver", 63)]
    return fields.all_invalid(path + ".driver", name, content.dns_subdomain(name.lower()))


_Check = Callable[[Mapping[str, Any], str], list[FieldError]]

_PROJECTIONS: dict[str, _Check] = {
    "secret": _projected_secret,
    "configMap": _projected_secret,
    "downwardAPI": _downward,
    "serviceAccountToken": _token,
    "clusterTrustBundle": _trust_bundle,
    "podCertificate": _pod_certificate,
}
_SOURCES: dict[str, _Check] = {
    "emptyDir": _empty_dir,
    "hostPath": _host_path,
    "secret": _secret,
    "configMap": _config_map,
    "downwardAPI": _downward,
    "projected": _projected,
    "nfs": _nfs,
    "image": _image,
    "ephemeral": _ephemeral,
    "csi": _csi,
    "local": lambda found, path: [] if found.get("path") else [fields.required(path + ".path")],
}

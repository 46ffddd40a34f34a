"""Volumes of storage vendors and of protocols that nodes mount themselves: what each needs.

Pods and persistent volumes share most sources; a persistent volume's secrets have a namespace too, which is what
``persistent`` is for.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kubeshim.machinery.errors import FieldError
from kubeshim.machinery.validation import content, fields, mounts

_Found = Mapping[str, Any]
Check = Callable[[_Found, str, bool], list[FieldError]]

_iqn = re.compile(r"iqn\.\d{4}-\d{2}\.([A-Za-z0-9-.]+)(:[^,;*&$|\s]+)$").search
_eui = re.compile(r"eui.[A-Za-z0-9]{16}").fullmatch
_naa = re.compile(r"naa.[A-Za-z0-9]{32}").fullmatch
_INITIATORS = {"iqn": _iqn, "eui": _eui, "naa": _naa}
_FORMAT, _FORMAT_AND_START = "must be valid format", "must be valid format starting with iqn, eui, or naa"
_PAIRS = "must be a host:port pair or multiple pairs separated by commas"


def _needs(*names: str) -> Check:
    """A source that is right when it has these."""
    return lambda found, path, persistent: required(found, path, names)


def required(found: _Found, path: str, names: Sequence[str]) -> list[FieldError]:
    return [fields.required(f"{path}.{name}") for name in names if not found.get(name)]


def _disk(name: str) -> Check:
    """A cloud's disk, whole or a partition of it."""

    def check(found: _Found, path: str, persistent: bool) -> list[FieldError]:
        wrong = required(found, path, (name,))
        if not 0 <= (found.get("partition") or 0) <= 255:
            wrong.append(fields.invalid(path + ".partition", found["partition"], content.between(1, 255)))
        return wrong

    return check


def secret_reference(found: Any, path: str, persistent: bool) -> list[FieldError]:
    if found is None:
        return []
    return required(found, path, ("name", "namespace") if persistent else ("name",))


def _cinder(found: _Found, path: str, persistent: bool) -> list[FieldError]:
    wrong = required(found, path, ("volumeID",))
    return wrong + secret_reference(found.get("secretRef"), path + ".secretRef", persistent)


def _nfs(found: _Found, path: str, persistent: bool) -> list[FieldError]:
    wrong = required(found, path, ("server", "path"))
    target = found.get("path") or ""
    if not target.startswith("/"):
        wrong.append(fields.invalid(path + ".path", target, "must be an absolute path"))
    return wrong


def _git_repo(found: _Found, path: str, persistent: bool) -> list[FieldError]:
    wrong = required(found, path, ("repository",))
    return wrong + mounts.descending_path(found.get("directory") or "", path + ".directory")


def _glusterfs(found: _Found, path: str, persistent: bool) -> list[FieldError]:
    wrong = required(found, path, ("endpoints", "path"))
    namespace = found.get("endpointsNamespace")
    if namespace == "":
        text = "if the endpointnamespace is set, it must be a valid namespace name"
        wrong.append(fields.invalid(path + ".endpointsNamespace", namespace, text))
    elif namespace is not None:
        wrong += fields.all_invalid(path + ".endpointsNamespace", namespace, content.dns_label(namespace))
    return wrong


def _flocker(found: _Found, path: str, persistent: bool) -> list[FieldError]:
    name, uid = found.get("datasetName") or "", found.get("datasetUUID") or ""
    wrong: list[FieldError] = []
    if not name and not uid:
        wrong.append(fields.required(path, "one of datasetName and datasetUUID is required"))
    if name and uid:
        text = "datasetName and datasetUUID can not be specified simultaneously"
        wrong.append(fields.invalid(path, "resource", text))
    if "/" in name:
        wrong.append(fields.invalid(path + ".datasetName", name, "must not contain '/'"))
    return wrong


def _quobyte(found: _Found, path: str, persistent: bool) -> list[FieldError]:
    registry = found.get("registry") or ""
    wrong: list[FieldError] = []
    if not registry:
        wrong.append(fields.required(path + ".registry", _PAIRS))
    elif len(found.get("tenant") or "") >= 65:
        text = "must be a UUID and may not exceed a length of 64 characters"
        wrong.append(fields.required(path + ".tenant", text))
    else:
        for pair in registry.split(","):
            host, colon, _ = pair.rpartition(":")
            if not colon or (":" in host and not (host.startswith("[") and host.endswith("]"))):
                wrong.append(fields.invalid(path + ".registry", registry, _PAIRS))
    return wrong + required(found, path, ("volume",))


def _fc(found: _Found, path: str, persistent: bool) -> list[FieldError]:
    names, wide, lun = found.get("targetWWNs") or [], found.get("wwids") or [], found.get("lun")
    wrong: list[FieldError] = []
    if not names and not wide:
        wrong.append(fields.required(path + ".targetWWNs", "must specify either targetWWNs or wwids, but not both"))
    if names and wide:
        text = "targetWWNs and wwids can not be specified simultaneously"
        wrong.append(fields.invalid(path + ".targetWWNs", names, text))
    if names and lun is None:
        wrong.append(fields.required(path + ".lun", "lun is required if targetWWNs is specified"))
    elif names and not 0 <= int(lun or 0) <= 255:
        wrong.append(fields.invalid(path + ".lun", lun, content.between(0, 255)))
    return wrong


def _flex(found: _Found, path: str, persistent: bool) -> list[FieldError]:
    wrong = required(found, path, ("driver",))
    for key in found.get("options") or {}:
        domain = "." + key.partition("/")[0].lower()
        if domain.endswith((".kubernetes.io", ".k8s.io")):
            text = "kubernetes.io and k8s.io namespaces are reserved"
            wrong.append(fields.invalid(f"{path}.options[{key}]", key, text))
    return wrong


def _azure_file(found: _Found, path: str, persistent: bool) -> list[FieldError]:
    wrong = required(found, path, ("secretName", "shareName"))
    if persistent and found.get("secretNamespace") == "":
        wrong.append(fields.required(path + ".secretNamespace"))
    return wrong


def _azure_disk(found: _Found, path: str, persistent: bool) -> list[FieldError]:
    wrong = required(found, path, ("diskName", "diskURI"))
    address, kind, caching = found.get("diskURI") or "", found.get("kind"), found.get("cachingMode")
    if caching is not None:
        wrong += fields.one_of(path + ".cachingMode", caching, ("None", "ReadOnly", "ReadWrite"))
    if kind is not None:
        wrong += fields.one_of(path + ".kind", kind, ("Dedicated", "Managed", "Shared"))
        start, form = (
            ("/subscriptions/", "/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/"
             "disks/{disk-id}")
            if kind == "Managed"
            else ("https://", "https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd")
        )  # fmt: skip
        if not address.startswith(start):
            wrong.append(fields.not_supported(path + ".diskURI", address, (form,)))
    return wrong


def _storage_os(found: _Found, path: str, persistent: bool) -> list[FieldError]:
    name, namespace = found.get("volumeName") or "", found.get("volumeNamespace") or ""
    wrong = required(found, path, ("volumeName",))
    if name:
        wrong += fields.all_invalid(path + ".volumeName", name, content.dns_label(name))
    if namespace:
        wrong += fields.all_invalid(path + ".volumeNamespace", namespace, content.dns_label(namespace))
    return wrong + secret_reference(found.get("secretRef"), path + ".secretRef", persistent)


def _iscsi(found: _Found, path: str, persistent: bool) -> list[FieldError]:
    name, lun = found.get("iqn") or "", found.get("lun") or 0
    wrong = required(found, path, ("targetPortal", "iqn"))
    if name:
        text = _FORMAT if persistent else _FORMAT_AND_START
        wrong += _initiator(name, path + ".iqn", text)
    if not 0 <= lun <= 255:
        wrong.append(fields.invalid(path + ".lun", lun, content.between(0, 255)))
    secret = found.get("secretRef")
    if (found.get("chapAuthDiscovery") or found.get("chapAuthSession")) and secret is None:
        wrong.append(fields.required(path + ".secretRef"))
    if persistent:
        wrong += secret_reference(secret, path + ".secretRef", False)
    if (initiator := found.get("initiatorName")) is not None:
        wrong += _initiator(initiator, path + ".initiatorname", _FORMAT if persistent else _FORMAT_AND_START)
    return wrong


def _initiator(name: str, path: str, text: str) -> list[FieldError]:
    check = _INITIATORS.get(name[:3])
    if check is None:
        return [fields.invalid(path, name, text)]
    return [] if check(name) else [fields.invalid(path, name, _FORMAT)]


CHECKS: dict[str, Check] = {
    "awsElasticBlockStore": _disk("volumeID"),
    "azureDisk": _azure_disk,
    "azureFile": _azure_file,
    "cephfs": _needs("monitors"),
    "cinder": _cinder,
    "fc": _fc,
    "flexVolume": _flex,
    "flocker": _flocker,
    "gcePersistentDisk": _disk("pdName"),
    "gitRepo": _git_repo,
    "glusterfs": _glusterfs,
    "iscsi": _iscsi,
    "nfs": _nfs,
    "photonPersistentDisk": _needs("pdID"),
    "portworxVolume": _needs("volumeID"),
    "quobyte": _quobyte,
    "rbd": _needs("monitors", "image"),
    "scaleIO": _needs("gateway", "system", "volumeName"),
    "storageos": _storage_os,
    "vsphereVolume": _needs("volumePath"),
}

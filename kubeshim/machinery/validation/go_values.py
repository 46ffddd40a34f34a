"""Whole values of the API inside a message, as upstream's JSON encoder prints its own, unversioned Go structs.

An unversioned struct has no JSON names: all its fields stand there, unset ones too, in their order and under their Go
names. Names, order and what a field is when it is not given follow from the facts about the wire (``descriptors``);
the tables here are what is told apart from them. Structs that all versions share (ObjectMeta, LabelSelector) have
JSON names everywhere.
"""

import functools
from collections.abc import Mapping
from typing import Any

from kubeshim.machinery.codecs import descriptors
from kubeshim.machinery.errors import FieldError
from kubeshim.machinery.validation import fields
from kubeshim.machinery.validation.fields import Struct

_CORE = "k8s.io.api.core.v1."
POD_TEMPLATE, POD_SPEC = _CORE + "PodTemplateSpec", _CORE + "PodSpec"
EPHEMERAL_CONTAINER = _CORE + "EphemeralContainer"
CLAIM_SPEC, VOLUME_SOURCE = _CORE + "PersistentVolumeClaimSpec", _CORE + "PersistentVolumeSource"

_SHARED = "k8s.io.apimachinery."
_WRITTEN = {
    _SHARED + "pkg.api.resource.Quantity": "0",
    _SHARED + "pkg.util.intstr.IntOrString": 0,
    _SHARED + "pkg.runtime.RawExtension": None,
    descriptors.META + ".Time": None,
    descriptors.META + ".MicroTime": None,
    descriptors.META + ".Duration": "0s",
}
"""What is written as one value, and its zero."""
_ZEROS = {"string": "", "bool": False, "bytes": None}

_HOST = ("hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace", "hostUsers")
_ORDER: dict[str, tuple[str, ...]] = {
    POD_SPEC: (
        "volumes", "initContainers", "containers", "ephemeralContainers", "restartPolicy",
        "terminationGracePeriodSeconds", "activeDeadlineSeconds", "dnsPolicy", "nodeSelector", "serviceAccountName",
        "automountServiceAccountToken", "nodeName", "securityContext", "imagePullSecrets", "hostname", "subdomain",
        "setHostnameAsFQDN", "affinity", "schedulerName", "tolerations", "hostAliases", "priorityClassName",
        "priority", "preemptionPolicy", "dnsConfig", "readinessGates", "runtimeClassName", "overhead",
        "enableServiceLinks", "topologySpreadConstraints", "os", "schedulingGates", "resourceClaims", "resources",
        "hostnameOverride", "schedulingGroup", "evictionResponders",
    ),
    _CORE + "PodSecurityContext": (
        *_HOST, "seLinuxOptions", "windowsOptions", "runAsUser", "runAsGroup", "runAsNonRoot", "supplementalGroups",
        "supplementalGroupsPolicy", "fsGroup", "fsGroupChangePolicy", "sysctls", "seccompProfile", "appArmorProfile",
        "seLinuxChangePolicy",
    ),
    _CORE + "VolumeSource": (
        "hostPath", "emptyDir", "gcePersistentDisk", "awsElasticBlockStore", "gitRepo", "secret", "nfs", "iscsi",
        "glusterfs", "persistentVolumeClaim", "rbd", "quobyte", "flexVolume", "cinder", "cephfs", "flocker",
        "downwardAPI", "fc", "azureFile", "configMap", "vsphereVolume", "azureDisk", "photonPersistentDisk",
        "projected", "portworxVolume", "scaleIO", "storageos", "csi", "ephemeral", "image",
    ),
    VOLUME_SOURCE: (
        "gcePersistentDisk", "awsElasticBlockStore", "hostPath", "glusterfs", "nfs", "rbd", "quobyte", "iscsi",
        "flexVolume", "cinder", "cephfs", "fc", "flocker", "azureFile", "vsphereVolume", "azureDisk",
        "photonPersistentDisk", "portworxVolume", "scaleIO", "local", "storageos", "csi",
    ),
}  # fmt: skip
"""Where the fields stand in another order than in the versioned struct."""

_NAMES = {
    "tty": "TTY", "csi": "CSI", "fc": "FC", "nfs": "NFS", "iscsi": "ISCSI", "rbd": "RBD", "cephfs": "CephFS",
    "awsElasticBlockStore": "AWSElasticBlockStore", "gcePersistentDisk": "GCEPersistentDisk", "httpGet": "HTTPGet",
    "tcpSocket": "TCPSocket", "grpc": "GRPC", "os": "OS", "dnsPolicy": "DNSPolicy", "dnsConfig": "DNSConfig",
    "seLinuxOptions": "SELinuxOptions", "seLinuxChangePolicy": "SELinuxChangePolicy", "fsGroup": "FSGroup",
    "fsGroupChangePolicy": "FSGroupChangePolicy", "fsType": "FSType", "uid": "UID", "ip": "IP",
    "httpHeaders": "HTTPHeaders", "pdName": "PDName", "pdID": "PdID", "storageos": "StorageOS", "iqn": "IQN",
    "iscsiInterface": "ISCSIInterface", "chapAuthDiscovery": "DiscoveryCHAPAuth",
    "chapAuthSession": "SessionCHAPAuth", "wwids": "WWIDs", "apiVersion": "APIVersion", "apiGroup": "APIGroup",
    "diskURI": "DataDiskURI", "cel": "CEL", "ips": "IPs", "pkixPublicKey": "PKIXPublicKey",
    "apiGroups": "APIGroups", "gmsaCredentialSpecName": "GMSACredentialSpecName",
    "gmsaCredentialSpec": "GMSACredentialSpec", "scaleIO": "ScaleIO", "sslEnabled": "SSLEnabled",
}  # fmt: skip
_RBD = {"monitors": "CephMonitors", "image": "RBDImage", "pool": "RBDPool", "user": "RadosUser"}
_OWN_NAMES = {
    _CORE + "RBDVolumeSource": _RBD,
    _CORE + "RBDPersistentVolumeSource": _RBD,
    _CORE + "GlusterfsVolumeSource": {"endpoints": "EndpointsName"},
    _CORE + "GlusterfsPersistentVolumeSource": {"endpoints": "EndpointsName"},
}


def internal(message: str, value: Mapping[str, Any]) -> Struct:
    """The unversioned struct that ``value`` is decoded into."""
    if message == POD_SPEC:
        moved = {name: value[name] for name in _HOST if name in value}
        value = {**value, "securityContext": {**(value.get("securityContext") or {}), **moved}}
    found = Struct()
    spelled = _OWN_NAMES.get(message, {})
    for name, field in _fields(message).items():
        if field is None:
            found[_spelled(name)] = value.get(name, None if name in _HOST[3:] else False)
        elif field.presence == "inline" or field.type == descriptors.META + ".ObjectMeta":
            inner = value if field.presence == "inline" else value.get(name) or {}
            found.update(_shown(field, inner))
        else:
            given = value.get(name)
            found[spelled.get(name) or _spelled(name)] = _zero(field) if given is None else _shown(field, given)
    return found


def immutable(field: str, message: str, new: Mapping[str, Any] | None, old: Any) -> list[FieldError]:
    """Complains where a struct changed, and shows the new one."""
    return [] if new == old else [fields.invalid(field, internal(message, new or {}), fields.IMMUTABLE)]


def written(message: str, value: Mapping[str, Any]) -> Struct:
    """A struct that has JSON names: what is given of it and what is always written, in the order of its fields."""
    found = Struct()
    for name, field in _fields(message).items():
        if field is not None and field.presence == "inline":
            found.update(written(field.type, value))
        elif field is not None and value.get(name) is not None:
            found[name] = _each(field, value[name], written)
        elif field is not None and field.presence == "always":
            found[name] = _zero(field)
    return found


@functools.cache
def _fields(message: str) -> Mapping[str, descriptors.Field | None]:
    """By JSON name, in the order of the struct; None for those that the versioned struct has elsewhere."""
    told = {field.name: field for field in descriptors.declared(message)}
    return {name: told.get(name) for name in _ORDER.get(message, tuple(told))}


def _spelled(name: str) -> str:
    return _NAMES.get(name) or name[:1].upper() + name[1:]


def _shown(field: descriptors.Field, value: Any) -> Any:
    return _each(field, value, written if field.type.rpartition(",")[2].startswith(_SHARED) else internal)


def _each(field: descriptors.Field, value: Any, shown: Any) -> Any:
    kind = field.type.rpartition(",")[2]
    plain = kind in descriptors.SCALARS or kind in _WRITTEN or not descriptors.declared(kind)
    if isinstance(value, dict) and field.label == "map":
        return Struct((key, value[key] if plain else shown(kind, value[key])) for key in sorted(value))
    if plain:
        return value
    return [shown(kind, one) for one in value] if isinstance(value, list) else shown(kind, value)


def _zero(field: descriptors.Field) -> Any:
    if field.label != "optional" or field.presence in ("pointer", "null"):
        return None
    if field.type in descriptors.SCALARS:
        return _ZEROS.get(field.type, 0)
    if field.type in _WRITTEN:
        return _WRITTEN[field.type]
    return _shown(field, {}) if field.presence == "struct" else None

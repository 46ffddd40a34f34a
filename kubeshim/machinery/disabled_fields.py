"""Fields of the served release that stand behind feature gates which are off by default: they are dropped. Pure.

As upstream does: what a client writes into such a field is gone, without a word, unless the stored object uses the
field already. ``[]`` in a path stands for every element, ``{}`` for every value of a map; an object marked ``?``
goes with its last field.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from kubeshim.machinery.objects import Object

_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
_HOOKS = ("lifecycle.postStart", "lifecycle.preStop")
_CONTAINERS = ("containers[]", "initContainers[]", "ephemeralContainers[]")
_KEYED = ("secret", "configMap", "downwardAPI")

_POD_SPEC: dict[str, tuple[str, ...]] = {
    "EmptyDirVolumeMode": ("volumes[].emptyDir.mode",),
    "AtomicWriteVolumeUserFields": (
        *(f"volumes[].{kind}.defaultUser" for kind in (*_KEYED, "projected")),
        *(f"volumes[].{kind}.items[].user" for kind in _KEYED),
        *(f"volumes[].projected.sources[].{kind}.items[].user" for kind in _KEYED),
        *(
            f"volumes[].projected.sources[].{kind}.user"
            for kind in ("serviceAccountToken", "clusterTrustBundle", "podCertificate")
        ),
    ),
    "VolumeBindMountOptions": tuple(f"{each}.volumeMounts[].bindMountOptions" for each in _CONTAINERS),
    "gRPC probes over TLS": tuple(f"{each}.{probe}.grpc.mode" for each in _CONTAINERS for probe in _PROBES),
    "HTTP/2 probes": tuple(
        f"{each}.{action}.httpGet.protocol" for each in _CONTAINERS for action in (*_PROBES, *_HOOKS)
    ),
    "ContainerStopSignals": tuple(f"{each}.lifecycle?.stopSignal" for each in _CONTAINERS),
    "EvictionRequest": ("evictionResponders",),
    "GenericWorkload": ("schedulingGroup",),
    "CrossNamespaceVolumeDataSource": ("volumes[].ephemeral.volumeClaimTemplate.spec.dataSourceRef.namespace",),
}
"""By feature, within a pod's spec."""
_TEMPLATE = "spec.template.spec"
_PODS: dict[str, str] = {
    "Pod": "spec",
    "PodTemplate": "template.spec",
    "ReplicationController": _TEMPLATE,
    "ReplicaSet": _TEMPLATE,
    "Deployment": _TEMPLATE,
    "StatefulSet": _TEMPLATE,
    "DaemonSet": _TEMPLATE,
    "Job": _TEMPLATE,
    "CronJob": "spec.jobTemplate.spec.template.spec",
}
"""Where kinds have a pod's spec."""
_REQUESTED = ("exactly", "firstAvailable[]")
_OTHERS: dict[str, dict[str, tuple[str, ...]]] = {
    "Job": {"WorkloadWithJob": ("spec.scheduling",)},
    "CronJob": {"WorkloadWithJob": ("spec.jobTemplate.spec.scheduling",)},
    "Lease": {"election strategy": ("spec.strategy",), "preferred holder": ("spec.preferredHolder",)},
    "Node": {"InPlacePodVerticalScalingSchedulerPreemption": ("spec.podPreemptionPolicy",)},
    "PersistentVolumeClaim": {"CrossNamespaceVolumeDataSource": ("spec.dataSourceRef.namespace",)},
    "StatefulSet": {
        "CrossNamespaceVolumeDataSource": ("spec.volumeClaimTemplates[].spec.dataSourceRef.namespace",),
    },
    "ResourceSlice": {
        "DRAListTypeAttributes": tuple(
            f"spec.devices[].attributes{{}}.{kind}" for kind in ("ints", "bools", "strings", "versions")
        ),
        "DRANodeAllocatableResources": ("spec.devices[].nodeAllocatableResources",),
        "DRADeviceCompatibilityGroups": ("spec.devices[].consumesCounters[].compatibilityGroups",),
        "DRAPartitionableDevicesType": ("spec.partitionTypeAttribute",),
        "DRAOptionalNodeOperations": ("spec.skipNodeOperations",),
    },
    "ResourceClaim": {
        "DRADerivedAttributes": tuple(f"spec.devices.requests[].{each}.derivedAttributes" for each in _REQUESTED),
    },
    "ResourceClaimTemplate": {
        "DRADerivedAttributes": tuple(f"spec.spec.devices.requests[].{each}.derivedAttributes" for each in _REQUESTED),
    },
}


_GROUPS = {
    **dict.fromkeys(("ReplicaSet", "Deployment", "StatefulSet", "DaemonSet"), "apps"),
    **dict.fromkeys(("Job", "CronJob"), "batch"),
    "Lease": "coordination.k8s.io",
    **dict.fromkeys(("ResourceSlice", "ResourceClaim", "ResourceClaimTemplate"), "resource.k8s.io"),
}
"""Of kinds that are not in the core group: others may have kinds of the same names."""


def _compiled() -> dict[str, list[list[tuple[str, ...]]]]:
    found: dict[str, list[list[tuple[str, ...]]]] = {}
    for kind, where in _PODS.items():
        found[kind] = [[_path(f"{where}.{path}") for path in paths] for paths in _POD_SPEC.values()]
    for kind, features in _OTHERS.items():
        found.setdefault(kind, []).extend([_path(path) for path in paths] for paths in features.values())
    return found


def _path(text: str) -> tuple[str, ...]:
    return tuple(text.replace("[]", ".[]").replace("{}", ".{}").split("."))


def drop(group: str, kind: str, obj: Object, old: Object | None = None) -> None:
    """Takes the fields out of ``obj``, which is changed in place."""
    for paths in _FEATURES.get(kind, ()) if group == _GROUPS.get(kind, "") else ():
        holders = [(holder, path[-1]) for path in paths for holder in _holders(obj, path)]
        if holders and not (old is not None and _in_use(old, paths)):
            for holder, field in holders:
                del holder[field]
            for path in paths:
                _sweep(obj, path)


def _sweep(obj: Object, path: tuple[str, ...]) -> None:
    """Takes out what a path marks and dropping has emptied."""
    if path[-2:-1] and path[-2].endswith("?"):
        name = path[-2].removesuffix("?")
        for holder in list(_holders(obj, (*path[:-2], name))):
            if not holder[name]:
                del holder[name]


def _in_use(obj: Mapping[str, Any], paths: Iterable[tuple[str, ...]]) -> bool:
    return any(holder[path[-1]] is not None for path in paths for holder in _holders(obj, path))


def _holders(value: Any, path: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    """The objects that have the path's last field."""
    name, rest = path[0].removesuffix("?"), path[1:]
    if name == "[]":
        for element in value if isinstance(value, list) else ():
            yield from _holders(element, rest)
    elif name == "{}":
        for element in value.values() if isinstance(value, dict) else ():
            yield from _holders(element, rest)
    elif isinstance(value, dict) and name in value:
        if rest:
            yield from _holders(value[name], rest)
        else:
            yield value


_FEATURES = _compiled()

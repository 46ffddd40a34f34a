"""What is to be done for a claim: whose it is, why it cannot be, and the volume it gets. Pure."""

import hashlib
from collections.abc import Mapping

from kubeshim.machinery import objects, quantity
from kubeshim.machinery.objects import Object

PROVISIONER = "kubeshim.example/local-path"
ASKED_OF = ("volume.kubernetes.io/storage-provisioner", "volume.beta.kubernetes.io/storage-provisioner")
SELECTED_NODE = "volume.kubernetes.io/selected-node"
PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"
FINALIZER = "external-provisioner.volume.kubernetes.io/finalizer"
HOSTNAME = "kubernetes.io/hostname"
MODES = ("ReadWriteOnce", "ReadWriteOncePod")


def awaits_us(claim: Object, storage_class: Object | None) -> bool:
    """Whether the claim was handed to us and has no volume yet."""
    if storage_class is None or storage_class.get("provisioner") != PROVISIONER:
        return False
    asked = any(objects.annotations(claim).get(name) == PROVISIONER for name in ASKED_OF)
    if not asked or claim["spec"].get("volumeName") or objects.is_deleting(claim):
        return False
    return bool(selected_node(claim)) or storage_class.get("volumeBindingMode") != "WaitForFirstConsumer"


def selected_node(claim: Object) -> str:
    return objects.annotations(claim).get(SELECTED_NODE, "")


def admits(node: Object, storage_class: Object) -> bool:
    """Whether an unplaced claim may get its volume here: where pods could reach it."""
    if objects.dig(node, "spec", "unschedulable"):
        return False
    taints = objects.dig(node, "spec", "taints") or ()
    if any(taint.get("effect") in ("NoSchedule", "NoExecute") for taint in taints):
        return False
    labels, allowed = objects.labels(node), storage_class.get("allowedTopologies")
    return not allowed or any(
        all(labels.get(one["key"]) in one["values"] for one in term.get("matchLabelExpressions") or ())
        for term in allowed
    )


def hesitation(claim: Object, node: str) -> float:
    """Seconds to wait before taking an unplaced claim: it spreads them over the nodes, the first one has it."""
    return hashlib.sha256(f"{objects.uid(claim)} {node}".encode()).digest()[0] / 256 * 0.2


def refusal(claim: Object, storage_class: Object) -> str:
    """Why no volume can be made for the claim; empty where one can."""
    spec = claim["spec"]
    modes = [mode for mode in spec.get("accessModes") or () if mode not in MODES]
    source = spec.get("dataSourceRef") or spec.get("dataSource")
    parameters, options = storage_class.get("parameters") or {}, storage_class.get("mountOptions") or ()
    if modes:
        return f"access mode {', '.join(modes)} is not supported: a directory of one node is {' or '.join(MODES)}"
    if spec.get("volumeMode") == "Block":
        return "block volumes are not supported: a volume is a directory"
    if spec.get("selector"):
        return "claim.spec.selector is not supported: a volume made for the claim has no labels to select"
    if source:
        return f"a volume cannot be filled from {source.get('kind')} {source.get('name')}"
    if spec.get("volumeAttributesClassName"):
        return "VolumeAttributesClass is not supported"
    if parameters:
        return f"no such parameter of the StorageClass: {', '.join(sorted(parameters))}; there are none"
    if options:
        return f"mount options are not supported: {', '.join(options)}"
    return ""


def volume_name(claim: Object) -> str:
    return f"pvc-{objects.uid(claim)}"


def directory_name(claim: Object) -> str:
    return f"{volume_name(claim)}_{objects.namespace(claim)}_{objects.name(claim)}"


def volume(claim: Object, storage_class: Object, hostname: str, path: str) -> Object:
    """The PersistentVolume, already promised to the claim."""
    policy = storage_class.get("reclaimPolicy") or "Delete"
    metadata: dict[str, object] = {"name": volume_name(claim), "annotations": {PROVISIONED_BY: PROVISIONER}}
    if policy == "Delete":
        metadata["finalizers"] = [FINALIZER]
    here = {"matchExpressions": [{"key": HOSTNAME, "operator": "In", "values": [hostname]}]}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": metadata,
        "spec": {
            "capacity": {"storage": requested(claim)},
            "accessModes": claim["spec"].get("accessModes") or [],
            "volumeMode": "Filesystem",
            "persistentVolumeReclaimPolicy": policy,
            "storageClassName": objects.name(storage_class),
            "claimRef": {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "namespace": objects.namespace(claim),
                "name": objects.name(claim),
                "uid": objects.uid(claim),
            },
            "local": {"path": path},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [here]}},
        },
    }


def requested(claim: Object) -> str:
    return str(objects.dig(claim, "spec", "resources", "requests", "storage", default="0"))


# -- volumes that we made ------------------------------------------------------------------------------------------


def is_ours(found: Object) -> bool:
    return objects.annotations(found).get(PROVISIONED_BY) == PROVISIONER


def hostname_of(found: Object) -> str:
    """Of the node that has a volume of ours."""
    terms = objects.dig(found, "spec", "nodeAffinity", "required", "nodeSelectorTerms") or ()
    for term in terms:
        for one in term.get("matchExpressions") or ():
            if one.get("key") == HOSTNAME and len(one.get("values") or ()) == 1:
                return str(one["values"][0])
    return ""


def to_be_removed(found: Object) -> bool:
    """Whether nobody has a claim to it any more and it is not to be kept."""
    spec, phase = found["spec"], objects.dig(found, "status", "phase")
    if spec.get("persistentVolumeReclaimPolicy") != "Delete":
        return False
    return phase in ("Released", "Failed") or (objects.is_deleting(found) and phase != "Bound")


def finalizers(found: Object, *, wanted: bool) -> list[str]:
    """The volume's finalizers with or without ours."""
    others = [name for name in found["metadata"].get("finalizers") or () if name != FINALIZER]
    return [*others, FINALIZER] if wanted else others


# -- growth --------------------------------------------------------------------------------------------------------


def grows(claim: Object) -> bool:
    """Whether a bound claim asks for more than it has."""
    status = claim.get("status") or {}
    if status.get("phase") != "Bound" or objects.is_deleting(claim):
        return False
    return quantity.parse(requested(claim)) > quantity.parse(objects.dig(status, "capacity", "storage", default="0"))


def growing(claim: Object, now: str) -> Object:
    """The claim's status while its volume is made larger."""
    condition = {"type": "Resizing", "status": "True", "lastTransitionTime": now, "lastProbeTime": None}
    status = dict(claim.get("status") or {})
    present = objects.condition(claim, "Resizing")
    others = [one for one in status.get("conditions") or () if one.get("type") != "Resizing"]
    return {
        **status,
        "conditions": [*others, present if present and present.get("status") == "True" else condition],
        "allocatedResources": {**(status.get("allocatedResources") or {}), "storage": requested(claim)},
        "allocatedResourceStatuses": {
            **(status.get("allocatedResourceStatuses") or {}),
            "storage": "ControllerResizeInProgress",
        },
    }


def grown(status: Mapping[str, object], size: str) -> Object:
    """The status ``growing`` gave, once the volume has that size."""
    found = {**status, "capacity": {**_map(status, "capacity"), "storage": size}}
    left = {key: value for key, value in _map(status, "allocatedResourceStatuses").items() if key != "storage"}
    conditions = [one for one in found.get("conditions") or () if one.get("type") not in _OF_GROWTH]  # type: ignore[attr-defined]
    for key, value in (("allocatedResourceStatuses", left), ("conditions", conditions)):
        if value:
            found[key] = value
        else:
            found.pop(key, None)
    return found


def _map(status: Mapping[str, object], key: str) -> dict[str, object]:
    value = status.get(key)
    return dict(value) if isinstance(value, Mapping) else {}


_OF_GROWTH = ("Resizing", "FileSystemResizePending", "ControllerResizeError", "NodeResizeError")

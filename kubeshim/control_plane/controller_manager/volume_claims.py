"""Why a claim and a volume do not come together, and what is said of it. Pure."""

from collections.abc import Iterable, Mapping, Sequence

from kubeshim.control_plane.controller_manager import pods
from kubeshim.machinery import objects, quantity, volumes
from kubeshim.machinery.objects import Object

PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"
BUILT_IN = "kubernetes.io/"
UNUSED = "Unused"
_USED = "False", "PodUsingPVC", "A pod is currently referencing this PVC"
_UNUSED = "True", "NoPodsUsingPVC", "No pods are currently referencing this PVC"


def mismatch(volume: Object, claim: Object) -> str:
    """Why the claim cannot have the volume it names; empty where it can."""
    offered, wanted = volume["spec"], claim["spec"]
    asked = objects.dig(wanted, "resources", "requests", "storage", default="0")
    if volumes.capacity(volume) < quantity.parse(asked):
        return "requested PV is too small"
    for field in ("storageClassName", "volumeAttributesClassName"):
        if (offered.get(field) or "") != (wanted.get(field) or ""):
            return f"{field} does not match"
    if (offered.get("volumeMode") or "Filesystem") != (wanted.get("volumeMode") or "Filesystem"):
        return "incompatible volumeMode"
    if not set(wanted.get("accessModes") or ()) <= set(offered.get("accessModes") or ()):
        return "incompatible accessMode"
    return ""


def waiting_for(claim: Object, there: Iterable[Object]) -> tuple[str, str]:
    """Reason and message of an event about a claim that waits until a pod that uses it is placed."""
    unplaced = [
        objects.name(pod)
        for pod in there
        if not pods.is_finished(pod)
        and not pod["spec"].get("nodeName")
        and objects.name(claim) in volumes.claims_of(pod)
    ]
    if not unplaced:
        return "WaitForFirstConsumer", "waiting for first consumer to be created before binding"
    many = "s" if len(unplaced) > 1 else ""
    return "WaitForPodScheduled", f"waiting for pod{many} {','.join(unplaced)} to be scheduled"


def no_provisioner(storage_class: Object) -> str:
    """Why nobody will make volumes of the class; empty where somebody may.

    Provisioners with the prefix of those that are built in are not looked for elsewhere, and none is built in.
    """
    provisioner = str(storage_class.get("provisioner") or "")
    return f"no volume plugin matched name: {provisioner}" if provisioner.startswith(BUILT_IN) else ""


def cannot_delete(volume: Object) -> str:
    """Why a released volume, that is to be deleted, cannot be; empty where its provisioner sees to it."""
    if objects.annotations(volume).get(PROVISIONED_BY):
        return ""
    path = objects.dig(volume, "spec", "hostPath", "path")
    if path is not None and not str(path).startswith("/tmp/"):
        return f"host_path deleter only supports /tmp/.+ but received provided {path}"
    name = objects.name(volume)
    return f'error getting deleter volume plugin for volume "{name}": no deletable volume plugin matched'


def bound_status(claim: Object, volume: Object) -> Object:
    """The status of a claim that has the volume."""
    before: Mapping[str, object] = claim.get("status") or {}
    held: Object = {
        "phase": "Bound",
        "accessModes": volume["spec"].get("accessModes") or [],
        "capacity": before.get("capacity") or volume["spec"].get("capacity") or {},
    }
    attributes = volume["spec"].get("volumeAttributesClassName")
    if attributes and not before.get("currentVolumeAttributesClassName"):
        held["currentVolumeAttributesClassName"] = attributes
    return {**before, **held}


def wants_default(claim: Object) -> bool:
    """Whether the claim names no class at all, so that it takes the default one when there is one."""
    old_name = "volume.beta.kubernetes.io/storage-class"
    return claim["spec"].get("storageClassName") is None and old_name not in objects.annotations(claim)


def users(claim: Object, there: Sequence[Object]) -> list[Object]:
    """The pods that keep a claim from being deleted, which are those that have a node.

    An ended pod keeps the claims it names until it is deleted; of those made for it, only until it is shut down.
    """
    return [pod for pod in there if pod["spec"].get("nodeName") and _uses(pod, claim)]


def is_in_use(claim: Object, there: Iterable[Object]) -> bool:
    """Whether a pod that has not ended names the claim, placed or not: what its condition ``Unused`` tells."""
    return any(_uses(pod, claim) and not pods.is_terminated(pod) for pod in there)


def unused(in_use: bool, now: str) -> Object:
    """The condition that says so."""
    status, reason, text = _USED if in_use else _UNUSED
    return {"type": UNUSED, "status": status, "lastTransitionTime": now, "reason": reason, "message": text}


def _uses(pod: Object, claim: Object) -> bool:
    name = objects.name(claim)
    if name in volumes.named_claims(pod):
        return True
    shut_down = objects.is_deleting(pod) and pod["metadata"].get("deletionGracePeriodSeconds") == 0
    owned = (objects.controller_of(claim) or {}).get("uid") == objects.uid(pod)
    return not shut_down and owned and name in volumes.claims_of(pod)

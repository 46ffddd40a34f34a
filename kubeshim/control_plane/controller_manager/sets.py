"""StatefulSets: which pods there should be, in which order they come and go. Pure.

Pods are numbered; ``web-0`` exists and is ready before ``web-1`` is made, and goes after it (unless the policy is
Parallel). Every pod of an ordinal below the partition keeps the old template during an update.
"""

import copy
import datetime
import re
from collections.abc import Sequence

from kubeshim.control_plane.controller_manager import history, pods, rollout
from kubeshim.machinery import objects
from kubeshim.machinery.objects import Object

NAME_LABEL = "statefulset.kubernetes.io/pod-name"
INDEX_LABEL = "apps.kubernetes.io/pod-index"
_ORDINAL = re.compile(r"(.*)-([0-9]+)$")


def ordinal(pod: Object) -> int:
    match = _ORDINAL.match(objects.name(pod))
    return int(match[2]) if match else -1


def is_member(stateful_set: Object, pod: Object) -> bool:
    match = _ORDINAL.match(objects.name(pod))
    return match is not None and match[1] == objects.name(stateful_set)


def first(stateful_set: Object) -> int:
    return int(objects.dig(stateful_set, "spec", "ordinals", "start", default=0))


def wanted(stateful_set: Object) -> range:
    """The ordinals that should exist."""
    start = first(stateful_set)
    return range(start, start + rollout.replicas(stateful_set))


def is_parallel(stateful_set: Object) -> bool:
    return bool(stateful_set["spec"].get("podManagementPolicy") == "Parallel")


def is_rolling(stateful_set: Object) -> bool:
    return str(objects.dig(stateful_set, "spec", "updateStrategy", "type", default="RollingUpdate")) == "RollingUpdate"


def partition(stateful_set: Object) -> int:
    return int(objects.dig(stateful_set, "spec", "updateStrategy", "rollingUpdate", "partition", default=0))


def max_unavailable(stateful_set: Object) -> int:
    value = objects.dig(stateful_set, "spec", "updateStrategy", "rollingUpdate", "maxUnavailable")
    return max(1, rollout.scaled(value, rollout.replicas(stateful_set), up=False)) if value is not None else 1


def claim_name(stateful_set: Object, template: Object, number: int) -> str:
    return f"{objects.name(template)}-{objects.name(stateful_set)}-{number}"


def claims(stateful_set: Object, number: int) -> list[Object]:
    """The claims of a pod."""
    made = []
    for template in stateful_set["spec"].get("volumeClaimTemplates") or ():
        labels = {
            **objects.labels(template),
            **objects.dig(stateful_set, "spec", "selector", "matchLabels", default={}),
        }
        metadata = {
            "name": claim_name(stateful_set, template, number),
            "namespace": objects.namespace(stateful_set),
            "labels": labels,
        }
        if objects.annotations(template):
            metadata["annotations"] = dict(objects.annotations(template))
        made.append(
            {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "metadata": metadata,
                "spec": copy.deepcopy(template["spec"]),
            }
        )
    return made


def claim_owners(stateful_set: Object, pod: Object | None, claim: Object, number: int) -> list[Object]:
    """The owners a claim shall have by ``persistentVolumeClaimRetentionPolicy``.

    Owned by the set it is deleted with the set; owned by its pod, once that is surplus, with the pod; owned by
    neither it is kept. Other owners stay; where one of them controls the claim, or where it belonged to a set or pod of
    the same name that is no more, it gets none of ours.
    """
    policy = stateful_set["spec"].get("persistentVolumeClaimRetentionPolicy") or {}
    surplus = number not in wanted(stateful_set)
    ours = {
        ("StatefulSet", objects.name(stateful_set)): objects.uid(stateful_set),
        ("Pod", f"{objects.name(stateful_set)}-{number}"): objects.uid(pod) if pod is not None else "",
    }
    present = claim["metadata"].get("ownerReferences") or []
    kept = [one for one in present if (one["kind"], one["name"]) not in ours]
    stale = any(one["uid"] != ours.get((one["kind"], one["name"]), one["uid"]) for one in present)
    if stale or any(one.get("controller") for one in kept):
        return kept
    if surplus and policy.get("whenScaled") == "Delete":
        return [*kept, objects.owner_reference(pod)] if pod is not None else present
    if policy.get("whenDeleted") == "Delete":
        return [*kept, objects.owner_reference(stateful_set)]
    return kept


def is_stale(stateful_set: Object, claim: Object, number: int) -> bool:
    """Whether the claim is about to be deleted with a pod that is gone, so that the next must not have it."""
    policy = stateful_set["spec"].get("persistentVolumeClaimRetentionPolicy") or {}
    name = f"{objects.name(stateful_set)}-{number}"
    owners = claim["metadata"].get("ownerReferences") or ()
    return policy.get("whenScaled") == "Delete" and any((one["kind"], one["name"]) == ("Pod", name) for one in owners)


def build(stateful_set: Object, number: int, revision: Object) -> Object:
    """The pod of that number, of the template that ``revision`` keeps."""
    template = copy.deepcopy(objects.dig(revision, "data", "spec", "template"))
    template.pop("$patch", None)
    name = f"{objects.name(stateful_set)}-{number}"
    made = pods.from_template(template, stateful_set, name=name)
    made["metadata"]["labels"] |= {
        NAME_LABEL: name,
        INDEX_LABEL: str(number),
        history.HASH_LABEL: objects.name(revision),
    }
    spec = made["spec"]
    spec["hostname"] = name
    spec["subdomain"] = stateful_set["spec"].get("serviceName") or ""
    templates = {objects.name(one): one for one in stateful_set["spec"].get("volumeClaimTemplates") or ()}
    volumes = [one for one in spec.get("volumes") or () if one["name"] not in templates]
    for volume, one in templates.items():
        claim = {"claimName": claim_name(stateful_set, one, number)}
        volumes.append({"name": volume, "persistentVolumeClaim": claim})
    if volumes:
        spec["volumes"] = volumes
    return made


def missing_labels(pod: Object) -> dict[str, str]:
    """Labels that say which of its set's pods it is, as far as the pod lacks them."""
    wanted = {NAME_LABEL: objects.name(pod), INDEX_LABEL: str(ordinal(pod))}
    return {key: value for key, value in wanted.items() if objects.labels(pod).get(key) != value}


def revision_of(pod: Object) -> str:
    return objects.labels(pod).get(history.HASH_LABEL, "")


def template_for(stateful_set: Object, number: int, current: Object, update: Object) -> Object:
    """The revision a new pod of that number gets: below the partition of a rolling update the current one."""
    if is_rolling(stateful_set) and number < first(stateful_set) + partition(stateful_set):
        return current
    return update


def status(
    stateful_set: Object,
    mine: Sequence[Object],
    current: Object,
    update: Object,
    collisions: int,
    now: datetime.datetime,
) -> Object:
    minimum = int(stateful_set["spec"].get("minReadySeconds") or 0)
    alive = [pod for pod in mine if pods.phase(pod)]
    counted = [pod for pod in alive if not objects.is_deleting(pod)]
    result: Object = {
        "replicas": len(alive),
        "readyReplicas": sum(pods.is_ready(pod) for pod in alive if pods.phase(pod) == "Running"),
        "availableReplicas": sum(pods.is_available(pod, minimum, now) for pod in alive if pods.phase(pod) == "Running"),
        "currentReplicas": sum(revision_of(pod) == objects.name(current) for pod in counted),
        "updatedReplicas": sum(revision_of(pod) == objects.name(update) for pod in counted),
        "observedGeneration": int(stateful_set["metadata"].get("generation") or 0),
        "currentRevision": objects.name(current),
        "updateRevision": objects.name(update),
        "collisionCount": collisions,
    }
    complete = (
        is_rolling(stateful_set)
        and result["updatedReplicas"] == result["replicas"] == result["readyReplicas"]
        and result["replicas"] == rollout.replicas(stateful_set)
    )
    if complete:
        result["currentReplicas"] = result["updatedReplicas"]
        result["currentRevision"] = objects.name(update)
    for field in ("readyReplicas", "currentReplicas", "updatedReplicas"):
        if not result[field]:
            del result[field]
    if objects.dig(stateful_set, "status", "conditions"):
        result["conditions"] = stateful_set["status"]["conditions"]
    return result

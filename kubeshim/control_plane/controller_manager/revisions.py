"""Deployments and their ReplicaSets: templates, hashes, revisions and the annotations that tell of them.

Pure. ``pod-template-hash`` is the SHA-256 of the template's canonical JSON (with the collision count behind it),
as ten letters of upstream's safe alphabet: stable over restarts and versions, and no words.
"""

import copy
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from kubeshim.machinery import objects
from kubeshim.machinery.objects import Object

HASH_LABEL = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"
REVISION_HISTORY = "deployment.kubernetes.io/revision-history"
DESIRED = "deployment.kubernetes.io/desired-replicas"
MAXIMUM = "deployment.kubernetes.io/max-replicas"
NOT_COPIED = frozenset(
    {
        "kubectl.kubernetes.io/last-applied-configuration",
        REVISION,
        REVISION_HISTORY,
        DESIRED,
        MAXIMUM,
        "deprecated.deployment.rollback.to",
    }
)
_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"


def template_hash(template: Mapping[str, Any], collisions: int | None = None) -> str:
    digest = hashlib.sha256(orjson.dumps(normal(template), option=orjson.OPT_SORT_KEYS))
    if collisions is not None:
        digest.update(collisions.to_bytes(8, "little"))
    number = int.from_bytes(digest.digest()[:8])
    letters = []
    for _ in range(10):
        number, index = divmod(number, len(_ALPHABET))
        letters.append(_ALPHABET[index])
    return "".join(letters)


def normal(value: Any) -> Any:
    """``value`` without nulls and empty maps and lists, which mean the same as nothing in a template."""
    if isinstance(value, Mapping):
        kept = {key: normal(item) for key, item in value.items()}
        # An emptyDir: {} says something by being there, so only typeless leftovers are dropped.
        return {key: item for key, item in kept.items() if item is not None and not (item == {} and key in _VOID)}
    if isinstance(value, list):
        return [normal(item) for item in value]
    return value


_VOID = frozenset({"labels", "annotations", "metadata", "resources", "securityContext", "nodeSelector", "limits"})


def equal_templates(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether they are the same but for the hash label."""
    return bool(normal(without_hash(one)) == normal(without_hash(other)))


def without_hash(template: Mapping[str, Any]) -> Object:
    labels = {key: value for key, value in objects.labels(template).items() if key != HASH_LABEL}
    return {**template, "metadata": {**(template.get("metadata") or {}), "labels": labels}}


def created(obj: Object) -> tuple[str, str]:
    """Sorts objects by age, then name."""
    return str(objects.dig(obj, "metadata", "creationTimestamp", default="")), objects.name(obj)


def new_replica_set(deployment: Object, owned: Sequence[Object]) -> Object | None:
    """The oldest ReplicaSet with the deployment's template."""
    template = deployment["spec"]["template"]
    return next((rs for rs in sorted(owned, key=created) if equal_templates(rs["spec"]["template"], template)), None)


def revision(obj: Object) -> int:
    text = objects.annotations(obj).get(REVISION, "0")
    return int(text) if text.isdigit() else 0


def build(deployment: Object, hash_text: str, replicas: int, annotations: Mapping[str, str]) -> Object:
    """A new ReplicaSet for the deployment's present template."""
    spec = deployment["spec"]
    template = copy.deepcopy(spec["template"])
    labels = template.setdefault("metadata", {}).setdefault("labels", {})
    labels[HASH_LABEL] = hash_text
    selector = copy.deepcopy(spec["selector"])
    selector["matchLabels"] = {**(selector.get("matchLabels") or {}), HASH_LABEL: hash_text}
    made: Object = {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": f"{objects.name(deployment)}-{hash_text}",
            "namespace": objects.namespace(deployment),
            "labels": dict(labels),
            "annotations": dict(annotations),
            "ownerReferences": [objects.owner_reference(deployment)],
        },
        "spec": {"replicas": replicas, "selector": selector, "template": template},
    }
    if spec.get("minReadySeconds"):
        made["spec"]["minReadySeconds"] = spec["minReadySeconds"]
    return made


def annotations_of_new(deployment: Object, present: Mapping[str, str], new_revision: int) -> dict[str, str]:
    """The new ReplicaSet's annotations: the deployment's, and its revision with those it had before."""
    result = dict(present)
    for key, value in objects.annotations(deployment).items():
        if key not in NOT_COPIED:
            result[key] = value
    old = result.get(REVISION)
    if old is not None and not old.isdigit():
        return result
    if int(old or 0) < new_revision:
        result[REVISION] = str(new_revision)
        if old is not None:
            history = result.get(REVISION_HISTORY, "")
            result[REVISION_HISTORY] = f"{history},{old}" if history else old
    return result


def with_sizes(annotations: Mapping[str, str], desired: int, maximum: int) -> dict[str, str]:
    """Annotations that remember what the deployment wanted when it last scaled this set."""
    return {**annotations, DESIRED: str(desired), MAXIMUM: str(maximum)}


def desired_of(replica_set: Object) -> int | None:
    return _number(objects.annotations(replica_set).get(DESIRED))


def maximum_of(replica_set: Object) -> int | None:
    return _number(objects.annotations(replica_set).get(MAXIMUM))


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.lstrip("-").isdigit() else None

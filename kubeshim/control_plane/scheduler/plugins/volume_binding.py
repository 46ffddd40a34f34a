"""Claims of a pod: bound ones must be reachable from the node, waiting ones are bound when the node is chosen.

A claim whose class binds immediately must be bound before its pod is placed at all. A claim whose class waits
for its first consumer takes a free volume that fits and can be reached from the node, or is handed, with the node's
name, to the class's provisioner. Binding the pod then waits until its claims are bound.
"""

import dataclasses
import logging
import threading
from collections.abc import Sequence

from kubeshim.client import kinds
from kubeshim.control_plane.scheduler import event_handlers, framework, node_info, pod_info
from kubeshim.machinery import objects, volumes
from kubeshim.machinery.objects import Object

_log = logging.getLogger(__name__)

IMMEDIATE = "pod has unbound immediate PersistentVolumeClaims"
CONFLICT = "node(s) didn't match PersistentVolume's node affinity"
NONE_TO_BIND = "node(s) didn't find available persistent volumes to bind"
NO_PROVISIONER = "kubernetes.io/no-provisioner"
SELECTED_NODE = "volume.kubernetes.io/selected-node"
BIND_COMPLETED = "pv.kubernetes.io/bind-completed"
BOUND_BY_CONTROLLER = "pv.kubernetes.io/bound-by-controller"
TIMEOUT = 600.0


@dataclasses.dataclass(slots=True)
class _Claims:
    bound: list[Object]
    """Volumes of bound claims."""
    waiting: list[Object]
    """Claims that wait for their first consumer."""
    plans: dict[str, "_Plan"] = dataclasses.field(default_factory=dict)
    """By node."""


@dataclasses.dataclass(frozen=True, slots=True)
class _Plan:
    bind: tuple[tuple[Object, Object], ...]
    """Claim and volume."""
    provision: tuple[Object, ...]


class VolumeBinding(framework.Plugin):
    name = "VolumeBinding"
    events = frozenset(
        {
            "PersistentVolumeClaim/Add", "PersistentVolumeClaim/Update", "PersistentVolume/Add",
            "PersistentVolume/Update", "StorageClass/Add", "StorageClass/Update", "Node/Add", "Node/Label",
            "AssignedPod/Delete",
        }
    )  # fmt: skip

    def __init__(self, handle: framework.Handle) -> None:
        super().__init__(handle)
        self._claims = handle.informer(kinds.PERSISTENT_VOLUME_CLAIMS)
        self._volumes = handle.informer(kinds.PERSISTENT_VOLUMES)
        self._classes = handle.informer(kinds.STORAGE_CLASSES)
        self._assumed: dict[str, str] = {}
        """Volume name → uid of the claim it was promised to."""
        self._changed = threading.Condition()
        self._pods = handle.informer(kinds.PODS, field_selector=event_handlers.PODS_THAT_COUNT)
        self._claims.add_handler(updated=lambda _old, _new: self._wake(), deleted=lambda _: self._wake())
        self._pods.add_handler(deleted=lambda _: self._wake())

    def hint(self, pod: pod_info.PodInfo, event: framework.Event) -> bool:
        """A pod that is gone, or could not be bound, may have had a volume promised."""
        return event.kind != "AssignedPod/Delete" or bool(event.old and volumes.claims_of(event.old))

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def pre_filter(
        self, state: framework.CycleState, pod: pod_info.PodInfo, nodes: framework.Nodes
    ) -> framework.Status | framework.PreFilterResult | None:
        claims = _Claims([], [])
        for name, ephemeral in _claim_names(pod):
            claim = self._claims.get(f"{pod.namespace}/{name}")
            if claim is None:
                why = f'waiting for ephemeral volume controller to create the persistentvolumeclaim "{name}"'
                return framework.unresolvable(why if ephemeral else f'persistentvolumeclaim "{name}" not found')
            if objects.is_deleting(claim):
                return framework.unresolvable(f'persistentvolumeclaim "{name}" is being deleted')
            if ephemeral and (objects.controller_of(claim) or {}).get("uid") != objects.uid(pod.pod):
                # of an earlier pod of that name, about to be collected
                where = f"{pod.namespace}/{objects.name(pod.pod)}"
                text = f"PVC {objects.key(claim)} was not created for pod {where} (pod is not owner)"
                return framework.unresolvable(text)
            if objects.dig(claim, "status", "phase") == "Lost":
                text = f'persistentvolumeclaim "{name}" bound to non-existent persistentvolume '
                return framework.unresolvable(f'{text}"{claim["spec"].get("volumeName")}"')
            if claim["spec"].get("volumeName") and BIND_COMPLETED in objects.annotations(claim):
                volume = self._volumes.get(claim["spec"]["volumeName"])
                if volume is None:
                    return framework.unresolvable(f'persistentvolume "{claim["spec"]["volumeName"]}" not found')
                claims.bound.append(volume)
            elif self._waits(claim) and not claim["spec"].get("volumeName"):
                claims.waiting.append(claim)
            else:
                return framework.unresolvable(IMMEDIATE)
        state[self.name] = claims
        return None

    def _waits(self, claim: Object) -> bool:
        found = self._classes.get(str(claim["spec"].get("storageClassName") or ""))
        return found is not None and found.get("volumeBindingMode") == "WaitForFirstConsumer"

    def filter(
        self, state: framework.CycleState, pod: pod_info.PodInfo, node: node_info.NodeInfo
    ) -> framework.Status | None:
        claims: _Claims = state[self.name]
        if node.node is None:
            return None
        reasons = [CONFLICT] if any(not volumes.reaches(volume, node.node) for volume in claims.bound) else []
        if claims.waiting:
            plan = self._plan(claims.waiting, node.node)
            if plan is None:
                reasons.append(NONE_TO_BIND)
            else:
                claims.plans[node.name] = plan
        return framework.unresolvable(*reasons) if reasons else None

    def _plan(self, waiting: Sequence[Object], node: Object) -> _Plan | None:
        bind: list[tuple[Object, Object]] = []
        provision: list[Object] = []
        for claim in waiting:
            taken = {objects.name(volume) for _, volume in bind}
            chosen = objects.annotations(claim).get(SELECTED_NODE)
            if chosen and chosen != objects.name(node):
                return None  # a volume is being made elsewhere
            volume = None if chosen else self._match(claim, node, taken)
            if volume is not None:
                bind.append((claim, volume))
            elif self._can_provision(claim, node):
                provision.append(claim)
            else:
                return None
        return _Plan(tuple(bind), tuple(provision))

    def _match(self, claim: Object, node: Object, taken: set[str]) -> Object | None:
        """The smallest free volume that fits the claim and can be reached from the node."""
        fitting = [
            volume
            for volume in self._volumes.list()
            if objects.name(volume) not in taken
            and self._assumed.get(objects.name(volume), objects.uid(claim)) == objects.uid(claim)
            and volumes.fits(volume, claim)
            and volumes.reaches(volume, node)
        ]
        return min(fitting, key=volumes.capacity, default=None)

    def _can_provision(self, claim: Object, node: Object) -> bool:
        storage_class = self._classes.get(str(claim["spec"].get("storageClassName") or ""))
        if storage_class is None or storage_class.get("provisioner") in (None, "", NO_PROVISIONER):
            return False
        allowed = storage_class.get("allowedTopologies")
        labels = objects.labels(node)
        return not allowed or any(
            all(labels.get(one["key"]) in one["values"] for one in term.get("matchLabelExpressions") or ())
            for term in allowed
        )

    def reserve(self, state: framework.CycleState, pod: pod_info.PodInfo, node: str) -> framework.Status | None:
        claims: _Claims = state[self.name]
        plan = claims.plans.get(node)
        for claim, volume in plan.bind if plan else ():
            self._assumed[objects.name(volume)] = objects.uid(claim)
        return None

    def unreserve(self, state: framework.CycleState, pod: pod_info.PodInfo, node: str) -> None:
        claims: _Claims | None = state.get(self.name)
        plan = claims.plans.get(node) if claims else None
        for _, volume in plan.bind if plan else ():
            self._assumed.pop(objects.name(volume), None)

    def takes_time(self, state: framework.CycleState, pod: pod_info.PodInfo, node: str) -> bool:
        claims: _Claims = state[self.name]
        return node in claims.plans

    def pre_bind(self, state: framework.CycleState, pod: pod_info.PodInfo, node: str) -> framework.Status | None:
        claims: _Claims = state[self.name]
        plan = claims.plans.get(node)
        if plan is None:
            return None
        for claim, volume in plan.bind:
            self._promise(claim, volume)
        asked: list[Object] = []
        for claim in plan.provision:
            patch = {"metadata": {"annotations": {SELECTED_NODE: node}, "uid": objects.uid(claim)}}
            written = self.handle.client.patch(
                kinds.PERSISTENT_VOLUME_CLAIMS, objects.name(claim), patch, objects.namespace(claim)
            )
            asked.append(written)
        promised = [claim for claim, _ in plan.bind]
        wanted = [objects.key(claim) for claim in (*promised, *plan.provision)]

        def ended() -> bool:
            found = all(self._is_bound(key) for key in wanted)
            return bool(found or self._given_up(asked, node) or self._lost(pod, promised))

        with self._changed:
            self._changed.wait_for(ended, TIMEOUT)
        given_up = self._given_up(asked, node)
        if given_up:
            return framework.error(f'binding volumes: provisioning failed for PVC "{given_up}"')
        if lost := self._lost(pod, promised):
            return framework.error(f"binding volumes: {lost} not found")
        if not all(self._is_bound(key) for key in wanted):
            return framework.error("binding volumes: context deadline exceeded")
        for _, volume in plan.bind:
            self._assumed.pop(objects.name(volume), None)
        return None

    def _promise(self, claim: Object, volume: Object) -> None:
        reference = {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "namespace": objects.namespace(claim),
            "name": objects.name(claim),
            "uid": objects.uid(claim),
            "resourceVersion": objects.resource_version(claim),
        }
        annotations = {**objects.annotations(volume), BOUND_BY_CONTROLLER: "yes"}
        changed = {
            **volume,
            "metadata": {**volume["metadata"], "annotations": annotations},
            "spec": {**volume["spec"], "claimRef": reference},
        }
        self.handle.client.update(kinds.PERSISTENT_VOLUMES, changed)

    def _given_up(self, asked: Sequence[Object], node: str) -> str:
        """The name of a claim whose provisioner has taken the node's name off again, or that is gone.

        ``asked`` are the claims as they were given the name: the cache may be behind that.
        """
        for written in asked:
            key = objects.key(written)
            claim = self._claims.get(key)
            if claim is None or objects.uid(claim) != objects.uid(written):
                return objects.name(written)
            behind = int(objects.resource_version(claim)) < int(objects.resource_version(written))
            if not (behind or self._is_bound(key)) and objects.annotations(claim).get(SELECTED_NODE) != node:
                return objects.name(claim)
        return ""

    def _lost(self, pod: pod_info.PodInfo, promised: Sequence[Object]) -> str:
        """What is gone of those that the wait is for: then it ends, and what was promised is free for others."""
        current = self._pods.get(pod.key)
        if current is None or objects.uid(current) != pod.uid:
            return f'pod "{objects.name(pod.pod)}"'
        for claim in promised:
            now = self._claims.get(objects.key(claim))
            if now is None or objects.uid(now) != objects.uid(claim):
                return f'persistentvolumeclaim "{objects.name(claim)}"'
        return ""

    def _is_bound(self, key: str) -> bool:
        claim = self._claims.get(key)
        return claim is not None and BIND_COMPLETED in objects.annotations(claim)


def _claim_names(pod: pod_info.PodInfo) -> list[tuple[str, bool]]:
    """The pod's claims; True for those made from an ephemeral volume's template."""
    found = []
    for volume in pod.spec.get("volumes") or ():
        if volume.get("persistentVolumeClaim"):
            found.append((str(volume["persistentVolumeClaim"]["claimName"]), False))
        elif volume.get("ephemeral"):
            found.append((f"{objects.name(pod.pod)}-{volume['name']}", True))
    return found

"""Emptying namespaces that are being deleted.

Pods go first, and nothing else before they are gone: what they run on (network policies, service accounts,
secrets) must not disappear under them. Then every other type that discovery knows. What is left, and why, is told
in the namespace's conditions. When nothing is left the ``kubernetes`` finalizer is taken away and the API server
removes the namespace.
"""

import collections
import dataclasses
import logging
from collections.abc import Mapping

from kubeshim import clock
from kubeshim.client import discovery, kinds
from kubeshim.control_plane.controller_manager import conditions, controller
from kubeshim.machinery import errors, objects
from kubeshim.machinery.objects import Object
from kubeshim.machinery.resources import GroupVersionResource

_log = logging.getLogger(__name__)

FINALIZER = "kubernetes"
FIRST_LOOK, LAST_LOOK = 0.05, 15.0
"""Seconds until what remains is looked at again; doubles while nothing happens."""


@dataclasses.dataclass(slots=True)
class Remains:
    """What a turn left behind."""

    counts: dict[str, int] = dataclasses.field(default_factory=dict)
    """``pods.`` / ``deployments.apps`` → objects."""
    finalizers: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    failures: list[str] = dataclasses.field(default_factory=list)
    discovery: Mapping[str, str] = dataclasses.field(default_factory=dict)


class NamespaceController(controller.Controller):
    name = "namespace"
    workers = 5

    def register(self) -> None:
        self._namespaces = self.informer(kinds.NAMESPACES)
        self._namespaces.add_handler(added=self._changed, updated=lambda _, new: self._changed(new))
        self.informer(kinds.PODS).add_handler(deleted=self._pod_deleted)
        self._delays: dict[str, float] = {}

    def _changed(self, namespace: Object) -> None:
        if objects.is_deleting(namespace):
            self.enqueue(namespace)

    def _pod_deleted(self, pod: Object) -> None:
        namespace = self._namespaces.get(objects.namespace(pod))
        if namespace is not None and objects.is_deleting(namespace):
            self.queue.add(objects.name(namespace))

    def sync(self, key: str) -> float | None:
        try:
            namespace = self.client.get(kinds.NAMESPACES, key)
        except errors.NotFound:
            self._delays.pop(key, None)
            return None
        if not objects.is_deleting(namespace) or FINALIZER not in (namespace["spec"].get("finalizers") or ()):
            return None
        remains = self._empty(key)
        namespace = self._tell(namespace, remains)
        if remains.counts or remains.failures or remains.discovery:
            delay = self._delays.get(key, FIRST_LOOK)
            self._delays[key] = min(delay * 2, LAST_LOOK)
            return delay
        self._delays.pop(key, None)
        left = [name for name in namespace["spec"]["finalizers"] if name != FINALIZER]
        final = {**namespace, "spec": {**namespace["spec"], "finalizers": left}}
        try:
            self.client.update(kinds.NAMESPACES, final, subresource="finalize")
        except errors.NotFound:
            _log.debug("namespace %s is gone already", key)
        return None

    def _empty(self, namespace: str) -> Remains:
        remains = Remains()
        found = discovery.discover(self.client)
        remains.discovery = found.failed
        types = [one for one in found.types if one.namespaced and one.preferred and {"list", "delete"} <= one.verbs]
        for one in types:
            if one.gvr == kinds.PODS:
                self._empty_type(one, namespace, remains)
        if remains.counts or remains.failures:
            return remains
        for one in types:
            if one.gvr != kinds.PODS:
                self._empty_type(one, namespace, remains)
        return remains

    def _empty_type(self, one: discovery.Type, namespace: str, remains: Remains) -> None:
        gvr = one.gvr
        try:
            left = self._items(gvr, namespace)
            if left and "deletecollection" in one.verbs:
                self.client.delete_collection(gvr, namespace, options={"propagationPolicy": "Background"})
                left = self._items(gvr, namespace)
            elif left:
                for item in left:
                    self._delete(gvr, item)
                left = self._items(gvr, namespace)
        except (errors.NotFound, errors.MethodNotAllowed):
            return  # the type is not served any more
        except (errors.APIStatusError, OSError) as error:
            remains.failures.append(f"{gvr.group_version}, Resource={gvr.resource}: {error}")
            return
        if left:
            remains.counts[f"{gvr.resource}.{gvr.group}"] = len(left)
            for item in left:
                remains.finalizers.update(item["metadata"].get("finalizers") or ())

    def _items(self, gvr: GroupVersionResource, namespace: str) -> list[Object]:
        return list(self.client.list(gvr, namespace, metadata_only=True)["items"])

    def _delete(self, gvr: GroupVersionResource, item: Object) -> None:
        try:
            options = {"propagationPolicy": "Background"}
            self.client.delete(gvr, objects.name(item), objects.namespace(item), options=options)
        except errors.NotFound:
            _log.debug("%s is gone already", objects.key(item))

    def _tell(self, namespace: Object, remains: Remains) -> Object:
        moment = clock.rfc3339(self.clock.now())
        status = dict(namespace.get("status") or {})
        found = list(status.get("conditions") or ())
        for condition in describe(remains):
            old = conditions.find(found, condition["type"])
            if old is not None and all(old.get(field) == condition[field] for field in condition):
                continue
            if old is None or old["status"] != condition["status"]:
                condition = {"lastTransitionTime": moment, **condition}
            else:
                condition = {"lastTransitionTime": old.get("lastTransitionTime", moment), **condition}
            found = [condition if one["type"] == condition["type"] else one for one in found]
            if old is None:
                found.append(condition)
        if found == (status.get("conditions") or []) and status.get("phase") == "Terminating":
            return namespace
        if not (remains.counts or remains.failures or remains.discovery) and not status.get("conditions"):
            return namespace  # emptied in one go: nobody needs to be told what never remained
        status |= {"phase": "Terminating", "conditions": found}
        return self.client.update(kinds.NAMESPACES, {**namespace, "status": status}, subresource="status")


def describe(remains: Remains) -> list[conditions.Condition]:
    """The five conditions of a namespace that is being deleted. Pure."""
    counts = [f"{name} has {number} resource instances" for name, number in sorted(remains.counts.items())]
    held = [f"{name} in {number} resource instances" for name, number in sorted(remains.finalizers.items())]
    gone = [f"{version}: {why}" for version, why in sorted(remains.discovery.items())]
    failures = remains.failures
    return [
        _condition(
            "NamespaceDeletionDiscoveryFailure",
            bool(gone),
            "DiscoveryFailed",
            f"Discovery failed for some groups, {len(gone)} failing: unable to retrieve the complete list of server "
            f"APIs: {', '.join(gone)}",
            "ResourcesDiscovered",
            "All resources successfully discovered",
        ),
        _condition(
            "NamespaceDeletionGroupVersionParsingFailure",
            False,
            "GroupVersionParsingFailed",
            "",
            "ParsedGroupVersions",
            "All legacy kube types successfully parsed",
        ),
        _condition(
            "NamespaceDeletionContentFailure",
            bool(failures),
            "ContentDeletionFailed",
            f"Failed to delete all resource types, {len(failures)} remaining: {'; '.join(failures)}",
            "ContentDeleted",
            "All content successfully deleted, may be waiting on finalization",
        ),
        _condition(
            "NamespaceContentRemaining",
            bool(counts),
            "SomeResourcesRemain",
            f"Some resources are remaining: {', '.join(counts)}",
            "ContentRemoved",
            "All content successfully removed",
        ),
        _condition(
            "NamespaceFinalizersRemaining",
            bool(held),
            "SomeFinalizersRemain",
            f"Some content in the namespace has finalizers remaining: {', '.join(held)}",
            "ContentHasNoFinalizers",
            "All content-preserving finalizers finished",
        ),
    ]


def _condition(
    kind: str, bad: bool, bad_reason: str, bad_text: str, good_reason: str, good_text: str
) -> conditions.Condition:
    return {
        "type": kind,
        "status": "True" if bad else "False",
        "reason": bad_reason if bad else good_reason,
        "message": bad_text if bad else good_text,
    }

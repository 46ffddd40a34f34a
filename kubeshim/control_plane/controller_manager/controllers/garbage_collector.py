"""Deletes what has no owner left, and carries out foreground and orphan deletion.

It watches the metadata of every type that can be listed, watched and deleted (sharing the cache of those that
other controllers watch whole) and keeps the graph of ``ownership``. A watch may lag, and two watches are not in
step, so nothing is deleted on the graph's word: the object, and every owner that decides its fate, are read
from the server first, and the deletion holds only for what was read: who is given another owner in that moment stays.
Types come and go with custom resource definitions and API services; a change of those brings discovery up to date.
"""

import logging
import threading
from collections.abc import Mapping
from typing import Any

from kubeshim.client import discovery, informer
from kubeshim.control_plane.controller_manager import controller, ownership
from kubeshim.machinery import errors, objects, resources
from kubeshim.machinery.objects import Object
from kubeshim.machinery.resources import GroupVersionResource

_log = logging.getLogger(__name__)

IGNORED = frozenset({("", "events"), ("events.k8s.io", "events")})
DEFINITIONS = GroupVersionResource("apiextensions.k8s.io", "v1", "customresourcedefinitions")
SERVICES = GroupVersionResource("apiregistration.k8s.io", "v1", "apiservices")
REFRESH = "refresh"
REFRESH_RETRY, REFRESH_AGAIN = 10.0, 60.0
"""Seconds until discovery is asked again where some of it failed, and where nothing happened."""
PATIENCE, BRIEF = 30.0, 3.0
"""Seconds that a type may take to be listed before the others go on without it: its server may never answer.

Those that come later have hardly any objects yet, and everybody would wait for the one that somebody tries out.
"""


Coordinates = tuple[str, str, str, str, str]
"""Uid, API version, kind, namespace and name of an owner."""


class _NoMapping(Exception):
    """The owner's type is not known to discovery."""


class GarbageCollectorController(controller.Controller):
    """Queue keys are ``judge/UID``, ``orphan/UID`` and ``refresh``."""

    name = "garbage-collector"
    component = "garbage-collector-controller"
    workers = 8

    def register(self) -> None:
        self._graph = ownership.Graph()
        self._graph_lock = threading.Lock()
        self._mapping: dict[tuple[str, str], discovery.Type] = {}
        self._monitors: dict[GroupVersionResource, informer.Informer] = {}
        self._patience: dict[GroupVersionResource, float] = {}
        """Until when each of them is waited for."""
        self._absent: dict[Coordinates, None] = {}
        """Owners that were looked for and not found, so that a thousand dependents ask once.

        By all that a dependent says of its owner: one that names it in a wrong place says nothing about the others.
        """
        for gvr in (DEFINITIONS, SERVICES):
            cache = self.informer(gvr)
            cache.add_handler(
                added=self._types_changed, updated=lambda _, new: self._types_changed(new), deleted=self._types_changed
            )
        self.queue.add(REFRESH)

    def _types_changed(self, _: Object) -> None:
        # A definition is served a moment after it was written; several come together.
        self.queue.add_after(REFRESH, 0.2)

    def stop(self) -> None:
        super().stop()
        for cache in list(self._monitors.values()):
            cache.stop()

    def sync(self, key: str) -> float | None:
        if key == REFRESH:
            return self._refresh()
        verb, _, uid = key.partition("/")
        if self._is_blind():
            return 0.1
        with self._graph_lock:
            node = self._graph.nodes.get(uid)
        if node is None:
            return None
        if verb == "orphan":
            self._orphan(node)
        else:
            self._judge(node)
        return None

    # what there is to watch

    def _is_blind(self) -> bool:
        """Whether there are types of which nothing has been seen yet, and it is too early to go on without them."""
        now = self.clock.monotonic()
        return any(not cache.synced and now < self._patience[gvr] for gvr, cache in list(self._monitors.items()))

    def _refresh(self) -> float | None:
        found = discovery.discover(self.client)
        if found.failed:
            self.metrics.garbage_errors.add()
        self._mapping = {(one.gvr.group_version, one.kind): one for one in reversed(found.types)}
        wanted = {
            one.gvr: one
            for one in found.types
            if one.preferred
            and {"list", "watch", "delete"} <= one.verbs
            and (one.gvr.group, one.gvr.resource) not in IGNORED
        }
        until = self.clock.monotonic() + (BRIEF if self._monitors else PATIENCE)
        for gvr, one in wanted.items():
            if gvr not in self._monitors:
                self._patience[gvr] = until
                self._monitor(gvr, one)
        failed_groups = {version.rpartition("/")[0] for version in found.failed}
        for gvr in [gvr for gvr in self._monitors if gvr not in wanted and gvr.group not in failed_groups]:
            self._forget_type(gvr)
        return REFRESH_RETRY if found.failed else REFRESH_AGAIN

    def _monitor(self, gvr: GroupVersionResource, one: discovery.Type) -> None:
        shared = self.context.informers.existing(gvr)
        cache = shared or informer.Informer(self.client, gvr, metadata_only=True)
        kind = one.kind
        self._monitors[gvr] = cache
        cache.add_handler(
            added=lambda obj: self._seen(obj, gvr, kind),
            updated=lambda _, new: self._seen(new, gvr, kind),
            deleted=self._gone,
        )
        if shared is None:
            cache.start()

    def _forget_type(self, gvr: GroupVersionResource) -> None:
        cache = self._monitors.pop(gvr)
        if self.context.informers.existing(gvr) is not cache:
            cache.stop()
        for obj in cache.list():
            # It is only out of sight: a server that starts may not serve its type yet.
            self._remove(objects.uid(obj), absent=False)

    def _seen(self, obj: Object, gvr: GroupVersionResource, kind: str) -> None:
        with self._graph_lock:
            where = objects.uid(obj), gvr.group_version, kind, objects.namespace(obj), objects.name(obj)
            self._absent.pop(where, None)
            work = self._graph.apply(obj, gvr, gvr.group_version, kind)
        self._add(work)

    def _gone(self, obj: Object) -> None:
        self._remove(objects.uid(obj))

    def _remove(self, uid: str, *, absent: bool = True) -> None:
        with self._graph_lock:
            node = self._graph.nodes.get(uid)
            if absent and node is not None and not node.virtual:
                self._note_absent((uid, node.api_version, node.kind, node.namespace, node.name))
            work = self._graph.remove(uid)
        self._add(work)

    def _note_absent(self, where: Coordinates) -> None:
        self._absent[where] = None
        if len(self._absent) > 500:
            del self._absent[next(iter(self._absent))]

    def _add(self, work: ownership.Work) -> None:
        for node in work.judge:
            self.queue.add(f"judge/{node.uid}")
        for node in work.orphan:
            self.queue.add(f"orphan/{node.uid}")
        for node, owner in work.strays:
            self.recorder.event(_reference(node), "Warning", "OwnerRefInvalidNamespace", invalid_owner(node, owner))

    # judging

    def _judge(self, node: ownership.Node) -> None:
        if node.deleting and not node.deletes_dependents:
            return
        gvr, namespace = node.gvr, node.namespace
        try:
            if gvr is None:
                one = self._type_of(node.api_version, node.kind)
                # known from a dependent alone, which has a namespace where this one may have none
                gvr, namespace = one.gvr, node.namespace if one.namespaced else ""
        except _NoMapping:
            if not node.virtual:
                raise errors.NotFound(f"no type {node.api_version} {node.kind}") from None
            self._judge_dependents(node)
            return
        live = self._read(gvr, namespace, node.name, node.uid)
        if live is None:
            if node.virtual:
                with self._graph_lock:
                    self._note_absent((node.uid, node.api_version, node.kind, namespace, node.name))
                    node.absent = node.virtual  # it may have come meanwhile
                self._judge_dependents(node)
            else:
                self._remove(node.uid)
            return
        if node.virtual:
            return  # it exists: its own watch will bring it in
        if node.deletes_dependents:
            self._continue_foreground(node, live)
            return
        owners = live["metadata"].get("ownerReferences") or []
        if owners:
            self._weigh(node, live, owners)

    def _judge_dependents(self, node: ownership.Node) -> None:
        with self._graph_lock:
            work = ownership.Work(judge=list(node.dependents.values()))
        self._add(work)

    def _weigh(self, node: ownership.Node, live: Object, owners: list[dict[str, Any]]) -> None:
        solid, dangling, waiting = self._classify(node, owners)
        if solid:
            if dangling or waiting:
                gone = {owner["uid"] for owner in [*dangling, *waiting]}
                assert node.gvr is not None
                self._drop_owners(node.gvr, live, gone)
            return
        with self._graph_lock:
            dependents = list(node.dependents.values())
        if waiting and dependents:
            if any(dependent.deletes_dependents for dependent in dependents):
                # A circle: each would wait for the other. This one stops blocking its owner.
                live = self._stop_blocking(node, live)
            self._delete(node, live, "Foreground")
            return
        finalizers = live["metadata"].get("finalizers") or ()
        if ownership.ORPHAN in finalizers:
            policy = "Orphan"
        elif ownership.FOREGROUND in finalizers:
            policy = "Foreground"
        else:
            policy = "Background"
        self._delete(node, live, policy)

    def _classify(
        self, node: ownership.Node, owners: list[dict[str, Any]]
    ) -> tuple[list[Mapping[str, Any]], list[Mapping[str, Any]], list[Mapping[str, Any]]]:
        """Owners that exist, that do not, and that wait for their dependents to be deleted."""
        solid: list[Mapping[str, Any]] = []
        dangling: list[Mapping[str, Any]] = []
        waiting: list[Mapping[str, Any]] = []
        for owner in owners:
            live = self._owner(node, owner)
            if live is None:
                dangling.append(owner)
            elif objects.is_deleting(live) and ownership.FOREGROUND in (live["metadata"].get("finalizers") or ()):
                waiting.append(owner)
            else:
                solid.append(owner)
        return solid, dangling, waiting

    def _owner(self, node: ownership.Node, owner: Mapping[str, Any]) -> Object | None:
        uid, version, kind, name = (owner[field] for field in ("uid", "apiVersion", "kind", "name"))
        if any((uid, version, kind, place, name) in self._absent for place in ("", node.namespace)):
            return None
        try:
            one = self._type_of(version, kind)
        except _NoMapping:
            # Unknown is not absent: its type may come back.
            raise errors.NotFound(f"no type {owner['apiVersion']} {owner['kind']}") from None
        if one.namespaced and not node.namespace:
            text = f"cluster-scoped {node.kind} {node.name} names the namespaced owner {owner['kind']} {owner['name']}"
            _log.warning("%s: it is never collected", text)
            return {"metadata": {}}
        namespace = node.namespace if one.namespaced else ""
        live = self._read(one.gvr, namespace, name, uid)
        if live is None:
            with self._graph_lock:
                self._note_absent((uid, version, kind, namespace, name))
        return live

    def _continue_foreground(self, node: ownership.Node, live: Object) -> None:
        with self._graph_lock:
            blocking = node.blocking_dependents()
        if not blocking:
            self._drop_finalizer(node, live, ownership.FOREGROUND)
            return
        for dependent in blocking:
            if not dependent.deletes_dependents:
                self.queue.add(f"judge/{dependent.uid}")

    def _orphan(self, node: ownership.Node) -> None:
        assert node.gvr is not None
        with self._graph_lock:
            dependents = list(node.dependents.values())
        for dependent in dependents:
            if dependent.gvr is None:
                continue
            live = self._read(dependent.gvr, dependent.namespace, dependent.name, dependent.uid)
            if live is not None:
                self._drop_owners(dependent.gvr, live, {node.uid})
        self._orphan_unseen(node)
        live = self._read(node.gvr, node.namespace, node.name, node.uid)
        if live is not None:
            self._drop_finalizer(node, live, ownership.ORPHAN)

    def _orphan_unseen(self, node: ownership.Node) -> None:
        """Lets go what its owner made shortly before, and the graph does not know yet: it would be deleted."""
        if not node.namespace:
            return  # its dependents may be anywhere
        types = {one.gvr for one in self._mapping.values() if one.namespaced and one.gvr in self._monitors}
        for gvr in types:
            try:
                found = self.client.list(gvr, node.namespace, metadata_only=True)["items"]
            except errors.APIStatusError as error:
                _log.info("no dependents of %s are looked for among %s: %s", node.name, gvr.resource, error)
                continue
            for live in found:
                self._drop_owners(gvr, live, {node.uid})

    # requests

    def _type_of(self, api_version: str, kind: str) -> discovery.Type:
        one = self._mapping.get((api_version, kind))
        if one is None:
            group, version = resources.split_api_version(api_version)
            _log.debug("type %s/%s %s is unknown, asking discovery", group, version, kind)
            found = discovery.discover(self.client)
            self._mapping = {(known.gvr.group_version, known.kind): known for known in reversed(found.types)}
            one = self._mapping.get((api_version, kind))
        if one is None:
            raise _NoMapping
        return one

    def _read(self, gvr: GroupVersionResource, namespace: str, name: str, uid: str) -> Object | None:
        """The object with that uid, or None. Raises ``NotFound`` where there is no such path, which says nothing."""
        try:
            live = self.client.get(gvr, name, namespace)
        except errors.NotFound as error:
            if not _is_of_object(error):
                raise
            return None
        return live if objects.uid(live) == uid else None

    def _patch(self, gvr: GroupVersionResource, live: Object, metadata: Object) -> Object:
        """What has become of it; as it was where it is gone."""
        guarded = {"uid": objects.uid(live), "resourceVersion": objects.resource_version(live), **metadata}
        try:
            name, namespace = objects.name(live), objects.namespace(live)
            return self.client.patch(gvr, name, {"metadata": guarded}, namespace, kind="merge")
        except errors.NotFound:
            _log.debug("%s %s is gone already", gvr.resource, objects.key(live))
            return live

    def _drop_owners(self, gvr: GroupVersionResource, live: Object, uids: set[str]) -> None:
        owners = live["metadata"].get("ownerReferences") or []
        kept = [owner for owner in owners if owner["uid"] not in uids]
        if len(kept) != len(owners):
            self._patch(gvr, live, {"ownerReferences": kept or None})

    def _stop_blocking(self, node: ownership.Node, live: Object) -> Object:
        assert node.gvr is not None
        owners = [{**owner, "blockOwnerDeletion": False} for owner in live["metadata"].get("ownerReferences") or []]
        return self._patch(node.gvr, live, {"ownerReferences": owners})

    def _drop_finalizer(self, node: ownership.Node, live: Object, finalizer: str) -> None:
        assert node.gvr is not None
        finalizers = live["metadata"].get("finalizers") or []
        if finalizer in finalizers:
            self._patch(node.gvr, live, {"finalizers": [name for name in finalizers if name != finalizer] or None})

    def _delete(self, node: ownership.Node, live: Object, policy: str) -> None:
        """Deletes what was judged, as it was read; what has other owners by now is to be judged anew (``Conflict``)."""
        assert node.gvr is not None
        conditions = {"uid": node.uid, "resourceVersion": objects.resource_version(live)}
        try:
            try:
                options = {"preconditions": conditions, "propagationPolicy": policy}
                self.client.delete(node.gvr, node.name, node.namespace, options=options)
            except errors.Conflict:
                now = self._read(node.gvr, node.namespace, node.name, node.uid)
                if now is not None and _owners(now) != _owners(live):
                    raise
                # It changed in what does not matter here, and may do so as often as it likes.
                options = {"preconditions": {"uid": node.uid}, "propagationPolicy": policy}
                self.client.delete(node.gvr, node.name, node.namespace, options=options)
        except errors.NotFound as error:
            if not _is_of_object(error):
                raise
            self._remove(node.uid)


def _is_of_object(error: errors.NotFound) -> bool:
    """Whether it is the object that is not there, not the path of its type."""
    return bool((error.details or {}).get("name"))


def _owners(live: Object) -> list[Object]:
    return list(live["metadata"].get("ownerReferences") or ())


def invalid_owner(node: ownership.Node, owner: Mapping[str, Any]) -> str:
    """What is said of a dependent whose owner is in another namespace. Pure."""
    version, kind = owner["apiVersion"], owner["kind"]
    named = f"[{version}/{kind}, namespace: {node.namespace}, name: {owner['name']}, uid: {owner['uid']}]"
    return f'ownerRef {named} does not exist in namespace "{node.namespace}"'


def _reference(node: ownership.Node) -> Object:
    metadata = {"name": node.name, "namespace": node.namespace, "uid": node.uid}
    return {"apiVersion": node.api_version, "kind": node.kind, "metadata": metadata}

"""The graph of who owns whom, as the garbage collector knows it from watching everything.

Pure bookkeeping. Nodes are objects by uid; an edge goes from an owner to each dependent. An owner that is
named but was never seen is a *virtual* node: somebody must look whether it exists. ``apply`` and ``remove`` take
what a watch says and return what must be looked at because of it.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from kubeshim.machinery import objects
from kubeshim.machinery.objects import Object
from kubeshim.machinery.resources import GroupVersionResource

FOREGROUND = "foregroundDeletion"
ORPHAN = "orphan"


@dataclasses.dataclass(slots=True, eq=False)
class Node:
    """One object. ``gvr`` is None as long as only references to it are known."""

    uid: str
    api_version: str
    kind: str
    namespace: str
    name: str
    gvr: GroupVersionResource | None = None
    owners: tuple[Mapping[str, Any], ...] = ()
    dependents: dict[str, "Node"] = dataclasses.field(default_factory=dict)
    virtual: bool = False
    absent: bool = False
    """Virtual, and known not to exist: who still comes to depend on it must be judged; nothing else sees to that."""
    deleting: bool = False
    deletes_dependents: bool = False
    """It is being deleted in the foreground: it waits for its dependents."""
    orphaning: bool = False

    def blocks(self, owner_uid: str) -> bool:
        """Whether this dependent holds up its owner's foreground deletion."""
        return any(owner["uid"] == owner_uid and owner.get("blockOwnerDeletion") for owner in self.owners)

    def blocking_dependents(self) -> list["Node"]:
        return [node for node in self.dependents.values() if node.blocks(self.uid)]


@dataclasses.dataclass(slots=True)
class Work:
    """What a change makes necessary."""

    judge: list[Node] = dataclasses.field(default_factory=list)
    """Should it be deleted?"""
    orphan: list[Node] = dataclasses.field(default_factory=list)
    """Its dependents must be let go."""
    strays: list[tuple[Node, Mapping[str, Any]]] = dataclasses.field(default_factory=list)
    """Dependents whose owner, as they name it, is known to be in another namespace."""


class Graph:
    """Not thread-safe; the collector holds a lock around each call."""

    def __init__(self) -> None:
        self.nodes: dict[str, Node] = {}

    def apply(self, obj: Object, gvr: GroupVersionResource, api_version: str, kind: str) -> Work:
        """``obj`` exists in this state (metadata is enough)."""
        work = Work()
        uid = objects.uid(obj)
        node = self.nodes.get(uid)
        if node is None:
            node = self.nodes[uid] = Node(uid, api_version, kind, objects.namespace(obj), objects.name(obj), gvr)
        elif node.virtual:
            if objects.namespace(obj):
                work.strays += _strays(node, objects.namespace(obj))
            stale = node.namespace != objects.namespace(obj) or node.name != objects.name(obj)
            node.virtual = node.absent = False
            node.gvr, node.api_version, node.kind = gvr, api_version, kind
            node.namespace, node.name = objects.namespace(obj), objects.name(obj)
            if stale:  # dependents that named it by other coordinates must be judged by the real ones
                work.judge += node.dependents.values()
        self._change_owners(node, tuple(obj["metadata"].get("ownerReferences") or ()), work)
        self._change_deletion(node, obj, work)
        return work

    def remove(self, uid: str) -> Work:
        """The object does not exist any more."""
        work = Work()
        node = self.nodes.pop(uid, None)
        if node is None:
            return work
        self._unlink(node, node.owners, work)
        work.judge += node.dependents.values()
        if node.dependents:
            # Its dependents still name it: kept as a virtual node until they are gone or changed.
            ghost = Node(uid, node.api_version, node.kind, node.namespace, node.name, node.gvr, virtual=True)
            ghost.absent = True
            ghost.dependents = node.dependents
            self.nodes[uid] = ghost
        return work

    def _change_owners(self, node: Node, owners: tuple[Mapping[str, Any], ...], work: Work) -> None:
        before = {owner["uid"]: owner for owner in node.owners}
        after = {owner["uid"]: owner for owner in owners}
        removed = [owner for uid, owner in before.items() if uid not in after]
        changed = [owner for uid, owner in after.items() if uid in before and before[uid] != owner]
        node.owners = owners
        self._unlink(node, removed, work)
        for owner in changed:
            holder = self.nodes.get(owner["uid"])
            if holder is not None and holder.deletes_dependents and not owner.get("blockOwnerDeletion"):
                work.judge.append(holder)
        for uid, owner in after.items():
            if uid in before:
                continue
            holder = self.nodes.get(uid)
            if holder is None:
                holder = self.nodes[uid] = Node(
                    uid, owner["apiVersion"], owner["kind"], node.namespace, owner["name"], virtual=True
                )
                work.judge.append(holder)
            elif not holder.virtual and holder.namespace not in ("", node.namespace):
                work.strays.append((node, owner))
                work.judge.append(node)
            elif holder.absent or holder.namespace not in ("", node.namespace) or _names_another(owner, holder):
                work.judge.append(node)
            holder.dependents[node.uid] = node
            if holder.deletes_dependents:
                work.judge += [node, holder]

    def _unlink(self, node: Node, owners: Iterable[Mapping[str, Any]], work: Work) -> None:
        for owner in owners:
            holder = self.nodes.get(owner["uid"])
            if holder is None:
                continue
            holder.dependents.pop(node.uid, None)
            if holder.deletes_dependents:
                work.judge.append(holder)
            if holder.virtual and not holder.dependents:
                del self.nodes[holder.uid]

    def _change_deletion(self, node: Node, obj: Object, work: Work) -> None:
        if not objects.is_deleting(obj):
            return
        finalizers = obj["metadata"].get("finalizers") or ()
        node.deleting = True
        # Whoever deletes what other finalizers hold a second time puts ours back.
        orphaned, waited = node.orphaning, node.deletes_dependents
        node.orphaning = ORPHAN in finalizers
        node.deletes_dependents = FOREGROUND in finalizers and not node.orphaning
        if node.orphaning and not orphaned:
            work.orphan.append(node)
        elif node.deletes_dependents and not waited:
            work.judge += [*node.dependents.values(), node]


def _strays(owner: Node, namespace: str) -> list[tuple[Node, Mapping[str, Any]]]:
    return [
        (dependent, reference)
        for dependent in owner.dependents.values()
        if dependent.namespace != namespace
        for reference in dependent.owners
        if reference["uid"] == owner.uid
    ]


def _names_another(owner: Mapping[str, Any], holder: Node) -> bool:
    return not holder.virtual and (owner["kind"] != holder.kind or owner["name"] != holder.name)

"""Definitions of custom resources: their names are accepted or refused, deleted ones are emptied.

One queue of definitions' names, fed by every write of one; one greenlet works it off. Emptying a definition may take
as long as its instances' finalizers, so each has a greenlet of its own. When a definition changes or goes, those of
its group that were refused a name are looked at again.
"""

import logging
from typing import TYPE_CHECKING

import gevent
from gevent import queue

from kubeshim import clock
from kubeshim.control_plane.api_server import storage as storages
from kubeshim.control_plane.api_server.background import custom_resource_deletion
from kubeshim.control_plane.api_server.custom_resources import catalog, conditions, naming
from kubeshim.machinery import errors, objects
from kubeshim.machinery.validation import crds

if TYPE_CHECKING:
    from kubeshim.control_plane.api_server import server as servers

_log = logging.getLogger(__name__)
_RETRY = 0.5
_APPROVALS = {
    "approved": (True, "ApprovedAnnotation"), "bypassed": (False, "UnapprovedAnnotation"),
    "missing": (False, "MissingAnnotation"), "invalid": (False, "InvalidAnnotation"),
}  # fmt: skip


def run(server: "servers.Server") -> None:
    Definitions(server).run()


class Definitions:
    """The work on all definitions."""

    def __init__(self, server: "servers.Server") -> None:
        self._server = server
        self._queue: queue.Queue[str] = queue.Queue()
        self._emptying: set[str] = set()
        self._asked_again: set[str] = set()
        """Being emptied, and changed since: there may be another of the name by now that wants it, too."""

    def run(self) -> None:
        server = self._server
        server.storage.subscribe(catalog.DEFINITIONS, self._follow)
        while not server.stopping.is_set():
            try:
                name = self._queue.get(timeout=5.0)
            except queue.Empty:
                continue
            try:
                self._work(name)
            except Exception:
                _log.exception("the definition %s will be looked at again", name)
                self._again(name)

    def _follow(self, change: storages.Change) -> None:
        name = objects.name(change.obj)
        if change.kind != "DELETED":
            self._queue.put(name)
        names = objects.dig(change.obj, "status", "acceptedNames")
        before = objects.dig(change.previous, "status", "acceptedNames") if change.previous else None
        if change.kind == "DELETED" or names != before:
            self._queue_refused(objects.dig(change.obj, "spec", "group", default=""), name)

    def _queue_refused(self, group: str, but: str) -> None:
        """Definitions of a group that want a name which may be free now."""
        for crd in self._server.storage.reader.list(catalog.DEFINITIONS):
            related = objects.dig(crd, "spec", "group") == group and objects.name(crd) != but
            if related and not conditions.is_true(crd, "NamesAccepted"):
                self._queue.put(objects.name(crd))

    def _again(self, name: str) -> None:
        gevent.spawn_later(_RETRY, self._queue.put, name)

    def _work(self, name: str) -> None:
        item = self._server.client.stored(catalog.DEFINITIONS, name)
        if item is None:
            return
        crd = item.copy()
        if objects.is_deleting(crd):
            self._empty(name)
            return
        now = clock.rfc3339(self._server.clock.now())
        if _update(crd, self._server.storage.reader.list(catalog.DEFINITIONS), now):
            try:
                self._server.client.update(catalog.DEFINITIONS, crd, subresource="status")
            except errors.NotFound:
                pass
            except errors.Conflict:
                self._queue.put(name)

    def _empty(self, name: str) -> None:
        if name in self._emptying:
            self._asked_again.add(name)
            return
        self._emptying.add(name)

        def work() -> None:
            try:
                custom_resource_deletion.empty(self._server, name)
            except Exception:
                _log.exception("the instances of %s could not be deleted yet", name)
                self._again(name)
            finally:
                self._emptying.discard(name)
                if name in self._asked_again:
                    self._asked_again.discard(name)
                    self._queue.put(name)

        gevent.spawn(work)


def _update(crd: objects.Object, crds_: list[objects.Object], now: str) -> bool:
    """Writes names and conditions into ``crd``; says whether anything changed."""
    others = naming.taken(crds_, crd["spec"]["group"], objects.name(crd))
    names, accepted = naming.decide(crd, others)
    status = crd.setdefault("status", {})
    changed: bool = status.get("acceptedNames") != names
    status["acceptedNames"] = names
    wanted = [accepted, naming.established(crd, accepted["status"] == "True")]
    if crds.is_protected(crd["spec"]["group"]):
        state, why = crds.approval(objects.annotations(crd).get(crds.APPROVAL))
        wanted.append(conditions.condition("KubernetesAPIApprovalPolicyConformant", *_APPROVALS[state], why))
    for condition in wanted:
        changed |= conditions.put(crd, condition, now)
    return changed

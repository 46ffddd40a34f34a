"""Who belongs to whom: taking in what matches the selector, letting go what no longer does.

An owner adopts objects that match, have no controller and are not being deleted, and releases those it controls
that stopped matching. Before the first adoption the owner is read afresh: a cache must not make a dead owner
adopt what the garbage collector is about to judge.
"""

import logging
from collections.abc import Sequence

from kubeshim.client import rest
from kubeshim.machinery import errors, objects, selectors
from kubeshim.machinery.objects import Object
from kubeshim.machinery.resources import GroupVersionResource

_log = logging.getLogger(__name__)


class OwnerChanged(errors.Conflict):
    """The owner is gone, replaced or being deleted: adopting must wait for the next look."""


class Claimer:
    """Claims objects of type ``gvr`` for ``owner``, an object of type ``owner_gvr``."""

    def __init__(
        self,
        client: rest.Client,
        gvr: GroupVersionResource,
        owner: Object,
        owner_gvr: GroupVersionResource,
        selector: selectors.LabelSelector,
        *,
        finalizers: Sequence[str] = (),
    ) -> None:
        self._client, self._gvr, self._selector = client, gvr, selector
        self._owner, self._owner_gvr = owner, owner_gvr
        self._finalizers = list(finalizers)
        """Added to what is adopted."""
        self._may_adopt = False

    def claim(self, candidates: Sequence[Object]) -> list[Object]:
        """Those that belong to the owner afterwards. Raises the first error that is not an object's disappearance."""
        return [obj for obj in candidates if self._claim_one(obj)]

    def _claim_one(self, obj: Object) -> bool:
        controller = objects.controller_of(obj)
        matches = self._selector.matches(objects.labels(obj))
        if controller is not None:
            if controller["uid"] != objects.uid(self._owner):
                return False
            if matches:
                return True
            if not objects.is_deleting(self._owner):
                self._release(obj)
            return False
        if not matches or objects.is_deleting(self._owner) or objects.is_deleting(obj):
            return False
        return self._adopt(obj)

    def _adopt(self, obj: Object) -> bool:
        if not self._may_adopt:
            self._check_owner()
            self._may_adopt = True
        metadata: Object = {"ownerReferences": [objects.owner_reference(self._owner)], "uid": objects.uid(obj)}
        if self._finalizers:
            metadata["finalizers"] = self._finalizers
        try:
            self._client.patch(
                self._gvr, objects.name(obj), {"metadata": metadata}, objects.namespace(obj), kind="strategic"
            )
        except (errors.NotFound, errors.Invalid) as error:
            _log.debug("not adopted, it is gone or has an owner by now: %s", error)
            return False
        return True

    def _check_owner(self) -> None:
        name, namespace = objects.name(self._owner), objects.namespace(self._owner)
        fresh = self._client.get(self._owner_gvr, name, namespace)
        if objects.uid(fresh) != objects.uid(self._owner):
            raise OwnerChanged(f"original {self._owner['kind']} {namespace}/{name} is gone")
        if objects.is_deleting(fresh):
            raise OwnerChanged(f"{namespace}/{name} has just been deleted")

    def _release(self, obj: Object) -> None:
        patch: Object = {
            "metadata": {
                "uid": objects.uid(obj),
                "ownerReferences": [{"$patch": "delete", "uid": objects.uid(self._owner)}],
            }
        }
        if self._finalizers:
            patch["metadata"]["$deleteFromPrimitiveList/finalizers"] = self._finalizers
        try:
            self._client.patch(self._gvr, objects.name(obj), patch, objects.namespace(obj), kind="strategic")
        except (errors.NotFound, errors.Invalid) as error:
            _log.debug("not released, it is gone already: %s", error)

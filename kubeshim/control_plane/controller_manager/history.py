"""ControllerRevisions: the templates a DaemonSet or StatefulSet has had.

A revision's ``data`` is a strategic merge patch that brings the template back, its keys sorted: clients find the
revision of a template by the bytes of its data. Its name carries a hash of that data, and pods carry the same hash as
the label ``controller-revision-hash``.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from kubeshim.client import kinds, rest
from kubeshim.control_plane.controller_manager import revisions
from kubeshim.machinery import errors, objects
from kubeshim.machinery.objects import Object

_log = logging.getLogger(__name__)

HASH_LABEL = "controller-revision-hash"


def data_of(owner: Object) -> Object:
    return {"spec": {"template": _sorted({**owner["spec"]["template"], "$patch": "replace"})}}


def _sorted(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(item) for item in value] if isinstance(value, list) else value


def same(revision: Object, data: Mapping[str, Any]) -> bool:
    return bool(revisions.normal(revision.get("data") or {}) == revisions.normal(data))


def hash_of(revision: Object) -> str:
    return objects.labels(revision).get(HASH_LABEL, "")


def build(owner: Object, data: Object, number: int, collisions: int | None) -> Object:
    hash_text = revisions.template_hash(data, collisions)
    labels = {**objects.labels(owner["spec"]["template"]), HASH_LABEL: hash_text}
    return {
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": {
            "name": f"{objects.name(owner)[:223]}-{hash_text}",
            "namespace": objects.namespace(owner),
            "labels": labels,
            "annotations": {
                key: value for key, value in objects.annotations(owner).items() if key not in revisions.NOT_COPIED
            },
            "ownerReferences": [objects.owner_reference(owner)],
        },
        "data": data,
        "revision": number,
    }


def ordered(found: Sequence[Object]) -> list[Object]:
    """Oldest first."""
    return sorted(found, key=lambda one: (int(one.get("revision") or 0), *revisions.created(one)))


class History:
    """Reads and writes the revisions of owners of one kind."""

    def __init__(self, client: rest.Client) -> None:
        self._client = client

    def current(self, owner: Object, found: Sequence[Object]) -> tuple[Object, list[Object], int]:
        """The revision of the owner's template as it is now (made, or made the newest, if need be).

        Also all revisions, oldest first, and the collision count. Raises what the server answers.
        """
        data = data_of(owner)
        present = ordered(found)
        collisions = int(objects.dig(owner, "status", "collisionCount", default=0))
        number = int(present[-1].get("revision") or 0) + 1 if present else 1
        equal = [one for one in present if same(one, data)]
        if equal and equal[-1] is present[-1]:
            return present[-1], present, collisions
        if equal:
            newest = self._client.update(kinds.CONTROLLER_REVISIONS, {**equal[-1], "revision": number})
            return newest, [*(one for one in present if one is not equal[-1]), newest], collisions
        while True:
            wanted = build(owner, data, number, collisions)
            try:
                made = self._client.create(kinds.CONTROLLER_REVISIONS, wanted)
            except errors.AlreadyExists:
                there = self._client.get(kinds.CONTROLLER_REVISIONS, objects.name(wanted), objects.namespace(wanted))
                if same(there, data):
                    return there, present, collisions
                collisions += 1
                continue
            return made, [*present, made], collisions

    def truncate(self, present: Sequence[Object], used: set[str], limit: int) -> None:
        """Deletes the oldest revisions that no pod has (``used`` are names) beyond ``limit``."""
        idle = [one for one in present if objects.name(one) not in used]
        for one in idle[: max(0, len(idle) - limit)]:
            try:
                self._client.delete(kinds.CONTROLLER_REVISIONS, objects.name(one), objects.namespace(one))
            except errors.NotFound:
                _log.debug("revision %s is gone already", objects.name(one))

"""Claims: what they are filled from is told in two fields, one of them older than the other.

The older one names claims and snapshots only: of who knows no other field, anything else in it is dropped.
"""

from typing import Any

from kubeshim.control_plane.api_server.strategies import checked
from kubeshim.machinery import objects, resources

_OLD, _NEW = "dataSource", "dataSourceRef"
_KNOWN = (("", "PersistentVolumeClaim"), ("snapshot.storage.k8s.io", "VolumeSnapshot"))


class PersistentVolumeClaim(checked.Checked):
    def prepare_for_create(self, resource: resources.Resource, obj: objects.Object) -> None:
        super().prepare_for_create(resource, obj)
        normalize(obj.setdefault("spec", {}), {})

    def prepare_for_update(self, resource: resources.Resource, obj: objects.Object, old: objects.Object) -> None:
        super().prepare_for_update(resource, obj, old)
        normalize(obj.setdefault("spec", {}), old.get("spec") or {})


def normalize(spec: dict[str, Any], old: dict[str, Any]) -> None:
    """Each field says what the other says; one of another namespace has no place in the older field."""
    source, reference = spec.get(_OLD), spec.get(_NEW)
    if source is not None and reference is None:
        if old.get(_OLD) is None and (source.get("apiGroup") or "", source.get("kind")) not in _KNOWN:
            del spec[_OLD]
        else:
            spec[_NEW] = dict(source)
    elif reference is not None and source is None and not reference.get("namespace"):
        spec[_OLD] = {field: reference[field] for field in ("apiGroup", "kind", "name") if field in reference}

"""Deployments: the status door leaves labels alone."""

from kubeshim.control_plane.api_server.strategies import checked
from kubeshim.machinery import objects, resources


class Deployment(checked.Checked):
    def prepare_for_status_update(self, resource: resources.Resource, obj: objects.Object, old: objects.Object) -> None:
        super().prepare_for_status_update(resource, obj, old)
        metadata, before = obj.setdefault("metadata", {}), old.get("metadata") or {}
        metadata.pop("labels", None)
        if "labels" in before:
            metadata["labels"] = before["labels"]

"""Kinds of which the server changes a little before it stores them."""

from typing import Any

from kubeshim import clock
from kubeshim.control_plane.api_server.strategies.checked import Checked
from kubeshim.machinery import endpoint_subsets, objects, resources


class Endpoints(Checked):
    """Subsets have one form."""

    def canonicalize(self, resource: resources.Resource, obj: objects.Object) -> None:
        if subsets := endpoint_subsets.repacked(obj.get("subsets") or []):
            obj["subsets"] = subsets
        else:
            obj.pop("subsets", None)


class EndpointSlice(Checked):
    """Where endpoints stand is told by fields now: labels of places stay only with endpoints that stay as they are."""

    def prepare_for_create(self, resource: resources.Resource, obj: objects.Object) -> None:
        super().prepare_for_create(resource, obj)
        _drop_topology(obj)

    def prepare_for_update(self, resource: resources.Resource, obj: objects.Object, old: objects.Object) -> None:
        super().prepare_for_update(resource, obj, old)
        if obj.get("endpoints") != old.get("endpoints"):
            _drop_topology(obj)


def _drop_topology(obj: objects.Object) -> None:
    for endpoint in obj.get("endpoints") or ():
        endpoint.pop("deprecatedTopology", None)


class LimitRange(Checked):
    """One without a name gets one."""

    def prepare_for_create(self, resource: resources.Resource, obj: objects.Object) -> None:
        super().prepare_for_create(resource, obj)
        if not objects.name(obj):
            obj["metadata"]["name"] = objects.new_uid()


class ServiceAccount(Checked):
    """Of its secrets only the names matter."""

    def prepare_for_create(self, resource: resources.Resource, obj: objects.Object) -> None:
        super().prepare_for_create(resource, obj)
        _only_names(obj)

    def prepare_for_update(self, resource: resources.Resource, obj: objects.Object, old: objects.Object) -> None:
        super().prepare_for_update(resource, obj, old)
        _only_names(obj)


def _only_names(obj: objects.Object) -> None:
    secrets: list[dict[str, Any]] = obj.get("secrets") or []
    for reference in secrets:
        name = reference.get("name")
        reference.clear()
        if name:
            reference["name"] = name


class IPAddress(Checked):
    """The name is the address, so nothing is put behind it."""

    generated_suffix = False


class APIService(Checked):
    """What this server itself serves is there."""

    def prepare_for_create(self, resource: resources.Resource, obj: objects.Object) -> None:
        super().prepare_for_create(resource, obj)
        if not objects.dig(obj, "spec", "service"):
            condition = {
                "type": "Available", "status": "True", "reason": "Local",
                "message": "Local APIServices are always available",
                "lastTransitionTime": clock.rfc3339(clock.SYSTEM.now()),
            }  # fmt: skip
            obj["status"] = {"conditions": [condition]}

"""Endpoints that people write by hand are mirrored as EndpointSlices: of Services without a selector."""

import logging
from typing import Any

from kubeshim.client import kinds
from kubeshim.control_plane.controller_manager import controller, endpoints, pod_control, slices
from kubeshim.machinery import errors, objects
from kubeshim.machinery.objects import Object

_log = logging.getLogger(__name__)

MANAGER = "endpointslicemirroring-controller.k8s.io"
SKIP = "endpointslice.kubernetes.io/skip-mirror"
LEADER = "control-plane.alpha.kubernetes.io/leader"
CAPACITY = 1000
NOT_COPIED = frozenset({endpoints.TRIGGER_TIME, "kubectl.kubernetes.io/last-applied-configuration"})


class EndpointSliceMirroringController(controller.Controller):
    name = "endpointslice-mirroring"
    component = "endpoint-slice-mirroring-controller"

    def register(self) -> None:
        self._endpoints = self.watch(kinds.ENDPOINTS)
        self._services = self.watch(kinds.SERVICES)
        self._slices = self.informer(kinds.ENDPOINT_SLICES)
        self._slices.add_index("mirrored", _mirrored)
        self._slices.add_handler(updated=lambda _, new: self._slice_changed(new), deleted=self._slice_changed)

    def _slice_changed(self, one: Object) -> None:
        for key in _mirrored(one):
            self.queue.add(key)

    def sync(self, key: str) -> None:
        source, service = self._endpoints.get(key), self._services.get(key)
        existing = self._slices.by_index("mirrored", key)
        if source is None or service is None or service["spec"].get("selector") or not should_mirror(source):
            plan = slices.Plan(delete=existing)
        else:
            groups = mirror(source)
            plan = slices.plan(groups, existing, metadata(source), self.context.options.max_endpoints_per_slice)
        try:
            for one in plan.create:
                self.client.create(kinds.ENDPOINT_SLICES, one)
            for one in plan.update:
                self.client.update(kinds.ENDPOINT_SLICES, one)
            for one in plan.delete:
                self._delete(one)
        except errors.APIStatusError as error:
            if not pod_control.namespace_is_going(error):
                raise

    def _delete(self, one: Object) -> None:
        try:
            self.client.delete(kinds.ENDPOINT_SLICES, objects.name(one), objects.namespace(one))
        except errors.NotFound:
            _log.debug("slice %s is gone already", objects.key(one))


def _mirrored(one: Object) -> tuple[str, ...]:
    labels = objects.labels(one)
    if labels.get(slices.MANAGED_BY) != MANAGER or not labels.get(slices.SERVICE_NAME):
        return ()
    return (f"{objects.namespace(one)}/{labels[slices.SERVICE_NAME]}",)


def should_mirror(source: Object) -> bool:
    return objects.labels(source).get(SKIP) != "true" and LEADER not in objects.annotations(source)


def metadata(source: Object) -> Object:
    labels = {key: value for key, value in objects.labels(source).items() if key != slices.SERVICE_NAME}
    labels |= {slices.SERVICE_NAME: objects.name(source), slices.MANAGED_BY: MANAGER}
    made: Object = {
        "generateName": f"{objects.name(source)}-",
        "namespace": objects.namespace(source),
        "labels": labels,
        "ownerReferences": [objects.owner_reference(source)],
    }
    annotations = {key: value for key, value in objects.annotations(source).items() if key not in NOT_COPIED}
    if annotations:
        made["annotations"] = annotations
    return made


def mirror(source: Object) -> list[slices.Group]:
    """The subsets as groups, by address family; an address that is ready somewhere is ready. Pure."""
    found: dict[bytes, slices.Group] = {}
    for subset in source.get("subsets") or ():
        ports = [{"name": "", "protocol": "TCP", **port} for port in subset.get("ports") or ()]
        listed = [(one, True) for one in subset.get("addresses") or ()][:CAPACITY]
        listed += [(one, False) for one in subset.get("notReadyAddresses") or ()][: CAPACITY - len(listed)]
        for address, ready in listed:
            family = endpoints.family_of(address["ip"])
            group = slices.Group(family, ports, [])
            group = found.setdefault(group.key, group)
            assert isinstance(group.endpoints, list)
            if all(one["addresses"] != [address["ip"]] for one in group.endpoints):
                group.endpoints.append(_endpoint(address, ready))
    return list(found.values())


def _endpoint(address: Object, ready: bool) -> dict[str, Any]:
    made: dict[str, Any] = {"addresses": [address["ip"]], "conditions": {"ready": ready}}
    for field in ("hostname", "nodeName", "targetRef"):
        if address.get(field):
            made[field] = address[field]
    return made

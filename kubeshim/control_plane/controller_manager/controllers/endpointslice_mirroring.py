"""Endpoints that people write by hand are mirrored as EndpointSlices: of Services without a selector."""

import logging
from typing import Any

import orjson

from kubeshim.client import kinds
from kubeshim.control_plane.controller_manager import controller, endpoints, pod_control, slice_writes, slices
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
        self._writes = slice_writes.Writes()
        self._slices.add_handler(
            added=self._slice_changed, updated=lambda _, new: self._slice_changed(new), deleted=self._slice_deleted
        )

    def _slice_changed(self, one: Object) -> None:
        for key in _mirrored(one):
            if not self._writes.shown(key, one):
                self.queue.add(key)

    def _slice_deleted(self, one: Object) -> None:
        for key in _mirrored(one):
            self._writes.gone(key, one)
            self.queue.add(key)

    def sync(self, key: str) -> None:
        source, service = self._endpoints.get(key), self._services.get(key)
        if self._writes.behind(key, self.queue.failures(key)):
            raise errors.Conflict("the cache has not shown our own writes yet")
        existing = [one for one in self._slices.by_index("mirrored", key) if not objects.is_deleting(one)]
        if source is None or service is None or service["spec"].get("selector") or not should_mirror(source):
            plan = slices.Plan(delete=existing)
        else:
            groups = mirror(source)
            plan = slices.plan(groups, existing, metadata(source), self.context.options.max_endpoints_per_slice)
        try:
            for one in plan.create:
                self._remember(key, self.client.create(kinds.ENDPOINT_SLICES, one))
            for one in plan.update:
                self._remember(key, self.client.update(kinds.ENDPOINT_SLICES, one))
            for one in plan.delete:
                self._delete(key, one)
        except errors.APIStatusError as error:
            if not pod_control.namespace_is_going(error):
                raise

    def _remember(self, key: str, written: Object) -> None:
        self._writes.wrote(key, written, self._slices.get(objects.key(written)))

    def _delete(self, key: str, one: Object) -> None:
        self._writes.deleting(key, one)
        try:
            self.client.delete(kinds.ENDPOINT_SLICES, objects.name(one), objects.namespace(one))
        except errors.NotFound:
            _log.debug("slice %s is gone already", objects.key(one))
            self._writes.gone(key, one)
        if self._slices.get(objects.key(one)) is None:
            self._writes.gone(key, one)


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
    made["annotations"] = {key: value for key, value in objects.annotations(source).items() if key not in NOT_COPIED}
    return made


def mirror(source: Object) -> list[slices.Group]:
    """The subsets as groups, by address family: ports that lead to the same addresses share a group. Pure.

    Of an address that a port has twice, the first counts, ready ones before others.
    """
    subsets = source.get("subsets") or ()
    by_port: dict[bytes, tuple[dict[str, Any], dict[str, dict[str, Any]]]] = {}
    for field, ready in (("addresses", True), ("notReadyAddresses", False)):
        for subset in subsets:
            for port in [{"name": "", "protocol": "TCP", **one} for one in subset.get("ports") or ()] or [{}]:
                _, reached = by_port.setdefault(orjson.dumps(port, option=orjson.OPT_SORT_KEYS), (port, {}))
                for address in subset.get(field) or ():
                    reached.setdefault(address["ip"], _endpoint(address, ready))
    shared: dict[bytes, tuple[list[dict[str, Any]], list[dict[str, Any]]]] = {}
    for port, reached in by_port.values():
        same = orjson.dumps(reached, option=orjson.OPT_SORT_KEYS)
        shared.setdefault(same, ([], list(reached.values())))[0].append(port)
    found: list[slices.Group] = []
    for ports, listed in shared.values():
        families: dict[str, list[dict[str, Any]]] = {}
        for endpoint in listed[:CAPACITY]:
            families.setdefault(endpoints.family_of(endpoint["addresses"][0]), []).append(endpoint)
        found += [slices.Group(family, [one for one in ports if one], these) for family, these in families.items()]
    return found


def _endpoint(address: Object, ready: bool) -> dict[str, Any]:
    made: dict[str, Any] = {"addresses": [address["ip"]], "conditions": {"ready": ready}}
    for field in ("hostname", "nodeName", "targetRef"):
        if address.get(field):
            made[field] = address[field]
    return made

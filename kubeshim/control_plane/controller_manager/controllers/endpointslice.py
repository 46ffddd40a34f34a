"""EndpointSlices of every Service with a selector: what kube-proxy and DNS go by.

Unlike Endpoints they keep pods that are on their way out, as ``terminating``, so that a proxy can drain. A turn waits
until the cache shows the slices we wrote (``own_writes``).
"""

import threading
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from kubeshim.client import kinds
from kubeshim.control_plane.controller_manager import (
    controller,
    endpoints,
    indexes,
    own_writes,
    pod_control,
    pods,
    slices,
    topology_hints,
    trigger_times,
)
from kubeshim.machinery import errors, objects
from kubeshim.machinery.objects import Object

MANAGER = "endpointslice-controller.k8s.io"
_SAME_NODE = "PreferSameNode"
_NEAR = ("PreferClose", "PreferSameZone", _SAME_NODE)
OWN_LABELS = frozenset({slices.SERVICE_NAME, slices.MANAGED_BY, endpoints.HEADLESS})


class EndpointSliceController(controller.Controller):
    name = "endpointslice"
    component = "endpoint-slice-controller"
    workers = 4

    def register(self) -> None:
        self._services = indexes.by_namespace(self.watch(kinds.SERVICES))
        self._pods = indexes.by_namespace(self.informer(kinds.PODS))
        self._pods.add_handler(added=self._pod_changed, updated=self._pod_updated, deleted=self._pod_changed)
        self._nodes = self.informer(kinds.NODES)
        self._nodes.add_handler(added=self._node_seen, updated=self._node_updated, deleted=self._node_seen)
        self._slices = self.informer(kinds.ENDPOINT_SLICES)
        self._slices.add_index("service", _service_of)
        self._slices.add_handler(
            added=self._slice_changed, updated=lambda _, new: self._slice_changed(new), deleted=self._slice_deleted
        )
        self._lock = threading.Lock()
        self._moments = trigger_times.Tracker()
        self._told: dict[tuple[str, str], str] = {}
        """(Service, address type) → why its endpoints have no hints by zones; empty where they have."""
        self._writes = own_writes.Writes(self.clock)

    def _pod_changed(self, *versions: Object) -> None:
        for service in self._services.by_index("namespace", objects.namespace(versions[0])):
            if any(endpoints.selects(service, pod) for pod in versions):
                self.enqueue(service)

    def _pod_updated(self, old: Object, new: Object) -> None:
        if endpoints.matters(old, new):
            self._pod_changed(old, new)

    def _node_seen(self, node: Object) -> None:
        """Processors come or go: who spreads by them spreads anew."""
        for service in self._services.list():
            if topology_hints.wanted(service):
                self.enqueue(service)

    def _node_updated(self, old: Object, new: Object) -> None:
        if _zone(old) != _zone(new):
            for service in self._services.list():
                self.enqueue(service)
        elif topology_hints.shares([old]) != topology_hints.shares([new]) or _cpu(old) != _cpu(new):
            self._node_seen(new)

    def _slice_changed(self, one: Object) -> None:
        for key in _service_of(one):
            if not self._writes.shown(key, one):
                self.queue.add(key)

    def _slice_deleted(self, one: Object) -> None:
        for key in _service_of(one):
            self._writes.gone(key, one)
            self.queue.add(key)

    def sync(self, key: str) -> float | None:
        result = "error"
        try:
            self._sync(key)
            result = "success"
        except errors.Conflict:
            result = "stale"
            raise
        finally:
            self.metrics.slices.syncs.add(result)
        return None

    def _sync(self, key: str) -> None:
        service = self._services.get(key)
        if service is None:
            self._writes.forget(key)
            self.metrics.slices.forget(key)
            with self._lock:
                self._moments.forget(key)
                self._told = {name: why for name, why in self._told.items() if name[0] != key}
            return  # the garbage collector takes the slices
        if not service["spec"].get("selector") or service["spec"].get("type") == "ExternalName":
            return
        if self._writes.behind(key):
            raise errors.Conflict("the cache has not shown our own writes yet")
        candidates = [
            pod
            for pod in self._pods.by_index("namespace", objects.namespace(service))
            if endpoints.selects(service, pod) and endpoints.belongs(pod, terminating=True)
        ]
        nodes = self._nodes.list()
        zones = {objects.name(node): _zone(node) for node in nodes}
        lost = without_node(service, candidates, zones)
        groups = group(service, [pod for pod in candidates if pod not in lost], zones)
        by_zones = topology_hints.wanted(service)
        distribution = str(service["spec"].get("trafficDistribution") or "")
        self.metrics.slices.spread(key, distribution, by_zones=by_zones)
        if by_zones:
            groups = [self._spread(key, service, one, topology_hints.shares(nodes)) for one in groups]
        existing = [one for one in self._slices.by_index("service", key) if not objects.is_deleting(one)]
        capacity = self.context.options.max_endpoints_per_slice
        moment = self._moments.look(key, service, candidates)
        plan = slices.plan(groups, existing, metadata(service), capacity)
        self.metrics.slices.planned(key, groups, existing, plan, capacity)
        self._carry_out(key, service, plan, moment)
        self.metrics.slices.carried_out(plan, distribution, by_zones=by_zones)
        if lost:
            why = ", ".join(
                f"skipping Pod {objects.name(pod)} for Service {key}: Node {pod['spec']['nodeName']} Not Found"
                for pod in lost
            )
            text = f"Error updating Endpoint Slices for Service {key}: {why}"
            self.recorder.event(service, "Warning", "FailedToUpdateEndpointSlices", text)
            raise errors.NotFound(why)

    def _spread(self, key: str, service: Object, one: slices.Group, shares: dict[str, float]) -> slices.Group:
        """The group with hints by zones, or with none where that cannot be; the first of either is told."""
        ready = [endpoint for endpoint in one.endpoints if endpoint["conditions"]["ready"]]
        why = ""
        try:
            serving = topology_hints.assign([endpoint.get("zone", "") for endpoint in ready], shares)
        except topology_hints.Impossible as error:
            serving, why = [], str(error)
        with self._lock:
            before = self._told.get((key, one.address_type))
            self._told[(key, one.address_type)] = why
        if why != before and (why or before is not None or ready):
            reason = "TopologyAwareHintsDisabled" if why else "TopologyAwareHintsEnabled"
            text = f"{why}, addressType: {one.address_type}"
            if not why:
                text = f"Topology Aware Hints has been enabled, addressType: {one.address_type}"
            self.recorder.event(service, "Warning" if why else "Normal", reason, text)
        zones = iter(serving)
        hinted = []
        for endpoint in one.endpoints:
            plain = {field: value for field, value in endpoint.items() if field != "hints"}
            if serving and endpoint["conditions"]["ready"]:
                plain["hints"] = {"forZones": [{"name": next(zones)}]}
            hinted.append(plain)
        return slices.Group(one.address_type, one.ports, hinted)

    def _carry_out(self, key: str, service: Object, plan: slices.Plan, moment: str) -> None:
        for one in (*plan.create, *plan.update):
            one["metadata"] = trigger_times.annotated(one["metadata"], moment)
        try:
            for one in plan.create:
                self._remember(key, self.client.create(kinds.ENDPOINT_SLICES, one))
                self.metrics.slices.changes.add("create")
            for one in plan.update:
                self._remember(key, self.client.update(kinds.ENDPOINT_SLICES, one))
                self.metrics.slices.changes.add("update")
            for one in plan.delete:
                self._delete(key, one)
                self.metrics.slices.changes.add("delete")
        except errors.Conflict:
            raise
        except errors.APIStatusError as error:
            if pod_control.namespace_is_going(error):
                return
            text = f"Error updating Endpoint Slices for Service {key}: {error}"
            self.recorder.event(service, "Warning", "FailedToUpdateEndpointSlices", text)
            raise

    def _remember(self, key: str, written: Object) -> None:
        self._writes.wrote(key, written, lambda: self._slices.get(objects.key(written)))

    def _delete(self, key: str, one: Object) -> None:
        def delete() -> None:
            self.client.delete(kinds.ENDPOINT_SLICES, objects.name(one), objects.namespace(one))

        self._writes.delete(key, one, delete, lambda: self._slices.get(objects.key(one)))


def _service_of(one: Object) -> tuple[str, ...]:
    labels = objects.labels(one)
    if labels.get(slices.MANAGED_BY) != MANAGER or not labels.get(slices.SERVICE_NAME):
        return ()
    return (f"{objects.namespace(one)}/{labels[slices.SERVICE_NAME]}",)


def _zone(node: Object) -> str:
    return objects.labels(node).get("topology.kubernetes.io/zone", "")


def _cpu(node: Object) -> object:
    return objects.dig(node, "status", "allocatable", "cpu", default="")


def metadata(service: Object) -> Object:
    """What all slices of the Service have in common. Pure."""
    labels = {key: value for key, value in objects.labels(service).items() if key not in OWN_LABELS}
    labels[slices.SERVICE_NAME] = objects.name(service)
    labels[slices.MANAGED_BY] = MANAGER
    if endpoints.is_headless(service):
        labels[endpoints.HEADLESS] = ""
    return {
        "generateName": f"{objects.name(service)}-",
        "namespace": objects.namespace(service),
        "labels": labels,
        "ownerReferences": [objects.owner_reference(service)],
    }


def without_node(service: Object, candidates: Sequence[Object], nodes: Mapping[str, str]) -> list[Object]:
    """The pods whose node is not there (any more): traffic would be lost, unless it is asked for anyway. Pure."""
    if service["spec"].get("publishNotReadyAddresses"):
        return []
    return [pod for pod in candidates if (name := pod["spec"].get("nodeName")) and name not in nodes]


def group(service: Object, candidates: Sequence[Object], zones: dict[str, str]) -> list[slices.Group]:
    """The pods as endpoints, by address type and ports. With no pods: one empty group a family. Pure."""
    groups: list[slices.Group] = []
    for family in endpoints.families(service):
        found: dict[bytes, tuple[list[dict[str, Any]], list[dict[str, Any]]]] = {}
        for pod in sorted(candidates, key=objects.name):
            address = endpoints.address_of(pod, family)
            if address is None:
                continue
            ports = _ports(service, pod)
            entry = found.setdefault(orjson.dumps(ports), (ports, []))
            entry[1].append(endpoint(service, pod, address, zones))
        groups += [slices.Group(family, ports, listed) for ports, listed in found.values()]
        if not found:
            groups.append(slices.Group(family, [], []))
    return groups


def endpoint(service: Object, pod: Object, address: str, zones: dict[str, str]) -> dict[str, Any]:
    terminating = objects.is_deleting(pod)
    serving = pods.is_ready(pod)
    publish_all = bool(service["spec"].get("publishNotReadyAddresses"))
    result: dict[str, Any] = {
        "addresses": [address],
        "conditions": {
            "ready": publish_all or (serving and not terminating),
            "serving": serving,
            "terminating": terminating,
        },
    }
    if hostname := endpoints.hostname_of(pod, service):
        result["hostname"] = hostname
    result["targetRef"] = endpoints.target_of(pod)
    if node := pod["spec"].get("nodeName"):
        result["nodeName"] = node
        if zone := zones.get(node):
            result["zone"] = zone
    if result["conditions"]["ready"] and (found := hints(service, result)):
        result["hints"] = found
    return result


def hints(service: Object, endpoint: dict[str, Any]) -> dict[str, Any]:
    """For whom a ready endpoint is, where the Service asks for traffic to stay near (``trafficDistribution``)."""
    wanted = service["spec"].get("trafficDistribution")
    found: dict[str, Any] = {}
    if wanted in _NEAR and "zone" in endpoint:
        found["forZones"] = [{"name": endpoint["zone"]}]
    if wanted == _SAME_NODE and "nodeName" in endpoint:
        found["forNodes"] = [{"name": endpoint["nodeName"]}]
    return found


def _ports(service: Object, pod: Object) -> list[dict[str, Any]]:
    found = []
    for port in service["spec"].get("ports") or ():
        number = endpoints.target_port(pod, port)
        if number is None:
            continue
        entry = {"name": port.get("name") or "", "protocol": port.get("protocol") or "TCP", "port": number}
        if port.get("appProtocol"):
            entry["appProtocol"] = port["appProtocol"]
        found.append(entry)
    return found

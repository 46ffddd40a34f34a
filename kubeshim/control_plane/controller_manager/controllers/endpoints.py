"""The legacy Endpoints object of every Service with a selector.

Ready addresses are those of ready pods (of all pods, where the Service says ``publishNotReadyAddresses``);
pods on their way out are left away. At most a thousand addresses; more are cut and an annotation says so.
"""

import logging
from collections.abc import Sequence
from typing import Any

import orjson

from kubeshim.client import kinds
from kubeshim.control_plane.controller_manager import controller, indexes, pod_control, pods, trigger_times
from kubeshim.control_plane.controller_manager import endpoints as rules
from kubeshim.machinery import endpoint_subsets, errors, objects
from kubeshim.machinery.objects import Object

_log = logging.getLogger(__name__)

CAPACITY = 1000
OVER_CAPACITY = "endpoints.kubernetes.io/over-capacity"
MANAGED_BY = "endpoints.kubernetes.io/managed-by"
MANAGER = "endpoint-controller"


class EndpointsController(controller.Controller):
    name = "endpoints"
    component = "endpoint-controller"
    workers = 4

    def register(self) -> None:
        self._services = indexes.by_namespace(self.watch(kinds.SERVICES))
        self._pods = indexes.by_namespace(self.informer(kinds.PODS))
        self._pods.add_handler(added=self._pod_changed, updated=self._pod_updated, deleted=self._pod_changed)
        self._moments = trigger_times.Tracker()
        self._endpoints = self.informer(kinds.ENDPOINTS)
        self._endpoints.add_handler(added=self._seen, deleted=self.enqueue)

    def _seen(self, one: Object) -> None:
        """Its Service may have gone while nobody looked; those that people write are left alone."""
        if objects.labels(one).get(MANAGED_BY) == MANAGER:
            self.enqueue(one)

    def _pod_changed(self, *versions: Object) -> None:
        for service in self._services.by_index("namespace", objects.namespace(versions[0])):
            if any(rules.selects(service, pod) for pod in versions):
                self.enqueue(service)

    def _pod_updated(self, old: Object, new: Object) -> None:
        if rules.matters(old, new):
            self._pod_changed(old, new)

    def sync(self, key: str) -> None:
        service = self._services.get(key)
        if service is None:
            self._moments.forget(key)
            self._delete(key)
            return
        if not service["spec"].get("selector") or service["spec"].get("type") == "ExternalName":
            return
        candidates = [
            pod for pod in self._pods.by_index("namespace", objects.namespace(service)) if rules.selects(service, pod)
        ]
        current = self._endpoints.get(key)
        wanted = build(service, candidates, current)
        moment = self._moments.look(key, service, candidates)
        if current is not None and not _differs(current, wanted):
            return
        wanted["metadata"] = trigger_times.annotated(wanted["metadata"], moment)
        try:
            if current is None:
                self.client.create(kinds.ENDPOINTS, wanted)
            else:
                self.client.update(kinds.ENDPOINTS, wanted)
        except errors.NotFound:
            _log.debug("the Endpoints %s are gone", key)
        except errors.AlreadyExists:
            raise
        except errors.APIStatusError as error:
            if pod_control.namespace_is_going(error):
                return
            reason = "FailedToCreateEndpoint" if current is None else "FailedToUpdateEndpoint"
            verb = "create" if current is None else "update"
            text = f"Failed to {verb} endpoint {key}: {error}"
            self.recorder.event(current or service, "Warning", reason, text)
            raise

    def _delete(self, key: str) -> None:
        there = self._endpoints.get(key)
        if there is None:
            return
        name, namespace = objects.name(there), objects.namespace(there)
        try:
            self.client.get(kinds.SERVICES, name, namespace)
            return  # the cache is behind: its own event will come
        except errors.NotFound:
            options = {"preconditions": {"uid": objects.uid(there)}}
        try:
            self.client.delete(kinds.ENDPOINTS, name, namespace, options=options)
        except errors.NotFound:
            _log.debug("the Endpoints %s are gone already", key)


def build(service: Object, candidates: Sequence[Object], current: Object | None) -> Object:
    """The Endpoints that ``service`` should have. Pure."""
    groups: dict[bytes, dict[str, Any]] = {}
    count = 0
    publish_all = bool(service["spec"].get("publishNotReadyAddresses"))
    family = rules.families(service)[0]
    for pod in sorted(candidates, key=objects.name):
        if not rules.belongs(pod, terminating=publish_all):
            continue
        ip = rules.address_of(pod, family)
        if ip is None:
            continue
        ports = _ports(service, pod)
        if ports is None:
            continue
        kind = "addresses" if publish_all or pods.is_ready(pod) else "notReadyAddresses"
        group = groups.setdefault(orjson.dumps(ports), {"addresses": [], "notReadyAddresses": [], "ports": ports})
        group[kind].append(_address(pod, ip, service))
        count += 1
    subsets, over = _truncate(endpoint_subsets.repacked(list(groups.values())), count)
    annotations = {**objects.annotations(current or {})}
    annotations.pop(OVER_CAPACITY, None)
    if over:
        annotations[OVER_CAPACITY] = "truncated"
    labels = {key: value for key, value in objects.labels(service).items() if key != rules.HEADLESS}
    labels[MANAGED_BY] = MANAGER
    if rules.is_headless(service):
        labels[rules.HEADLESS] = ""
    metadata: Object = {"name": objects.name(service), "namespace": objects.namespace(service), "labels": labels}
    if current is not None:
        metadata = {**current["metadata"], "labels": labels}
    if annotations:
        metadata["annotations"] = annotations
    else:
        metadata.pop("annotations", None)
    wanted: Object = {"apiVersion": "v1", "kind": "Endpoints", "metadata": metadata}
    if subsets:
        wanted["subsets"] = subsets
    return wanted


def _address(pod: Object, ip: str, service: Object) -> dict[str, Any]:
    address: dict[str, Any] = {"ip": ip}
    if hostname := rules.hostname_of(pod, service):
        address["hostname"] = hostname
    if node := pod["spec"].get("nodeName"):
        address["nodeName"] = node
    address["targetRef"] = rules.target_of(pod)
    return address


def _ports(service: Object, pod: Object) -> list[dict[str, Any]] | None:
    """The pod's ports; None where the Service has ports and the pod none of them."""
    listed = service["spec"].get("ports") or []
    found = []
    for port in listed:
        number = rules.target_port(pod, port)
        if number is None:
            continue
        entry = {"name": port.get("name"), "port": number, "protocol": port.get("protocol") or "TCP"}
        entry["appProtocol"] = port.get("appProtocol")
        found.append({key: value for key, value in entry.items() if value})
    if listed and not found:
        return None
    return sorted(found, key=orjson.dumps)


def _truncate(subsets: list[dict[str, Any]], count: int) -> tuple[list[dict[str, Any]], bool]:
    """Cuts to the capacity: ready addresses stay before others."""
    if count <= CAPACITY:
        return subsets, False
    left = CAPACITY
    for field in ("addresses", "notReadyAddresses"):
        for subset in subsets:
            subset[field] = (subset.get(field) or [])[:left]
            left -= len(subset[field])
    kept = [{field: value for field, value in subset.items() if value} for subset in subsets]
    return [subset for subset in kept if subset.get("addresses") or subset.get("notReadyAddresses")], True


def _differs(current: Object, wanted: Object) -> bool:
    return (
        (current.get("subsets") or []) != (wanted.get("subsets") or [])
        or objects.labels(current) != objects.labels(wanted)
        or (OVER_CAPACITY in objects.annotations(current)) != (OVER_CAPACITY in objects.annotations(wanted))
    )

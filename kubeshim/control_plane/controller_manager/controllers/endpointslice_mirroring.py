"""Endpoints that people write by hand are mirrored as EndpointSlices: of Services without a selector."""

import dataclasses
import time
from typing import Any

from kubeshim.client import kinds
from kubeshim.control_plane.controller_manager import controller, endpoints, own_writes, pod_control, slices
from kubeshim.machinery import endpoint_subsets, errors, objects
from kubeshim.machinery.objects import Object
from kubeshim.machinery.validation import content

MANAGER = "endpointslicemirroring-controller.k8s.io"
SKIP = "endpointslice.kubernetes.io/skip-mirror"
LEADER = "control-plane.alpha.kubernetes.io/leader"
CAPACITY = 1000
"""Addresses of a subset that are mirrored, all in one slice of their family."""
NOT_COPIED = frozenset({endpoints.TRIGGER_TIME, "kubectl.kubernetes.io/last-applied-configuration"})


class EndpointSliceMirroringController(controller.Controller):
    name = "endpointslice-mirroring"
    component = "endpoint-slice-mirroring-controller"

    def register(self) -> None:
        self._endpoints = self.watch(kinds.ENDPOINTS)
        self._services = self.watch(kinds.SERVICES)
        self._slices = self.informer(kinds.ENDPOINT_SLICES)
        self._slices.add_index("mirrored", _mirrored)
        self._writes = own_writes.Writes(self.clock)
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
        started = time.monotonic()
        try:
            self._sync(key)
        finally:
            self.metrics.mirrored.seconds.observe(time.monotonic() - started)

    def _sync(self, key: str) -> None:
        source, service = self._endpoints.get(key), self._services.get(key)
        if self._writes.behind(key):
            raise errors.Conflict("the cache has not shown our own writes yet")
        existing = [one for one in self._slices.by_index("mirrored", key) if not objects.is_deleting(one)]
        counted = self.metrics.mirrored
        if source is None or service is None or service["spec"].get("selector") or not should_mirror(source):
            plan = slices.Plan(delete=existing)
            counted.forget(key)
        else:
            mirrored = mirror(source)
            self._tell(source, mirrored)
            plan = slices.plan(mirrored.groups, existing, metadata(source), CAPACITY, annotated=True)
            counted.skipped.observe(mirrored.skipped)
            counted.updated.observe(counted.planned(key, mirrored.groups, existing, plan, CAPACITY))
        try:
            for one in plan.create if source is not None and not objects.is_deleting(source) else ():
                self._remember(key, self.client.create(kinds.ENDPOINT_SLICES, one))
                counted.changes.add("create")
            for one in plan.update:
                self._remember(key, self.client.update(kinds.ENDPOINT_SLICES, one))
                counted.changes.add("update")
            for one in plan.delete:
                self._delete(key, one)
                counted.changes.add("delete")
        except errors.APIStatusError as error:
            if not pod_control.namespace_is_going(error):
                raise

    def _tell(self, source: Object, mirrored: "Mirrored") -> None:
        if mirrored.invalid:
            text = f"Skipped {mirrored.invalid} invalid IP addresses when mirroring to EndpointSlices"
            self.recorder.event(source, "Warning", "InvalidIPAddress", text)
        if mirrored.skipped > mirrored.invalid:
            text = f"A max of {CAPACITY} addresses can be mirrored to EndpointSlices per Endpoints subset. "
            text += f"{mirrored.skipped} addresses were skipped"
            self.recorder.event(source, "Warning", "TooManyAddressesToMirror", text)

    def _remember(self, key: str, written: Object) -> None:
        self._writes.wrote(key, written, lambda: self._slices.get(objects.key(written)))

    def _delete(self, key: str, one: Object) -> None:
        def delete() -> None:
            self.client.delete(kinds.ENDPOINT_SLICES, objects.name(one), objects.namespace(one))

        self._writes.delete(key, one, delete, lambda: self._slices.get(objects.key(one)))


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


@dataclasses.dataclass(frozen=True, slots=True)
class Mirrored:
    groups: list[slices.Group]
    invalid: int
    """Addresses that are none."""
    skipped: int
    """Those, and those for which there is no room."""


def mirror(source: Object) -> Mirrored:
    """The subsets as groups, by address family. Pure."""
    found: dict[bytes, slices.Group] = {}
    invalid = skipped = 0
    for subset in endpoint_subsets.repacked(source.get("subsets") or []):
        ports = [{"name": "", "protocol": "TCP", **port} for port in subset.get("ports") or ()]
        listed = [(one, True) for one in subset.get("addresses") or ()]
        listed += [(one, False) for one in subset.get("notReadyAddresses") or ()]
        added = 0
        for address, ready in listed:
            if added >= CAPACITY:
                break
            if (text := _canonical(str(address["ip"]))) is None:
                invalid += 1
                continue
            added += 1
            group = slices.Group(endpoints.family_of(text), ports, [])
            group = found.setdefault(group.key, group)
            assert isinstance(group.endpoints, list)
            group.endpoints.append(_endpoint(address, text, ready))
        skipped += len(listed) - added
    return Mirrored(list(found.values()), invalid, skipped)


def _canonical(text: str) -> str | None:
    """An address as it is always written: those of before may have leading zeros, or wrap one of IPv4 in IPv6."""
    found = content.sloppy_ip(text)
    return None if found is None else str(content.unmapped(found[0]))


def _endpoint(address: Object, text: str, ready: bool) -> dict[str, Any]:
    made: dict[str, Any] = {"addresses": [text], "conditions": {"ready": ready}}
    for field in ("hostname", "nodeName", "targetRef"):
        if address.get(field):
            made[field] = address[field]
    return made

"""Packing endpoints into EndpointSlices with few writes. Pure.

Endpoints with the same ports share slices. An endpoint that is already in a slice stays there and is changed
in place; new ones fill up slices that change anyway, then the fullest slice they fit in; slices with nothing
left are deleted. So one pod's change rewrites one slice, whatever the size of the Service.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import orjson

from kubeshim.machinery import objects
from kubeshim.machinery.objects import Object

SERVICE_NAME = "kubernetes.io/service-name"
MANAGED_BY = "endpointslice.kubernetes.io/managed-by"


@dataclasses.dataclass(slots=True)
class Plan:
    create: list[Object] = dataclasses.field(default_factory=list)
    update: list[Object] = dataclasses.field(default_factory=list)
    delete: list[Object] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True, slots=True)
class Group:
    """Endpoints of one address type that have the same ports."""

    address_type: str
    ports: Sequence[dict[str, Any]]
    endpoints: Sequence[dict[str, Any]]

    @property
    def key(self) -> bytes:
        return group_key(self.address_type, self.ports)


def group_key(address_type: str, ports: Sequence[dict[str, Any]]) -> bytes:
    plain = [{k: v for k, v in port.items() if v is not None and v != ""} for port in ports]
    listed = sorted(orjson.dumps(port, option=orjson.OPT_SORT_KEYS) for port in plain)
    return address_type.encode() + b"|" + b",".join(listed)


def plan(
    groups: Sequence[Group], existing: Sequence[Object], metadata: Object, capacity: int, *, annotated: bool = False
) -> Plan:
    """What to write so that ``existing`` slices tell ``groups``.

    ``metadata`` (labels, annotations, ownerReferences, generateName, namespace) is what every slice shall have; those
    that are ``annotated`` have these annotations at all times and no others.
    """
    if annotated:
        metadata = {**metadata, "annotations": metadata.get("annotations") or {}}
        existing = [one if _is_annotated(one, metadata) else _stripped(one) for one in existing]
    result = Plan()
    by_key: dict[bytes, list[Object]] = {}
    for one in existing:
        by_key.setdefault(group_key(one["addressType"], one.get("ports") or ()), []).append(one)
    for group in groups:
        _plan_group(group, by_key.pop(group.key, []), metadata, capacity, result)
    for unwanted in by_key.values():
        result.delete += unwanted
    # A slice of other ports that would be deleted is not reused: its address type or ports cannot match.
    return result


def _plan_group(group: Group, existing: list[Object], metadata: Object, capacity: int, result: Plan) -> None:
    if not group.endpoints:
        _plan_placeholder(group, existing, metadata, result)
        return
    missing = {identity(endpoint): endpoint for endpoint in group.endpoints}
    kept: list[tuple[Object, list[dict[str, Any]], bool]] = []
    for one in existing:
        before = one.get("endpoints") or []
        after = [missing.pop(identity(endpoint)) for endpoint in before if identity(endpoint) in missing]
        changed = after != before or _metadata_differs(one, metadata)
        kept.append((one, after, changed))
    fresh = list(missing.values())
    # Slices that are written anyway take new endpoints first.
    for index in sorted(range(len(kept)), key=lambda i: (not kept[i][2], -len(kept[i][1]))):
        one, after, changed = kept[index]
        room = capacity - len(after)
        must = changed or len(fresh) <= room
        if fresh and room > 0 and must and (after or changed or len(kept) == 1):
            take, fresh = fresh[:room], fresh[room:]
            kept[index] = one, [*after, *take], True
    while fresh:
        result.create.append(_build(None, group, fresh[:capacity], metadata))
        fresh = fresh[capacity:]
    for one, after, changed in kept:
        if not after:
            result.delete.append(one)
        elif changed:
            result.update.append(_build(one, group, after, metadata))


def _plan_placeholder(group: Group, existing: list[Object], metadata: Object, result: Plan) -> None:
    """A Service with no pods has one slice without endpoints."""
    if not existing:
        result.create.append(_build(None, group, [], metadata))
        return
    first, *others = existing
    if first.get("endpoints") or _metadata_differs(first, metadata):
        result.update.append(_build(first, group, [], metadata))
    result.delete += others


def identity(endpoint: dict[str, Any]) -> tuple[str, ...]:
    """What makes two endpoints the same one in different states."""
    target = endpoint.get("targetRef") or {}
    return (*endpoint.get("addresses", ()), str(target.get("uid") or target.get("name") or ""))


def _build(current: Object | None, group: Group, endpoints: list[dict[str, Any]], metadata: Object) -> Object:
    made = {**metadata}
    if current is not None:
        made = {**current["metadata"], **{k: v for k, v in metadata.items() if k != "generateName"}}
        theirs = {
            k: v
            for k, v in objects.annotations(current).items()
            if k not in objects.annotations({"metadata": metadata})
        }
        made["annotations"] = {**theirs, **(metadata.get("annotations") or {})}
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": made,
        "addressType": group.address_type,
        "endpoints": endpoints,
        "ports": [dict(port) for port in group.ports],
    }


def _is_annotated(one: Object, metadata: Object) -> bool:
    return bool(objects.annotations(one) == metadata["annotations"])


def _stripped(one: Object) -> Object:
    """A slice as if it were nobody's: whatever it tells, it is written anew."""
    kept = {key: value for key, value in one["metadata"].items() if key not in ("annotations", "labels")}
    return {**one, "metadata": kept}


def _metadata_differs(one: Object, metadata: Object) -> bool:
    return objects.labels(one) != metadata.get("labels") or (one["metadata"].get("ownerReferences") or []) != (
        metadata.get("ownerReferences") or []
    )

"""The one form in which Endpoints are stored, whatever form they were written in. Pure.

Every port is held against the set of addresses that offer it; ports of one set stand in one subset. An address that is
not ready in one place is not ready for that port at all. Addresses are ordered by their text, ports and subsets by the
hash of what upstream's structures print as, which is how genuine clusters show them:

    subsets: [{addresses: [b, a], ports: [http]}, {addresses: [a, b], ports: [dns]}]
    →        [{addresses: [a, b], ports: [dns, http]}]
"""

import hashlib
from collections.abc import Mapping
from typing import Any

_Key = tuple[str, str]
"""Address and the uid of what is behind it."""
_READY, _NOT_READY = "addresses", "notReadyAddresses"
_REFERENCE = ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")
_GO = {"apiVersion": "APIVersion", "uid": "UID"}


def repacked(subsets: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A new list. A port that names an application protocol is never one with a like port of another subset."""
    addresses: dict[_Key, dict[str, Any]] = {}
    offered: dict[Any, tuple[dict[str, Any] | None, dict[_Key, bool]]] = {}
    for place, subset in enumerate(subsets):
        for number, port in enumerate(subset.get("ports") or [None]):
            alone = (place, number) if port and port.get("appProtocol") is not None else None
            key = (_port(port) if port else "", alone)
            ready = offered.setdefault(key, (port, {}))[1]
            for field in (_READY, _NOT_READY):
                for address in subset.get(field) or ():
                    known = _key(address)
                    addresses.setdefault(known, address)
                    if ready.get(known, True):
                        ready[known] = field == _READY
    groups: dict[tuple[tuple[_Key, bool], ...], list[dict[str, Any]]] = {}
    for port, ready in offered.values():
        if ready:
            group = groups.setdefault(tuple(sorted(ready.items())), [])
            if port is not None:
                group.append(port)
    made = [_subset(dict(group), addresses, ports) for group, ports in groups.items()]
    return sorted(made, key=lambda subset: _hash(_subset_text(subset)))


def _key(address: Mapping[str, Any]) -> _Key:
    return str(address.get("ip") or ""), str((address.get("targetRef") or {}).get("uid") or "")


def _subset(
    ready: Mapping[_Key, bool], addresses: Mapping[_Key, dict[str, Any]], ports: list[dict[str, Any]]
) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for field, wanted in ((_READY, True), (_NOT_READY, False)):
        if found := [addresses[key] for key in sorted(ready) if ready[key] is wanted]:
            made[field] = found
    if ports:
        made["ports"] = sorted(ports, key=lambda port: _hash(f"(core.EndpointPort){_port(port)}"))
    return made


def _hash(text: str) -> bytes:
    return hashlib.md5(text.encode(), usedforsecurity=False).digest()


def _text(value: Any) -> str:
    """A pointer to a string."""
    return f"(*string){'<nil>' if value is None else value}"


def _port(port: Mapping[str, Any]) -> str:
    return (
        f"{{Name:(string){port.get('name') or ''} Port:(int32){port.get('port') or 0} "
        f"Protocol:(core.Protocol){port.get('protocol') or ''} AppProtocol:{_text(port.get('appProtocol'))}}}"
    )


def _address(address: Mapping[str, Any]) -> str:
    reference = address.get("targetRef")
    shown = "<nil>"
    if reference is not None:
        fields = (
            f"{_GO.get(field, field[:1].upper() + field[1:])}:({'types.UID' if field == 'uid' else 'string'})"
            f"{reference.get(field) or ''}"
            for field in _REFERENCE
        )
        shown = f"{{{' '.join(fields)}}}"
    return (
        f"{{IP:(string){address.get('ip') or ''} Hostname:(string){address.get('hostname') or ''} "
        f"NodeName:{_text(address.get('nodeName'))} TargetRef:(*core.ObjectReference){shown}}}"
    )


def _list(kind: str, shown: list[str]) -> str:
    return f"([]core.{kind}){'[' + ' '.join(shown) + ']' if shown else '<nil>'}"


def _subset_text(subset: Mapping[str, Any]) -> str:
    ready, waiting = ([_address(one) for one in subset.get(field) or ()] for field in (_READY, _NOT_READY))
    ports = [_port(port) for port in subset.get("ports") or ()]
    return (
        f"(core.EndpointSubset){{Addresses:{_list('EndpointAddress', ready)} "
        f"NotReadyAddresses:{_list('EndpointAddress', waiting)} Ports:{_list('EndpointPort', ports)}}}"
    )

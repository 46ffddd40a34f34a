"""NetworkPolicies."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from kubeshim.machinery import objects
from kubeshim.machinery.errors import FieldError
from kubeshim.machinery.validation import content, fields, metadata, warnings


def network_policy(obj: objects.Object, old: objects.Object | None = None) -> list[FieldError]:
    """Networks that are there already need not be good."""
    spec = obj.get("spec") or {}
    kept = [cidr for _, cidr in _networks((old or {}).get("spec") or {})]
    wrong = metadata.label_selector(spec.get("podSelector"), "spec.podSelector")
    for direction, peers in (("ingress", "from"), ("egress", "to")):
        for index, rule in enumerate(spec.get(direction) or ()):
            path = f"spec.{direction}[{index}]"
            for place, port in enumerate(rule.get("ports") or ()):
                wrong += _policy_port(port, f"{path}.ports[{place}]")
            for place, peer in enumerate(rule.get(peers) or ()):
                wrong += _peer(peer, f"{path}.{peers}[{place}]", kept)
    kinds = spec.get("policyTypes") or []
    if len(kinds) > 2:
        wrong.append(fields.invalid("spec.policyTypes", kinds, "may not specify more than two policyTypes"))
        return wrong
    for index, kind in enumerate(kinds):
        wrong += fields.one_of(f"spec.policyTypes[{index}]", kind, ("Ingress", "Egress"))
    return wrong


def _policy_port(port: Mapping[str, Any], path: str) -> list[FieldError]:
    wrong: list[FieldError] = []
    if (protocol := port.get("protocol")) is not None:
        wrong += fields.one_of(path + ".protocol", protocol, ("TCP", "UDP", "SCTP"))
    number, end = port.get("port"), port.get("endPort")
    if number is None:
        text = "may not be specified when `port` is not specified"
        return wrong if end is None else [*wrong, fields.invalid(path + ".endPort", end, text)]
    if isinstance(number, str):
        if end is not None:
            text = "may not be specified when `port` is non-numeric"
            wrong.append(fields.invalid(path + ".endPort", end, text))
        return wrong + fields.all_invalid(path + ".port", number, content.port_name(number))
    wrong += fields.all_invalid(path + ".port", number, content.port_number(number))
    if end is not None:
        if end < number:
            wrong.append(fields.invalid(path + ".endPort", end, "must be greater than or equal to `port`"))
        wrong += fields.all_invalid(path + ".endPort", end, content.port_number(end))
    return wrong


def _peer(peer: Mapping[str, Any], path: str, kept: Collection[str]) -> list[FieldError]:
    wrong: list[FieldError] = []
    given = 0
    for field in ("podSelector", "namespaceSelector"):
        if (selector := peer.get(field)) is not None:
            given += 1
            wrong += metadata.label_selector(selector, f"{path}.{field}")
    block = peer.get("ipBlock")
    if block is not None:
        wrong += _block(block, path + ".ipBlock", kept)
    if not given and block is None:
        wrong.append(fields.required(path, "must specify a peer"))
    elif given and block is not None:
        text = "may not specify both ipBlock and another peer"
        wrong.append(fields.forbidden(path, text))
    return wrong


def _block(block: Mapping[str, Any], path: str, kept: Collection[str]) -> list[FieldError]:
    cidr = block.get("cidr") or ""
    if not cidr:
        return [fields.required(path + ".cidr")]
    wrong = fields.all_invalid(path + ".cidr", cidr, content.cidr(cidr, kept))
    outer = content.sloppy_network(cidr)
    if outer is None:
        return wrong
    for index, hole in enumerate(block.get("except") or ()):
        place = f"{path}.except[{index}]"
        wrong += fields.all_invalid(place, hole, content.cidr(hole, kept))
        inner = content.sloppy_network(hole)
        if inner is None:
            continue
        inside = inner.version == outer.version and inner.prefixlen > outer.prefixlen
        if not inside or inner.network_address not in outer:
            wrong.append(fields.invalid(place, hole, "must be a strict subset of `cidr`"))
    return wrong


def _networks(spec: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Every network a policy speaks of, after the path it stands at."""
    for direction, peers in (("ingress", "from"), ("egress", "to")):
        for index, rule in enumerate(spec.get(direction) or ()):
            for place, peer in enumerate(rule.get(peers) or ()):
                block, path = peer.get("ipBlock"), f"spec.{direction}[{index}].{peers}[{place}].ipBlock"
                if block is not None:
                    yield path + ".cidr", block.get("cidr") or ""
                    for position, hole in enumerate(block.get("except") or ()):
                        yield f"{path}.except[{position}]", hole


def warn(obj: objects.Object, old: objects.Object | None = None) -> list[str]:
    return [text for path, cidr in _networks(obj.get("spec") or {}) for text in warnings.network(cidr, path)]

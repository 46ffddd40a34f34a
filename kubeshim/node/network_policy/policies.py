"""Who may talk to whom (pure): NetworkPolicies, pods and namespaces to rules for the pods of one node.

A pod that some policy selects for a direction is isolated in it: only what one of its policies allows gets through.
Pods with host network are nodes to a policy, neither selected nor peers. Cluster DNS runs in the nodes' agents; to
policies it is what it is everywhere else, a pod of kube-system labelled ``k8s-app: kube-dns`` that serves port 53.
"""

import dataclasses
import ipaddress
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

from kubeshim.machinery import objects, selectors
from kubeshim.machinery.objects import Object

Direction = Literal["ingress", "egress"]
DIRECTIONS: tuple[Direction, ...] = ("ingress", "egress")

DNS_NAMESPACE = "kube-system"
DNS_LABELS = {"k8s-app": "kube-dns"}
DNS_PORT = 53
_DNS_PORT_NAMES = {"dns": "UDP", "dns-tcp": "TCP"}


@dataclasses.dataclass(frozen=True, slots=True)
class Pod:
    """What policies look at."""

    namespace: str
    address: str
    labels: Mapping[str, str]
    node: str
    named_ports: frozenset[tuple[str, str, int]] = frozenset()
    """``(name, protocol, number)``."""


@dataclasses.dataclass(frozen=True, slots=True)
class Block:
    """An ``ipBlock``."""

    cidr: str
    excepted: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Rule:
    """One entry of ``ingress`` or ``egress``. What is allowed is peers × ports.

    ``peers`` are pods' addresses; ``anyone`` makes peers and blocks moot, ``any_port`` the ports. ``named`` are
    ports known by name, resolved: ``(address of the pod that serves, protocol, number)``.
    """

    anyone: bool
    peers: frozenset[str]
    blocks: tuple[Block, ...]
    any_port: bool
    ports: tuple[tuple[str, int, int], ...]
    """``(protocol, first, last)``; the protocol's every port is 0 to 65535."""
    named: frozenset[tuple[str, str, int]]
    dns: bool = False
    """Whether it allows questions to cluster DNS."""


@dataclasses.dataclass(frozen=True, slots=True)
class Isolation:
    """What a node has to enforce."""

    selected: Mapping[tuple[str, Direction], tuple[str, ...]]
    """(Address of a local pod, direction) → the policies (``namespace/name``) that isolate it."""
    rules: Mapping[tuple[str, Direction], tuple[Rule, ...]]
    """(Policy, direction) → what it allows; only policies that are used."""
    dns: frozenset[tuple[str, str, int]] = frozenset()
    """Where cluster DNS answers: ``(address, protocol, port)``."""
    version: int = 4
    """Of IP: each has its own isolation, the same policies in its own addresses."""


def pod_of(pod: Object, provisional: Sequence[str] = (), version: int = 4) -> Pod | None:
    """None for one without an address of its own in that version of IP, or that has ended.

    ``provisional`` are the addresses it is about to have, where the API knows of none.
    """
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    known = [entry["ip"] for entry in status.get("podIPs") or () if entry.get("ip")]
    known = known or [text for text in (status.get("podIP"),) if text] or list(provisional)
    address = next((text for text in known if is_of(text, version)), None)
    if spec.get("hostNetwork") or not address or status.get("phase") in ("Succeeded", "Failed"):
        return None
    containers = [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]
    named = frozenset(
        (port["name"], port.get("protocol") or "TCP", int(port["containerPort"]))
        for container in containers
        for port in container.get("ports") or ()
        if port.get("name")
    )
    return Pod(objects.namespace(pod), address, objects.labels(pod), spec.get("nodeName") or "", named)


def is_of(text: str, version: int) -> bool:
    """Whether an address or range is of that version of IP."""
    return (":" in text) == (version == 6)


def isolation(
    policies: Iterable[Object],
    pods: Sequence[Pod],
    namespaces: Mapping[str, Mapping[str, str]],
    node: str,
    dns: Iterable[tuple[str, str, int]] = (),
    version: int = 4,
) -> Isolation:
    """``namespaces`` are labels by name, ``node`` whose pods are to be isolated; all addresses of one version."""
    selected: dict[tuple[str, Direction], list[str]] = {}
    rules: dict[tuple[str, Direction], tuple[Rule, ...]] = {}
    answering = frozenset(found for found in dns if is_of(found[0], version))
    for policy in sorted(policies, key=objects.key):
        namespace, spec = objects.namespace(policy), policy.get("spec") or {}
        chosen = selectors.from_label_selector(spec.get("podSelector") or {})
        here = [p for p in pods if p.node == node and p.namespace == namespace and chosen.matches(p.labels)]
        if not here:
            continue
        for direction in types_of(spec):
            for pod in here:
                selected.setdefault((pod.address, direction), []).append(objects.key(policy))
            rules[(objects.key(policy), direction)] = tuple(
                _rule(entry, direction, namespace, here, pods, namespaces, answering, version)
                for entry in spec.get(direction) or ()
            )
    return Isolation({key: tuple(names) for key, names in selected.items()}, rules, answering, version)


def types_of(spec: Mapping[str, Any]) -> tuple[Direction, ...]:
    """Directions in which a policy isolates."""
    given = spec.get("policyTypes")
    if given is None:
        return DIRECTIONS if spec.get("egress") else ("ingress",)
    return tuple(direction for direction in DIRECTIONS if direction.capitalize() in given)


def _rule(
    entry: Mapping[str, Any],
    direction: Direction,
    namespace: str,
    selected: Sequence[Pod],
    pods: Sequence[Pod],
    namespaces: Mapping[str, Mapping[str, str]],
    dns: frozenset[tuple[str, str, int]],
    version: int,
) -> Rule:
    peers = entry.get("from" if direction == "ingress" else "to") or ()
    matchers = [_matcher(peer, namespace, namespaces) for peer in peers]
    matching = [pod for pod in pods if any(matches(pod) for matches in matchers)]
    blocks = tuple(
        _block(peer["ipBlock"], version)
        for peer in peers
        if peer.get("ipBlock") and is_of(peer["ipBlock"]["cidr"], version)
    )
    reached = [pod for pod in pods if pod in matching or any(_contains(block, pod.address) for block in blocks)]
    serving = selected if direction == "ingress" else (reached if peers else pods)
    ports = entry.get("ports") or ()
    return Rule(
        anyone=not peers,
        peers=frozenset(pod.address for pod in matching),
        blocks=blocks,
        any_port=not ports,
        ports=tuple(_port(port) for port in ports if not isinstance(port.get("port"), str)),
        named=frozenset(found for port in ports for found in _named(port, serving)),
        dns=direction == "egress" and _allows_dns(peers, blocks, ports, namespace, namespaces, dns),
    )


def _matcher(
    peer: Mapping[str, Any], namespace: str, namespaces: Mapping[str, Mapping[str, str]]
) -> Callable[[Pod], bool]:
    """Whether a pod is meant by an entry of ``from`` or ``to`` of a policy in ``namespace``."""
    if peer.get("podSelector") is None and peer.get("namespaceSelector") is None:
        return lambda pod: False
    spaces = {namespace}
    if peer.get("namespaceSelector") is not None:
        chosen = selectors.from_label_selector(peer["namespaceSelector"])
        spaces = {name for name, labels in namespaces.items() if chosen.matches(labels)}
    if peer.get("podSelector") is None:
        return lambda pod: pod.namespace in spaces
    pods = selectors.from_label_selector(peer["podSelector"])
    return lambda pod: pod.namespace in spaces and pods.matches(pod.labels)


def _block(block: Mapping[str, Any], version: int) -> Block:
    excepted = tuple(text for text in block.get("except") or () if is_of(text, version))
    return Block(block["cidr"], excepted)


def _port(port: Mapping[str, Any]) -> tuple[str, int, int]:
    protocol = port.get("protocol") or "TCP"
    if port.get("port") is None:
        return protocol, 0, 65535
    first = int(port["port"])
    return protocol, first, int(port.get("endPort") or first)


def _named(port: Mapping[str, Any], serving: Iterable[Pod]) -> Iterable[tuple[str, str, int]]:
    name, protocol = port.get("port"), port.get("protocol") or "TCP"
    if not isinstance(name, str):
        return
    for pod in serving:
        for known, spoken, number in pod.named_ports:
            if (known, spoken) == (name, protocol):
                yield pod.address, protocol, number


def _allows_dns(
    peers: Sequence[Mapping[str, Any]],
    blocks: Sequence[Block],
    ports: Sequence[Mapping[str, Any]],
    namespace: str,
    namespaces: Mapping[str, Mapping[str, str]],
    dns: frozenset[tuple[str, str, int]],
) -> bool:
    server = Pod(DNS_NAMESPACE, "", DNS_LABELS, "")
    reached = (
        not peers
        or any(_matcher(peer, namespace, namespaces)(server) for peer in peers)
        or any(_contains(block, address) for block in blocks for address, _, _ in dns)
    )
    return reached and (not ports or any(_is_dns_port(port) for port in ports))


def _is_dns_port(port: Mapping[str, Any]) -> bool:
    if isinstance(port.get("port"), str):
        return _DNS_PORT_NAMES.get(port["port"]) == (port.get("protocol") or "TCP")
    protocol, first, last = _port(port)
    return protocol in ("UDP", "TCP") and first <= DNS_PORT <= last


def _contains(block: Block, address: str) -> bool:
    found = ipaddress.ip_address(address)
    return found in ipaddress.ip_network(block.cidr, strict=False) and not any(
        found in ipaddress.ip_network(text, strict=False) for text in block.excepted
    )

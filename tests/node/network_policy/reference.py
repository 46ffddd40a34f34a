"""What NetworkPolicies say, told a second time and in the plainest way: policy by policy, pod by pod.

Written from the API's documentation, without a look at how the product works it out; tests compare the two, and both
with what packets do.
"""

import dataclasses
import ipaddress


@dataclasses.dataclass(frozen=True)
class Peer:
    """A pod, or an address of the outside (no namespace)."""

    address: str
    namespace: str = ""
    labels: tuple = ()
    named: tuple = ()
    """``(name, protocol, number)`` of its ports."""


def allowed(policies, namespaces, source, target, protocol, port):
    """Whether ``source`` may begin to talk to that port of ``target``; ``namespaces`` are labels by name."""
    if source == target:
        return True
    return _lets(policies, namespaces, "egress", source, target, target, protocol, port) and _lets(
        policies, namespaces, "ingress", target, source, target, protocol, port
    )


def _lets(policies, namespaces, direction, guarded, other, server, protocol, port):
    if not guarded.namespace:
        return True
    isolating = [policy for policy in policies if _isolates(policy, direction, guarded)]
    return not isolating or any(
        _rule_lets(rule, policy, namespaces, direction, other, server, protocol, port)
        for policy in isolating
        for rule in policy["spec"].get(direction, [])
    )


def _isolates(policy, direction, pod):
    spec = policy["spec"]
    types = spec.get("policyTypes")
    if types is None:
        types = ["Ingress", "Egress"] if spec.get("egress") else ["Ingress"]
    return (
        policy["metadata"]["namespace"] == pod.namespace
        and direction.capitalize() in types
        and _selects(spec["podSelector"], dict(pod.labels))
    )


def _rule_lets(rule, policy, namespaces, direction, other, server, protocol, port):
    peers = rule.get("from" if direction == "ingress" else "to")
    if peers and not any(_is_peer(peer, policy, namespaces, other) for peer in peers):
        return False
    ports = rule.get("ports")
    return not ports or any(_is_port(entry, server, protocol, port) for entry in ports)


def _is_peer(peer, policy, namespaces, other):
    if "ipBlock" in peer:
        address = ipaddress.ip_address(other.address)
        excepted = peer["ipBlock"].get("except", [])
        return address in ipaddress.ip_network(peer["ipBlock"]["cidr"]) and not any(
            address in ipaddress.ip_network(text) for text in excepted
        )
    if not other.namespace:
        return False
    if "namespaceSelector" in peer:
        if not _selects(peer["namespaceSelector"], namespaces[other.namespace]):
            return False
    elif other.namespace != policy["metadata"]["namespace"]:
        return False
    return _selects(peer.get("podSelector", {}), dict(other.labels))


def _is_port(entry, server, protocol, port):
    if entry.get("protocol", "TCP") != protocol:
        return False
    wanted = entry.get("port")
    if wanted is None:
        return True
    if isinstance(wanted, str):
        return (wanted, protocol, port) in server.named
    return wanted <= port <= entry.get("endPort", wanted)


def _selects(selector, labels):
    if any(labels.get(key) != value for key, value in selector.get("matchLabels", {}).items()):
        return False
    for expression in selector.get("matchExpressions", []):
        key, values = expression["key"], expression.get("values", [])
        met = {
            "In": labels.get(key) in values,
            "NotIn": labels.get(key) not in values,
            "Exists": key in labels,
            "DoesNotExist": key not in labels,
        }
        if not met[expression["operator"]]:
            return False
    return True

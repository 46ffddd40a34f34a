"""What several kinds warn of: allowed, but most likely not meant. The texts go into ``Warning`` headers."""

import ipaddress
from collections.abc import Mapping
from typing import Any

from kubeshim.machinery import quantity
from kubeshim.machinery.validation import content

_OLD_LABELS = {
    "beta.kubernetes.io/arch": ("v1.14", "kubernetes.io/arch"),
    "beta.kubernetes.io/os": ("v1.14", "kubernetes.io/os"),
    "failure-domain.beta.kubernetes.io/region": ("v1.17", "topology.kubernetes.io/region"),
    "failure-domain.beta.kubernetes.io/zone": ("v1.17", "topology.kubernetes.io/zone"),
    "beta.kubernetes.io/instance-type": ("v1.17", "node.kubernetes.io/instance-type"),
}


def old_label(key: str) -> str:
    """What to say of a node's label that has a successor; nothing of others."""
    if key not in _OLD_LABELS:
        return ""
    since, instead = _OLD_LABELS[key]
    return f'deprecated since {since}; use "{instead}" instead'


def name_of_pods(name: str, where: str = "Pod names and hostnames") -> list[str]:
    """A name that pods are called after had better be a DNS label."""
    complaints = content.dns_label(name) if name else []
    if not complaints:
        return []
    return [
        f"metadata.name: this is used in {where}, which can result in surprising behavior; a DNS label is "
        f"recommended: [{' '.join(complaints)}]"
    ]


def fraction(amount: str | None, path: str) -> list[str]:
    """A part of a byte."""
    if amount is None or quantity.parse(amount).milli() % 1000 == 0:
        return []
    return [f'{path}: fractional byte value "{quantity.parse(amount)}" is invalid, must be an integer']


def claim_spec(spec: Mapping[str, Any], path: str) -> list[str]:
    """A PersistentVolumeClaim's spec."""
    resources = spec.get("resources") or {}
    return [
        text
        for kind in ("requests", "limits")
        for text in fraction((resources.get(kind) or {}).get("storage"), f"{path}.resources.{kind}[storage]")
    ]


def address(text: str, path: str) -> list[str]:
    """An IPv6 address that is not written the one way."""
    found = content.sloppy_ip(text)
    if found is None or not isinstance(found[0], ipaddress.IPv6Address) or str(found[0]) == text:
        return []
    return [f'{path}: IPv6 address "{text}" should be in RFC 5952 canonical format ("{found[0]}")']


def network(text: str, path: str) -> list[str]:
    if content.cidr(text) or ":" not in text or str(ipaddress.ip_network(text)) == text:
        return []
    canonical = ipaddress.ip_network(text)
    return [f'{path}: IPv6 CIDR value "{text}" should be in RFC 5952 canonical format ("{canonical}")']

"""What several kinds warn of: allowed, but most likely not meant. The texts go into ``Warning`` headers."""

import ipaddress
from collections.abc import Mapping
from typing import Any

from kubeshim.machinery import objects, quantity
from kubeshim.machinery.validation import content

_OLD_LABELS = {
    "beta.kubernetes.io/arch": ("v1.14", "kubernetes.io/arch"),
    "beta.kubernetes.io/os": ("v1.14", "kubernetes.io/os"),
    "failure-domain.beta.kubernetes.io/region": ("v1.17", "topology.kubernetes.io/region"),
    "failure-domain.beta.kubernetes.io/zone": ("v1.17", "topology.kubernetes.io/zone"),
    "beta.kubernetes.io/instance-type": ("v1.17", "node.kubernetes.io/instance-type"),
}


_OTHER_LABELS = {
    "app.kubernetes.io/created-by": "deprecated since v1.9",
    "scheduler.alpha.kubernetes.io/preferAvoidPods": "deprecated since v1.22; use Taints and Tolerations instead",
    "node-role.kubernetes.io/master": 'use "node-role.kubernetes.io/control-plane" instead',
}


def old_label(key: str) -> str:
    """What to say of a node's label that has a successor; nothing of others."""
    if key not in _OLD_LABELS:
        return _OTHER_LABELS.get(key, "")
    since, instead = _OLD_LABELS[key]
    return f'deprecated since {since}; use "{instead}" instead'


def selector_term(term: Mapping[str, Any], path: str, *, judge_values: bool = False) -> list[str]:
    """Of a node selector; ``judge_values`` where validation lets values pass that no label can have."""
    found: list[str] = []
    for index, expression in enumerate(term.get("matchExpressions") or ()):
        key, place = expression.get("key") or "", f"{path}.matchExpressions[{index}]"
        if text := old_label(key):
            found.append(f"{place}.key: {key} is {text}")
        for number, value in enumerate(expression.get("values") or () if judge_values else ()):
            found += [f"{place}.values[{number}]: {value} is invalid, {why}" for why in content.label_value(value)]
    return found


_OLD_CLASS = "volume.beta.kubernetes.io/storage-class"


def old_class(obj: objects.Object) -> list[str]:
    """A storage class where there was no field for it."""
    if _OLD_CLASS not in objects.annotations(obj):
        return []
    text = 'deprecated since v1.8; use "storageClassName" attribute instead'
    return [f"metadata.annotations[{_OLD_CLASS}]: {text}"]


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
    """An address that is not written the one way."""
    parsed = content.sloppy_ip(text)
    if parsed is None:
        return []
    found, has_zeros = parsed
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    if has_zeros or mapped is not None:
        what = f'non-standard IP address "{text}" will be considered invalid in a future Kubernetes release'
        return [f'{path}: {what}: use "{mapped or found}"']
    if isinstance(found, ipaddress.IPv4Address) or str(found) == text:
        return []
    return [f'{path}: IPv6 address "{text}" should be in RFC 5952 canonical format ("{found}")']


def network(text: str, path: str) -> list[str]:
    """A network that is not written the one way."""
    found, complaints = content.sloppy_network(text), content.cidr(text)
    if found is None:
        return []
    if complaints == ["must not have bits set beyond the prefix length"]:
        address = text.partition("/")[0]
        choice = f'(should be "{found}" or "{address}/{found.max_prefixlen}"?)'
        return [f'{path}: CIDR value "{text}" is ambiguous in this context {choice}']
    if complaints:
        what = f'non-standard CIDR value "{text}" will be considered invalid in a future Kubernetes release'
        return [f'{path}: {what}: use "{found}"']
    if found.version == 4 or str(found) == text:
        return []
    return [f'{path}: IPv6 CIDR value "{text}" should be in RFC 5952 canonical format ("{found}")']

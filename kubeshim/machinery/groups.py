"""In which order API groups and their versions are told, and which version of a group is preferred.

The numbers are those upstream's aggregator gives the built-in groups' APIServices; groups of custom resources
come after them, with what the registration of a CustomResourceDefinition gives: 1000 and 100. Equal groups go
by name, equal versions by maturity and number (v2 before v1 before v1beta2 before v1alpha1 before foo).
"""

import re
from collections.abc import Iterable

from kubeshim.machinery import resources

_GROUPS = {
    "apiregistration.k8s.io": 18000,
    "": 18000,
    "apps": 17800,
    "events.k8s.io": 17750,
    "authentication.k8s.io": 17700,
    "authorization.k8s.io": 17600,
    "autoscaling": 17500,
    "batch": 17400,
    "certificates.k8s.io": 17300,
    "networking.k8s.io": 17200,
    "policy": 17100,
    "rbac.authorization.k8s.io": 17000,
    "storage.k8s.io": 16800,
    "apiextensions.k8s.io": 16700,
    "admissionregistration.k8s.io": 16700,
    "scheduling.k8s.io": 16600,
    "coordination.k8s.io": 16500,
    "node.k8s.io": 16300,
    "discovery.k8s.io": 16200,
    "flowcontrol.apiserver.k8s.io": 16100,
    "internal.apiserver.k8s.io": 16000,
    "resource.k8s.io": 15900,
    "storagemigration.k8s.io": 15800,
}
_VERSIONS = {("autoscaling", "v2"): 30, ("flowcontrol.apiserver.k8s.io", "v1"): 21, ("", "v1"): 1}
_BUILT_IN_VERSION, _CUSTOM_GROUP, _CUSTOM_VERSION = 15, 1000, 100

_VERSION = re.compile(r"^v([1-9][0-9]*)(?:(alpha|beta)([1-9][0-9]*))?$")
_MATURITY = {None: 2, "beta": 1, "alpha": 0}


def is_built_in(group: str) -> bool:
    """Whether the group is one of Kubernetes' own."""
    return group in _GROUPS


def priority(group: str, version: str) -> tuple[int, int]:
    """``(groupPriorityMinimum, versionPriority)`` of the APIService of a group-version."""
    if group not in _GROUPS:
        return _CUSTOM_GROUP, _CUSTOM_VERSION
    return _GROUPS[group], _VERSIONS.get((group, version), _BUILT_IN_VERSION)


def version_key(version: str) -> tuple[int, int, int, int, str]:
    """Sorts versions as upstream does, first the one to prefer."""
    match = _VERSION.match(version)
    if not match:
        return (1, 0, 0, 0, version)
    major, stage, minor = match.groups()
    return (0, -_MATURITY[stage], -int(major), -int(minor or 0), version)


def ordered(registry: Iterable[resources.Resource]) -> dict[str, list[str]]:
    """Each served group (the core one too) with its versions, both in order of preference."""
    found: dict[str, set[str]] = {}
    for resource in registry:
        found.setdefault(resource.group, set()).add(resource.version)
    names = sorted(found, key=lambda group: (-max(priority(group, v)[0] for v in found[group]), group))
    return {
        group: sorted(found[group], key=lambda version: (-priority(group, version)[1], version_key(version)))
        for group in names
    }

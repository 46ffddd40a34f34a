"""Discovery documents: what a server offers, told to clients.

Two forms of one thing. The legacy one is a document a level: ``/api``, ``/apis``, ``/apis/GROUP`` and one list a
group-version. The aggregated one (``apidiscovery.k8s.io/v2``) is one document for ``/api`` and one for ``/apis``.
All are computed from the registry and nothing else; whoever serves them caches them under its generation.

Faithful to quirks clients have seen for ten years: the core documents ``/api`` and ``/api/v1`` carry no
``apiVersion``; a kind of the same group-version leaves group and version empty.
"""

import base64
import hashlib
from collections.abc import Iterable
from typing import Any

from kubeshim.machinery import groups, resources


def api_versions(registry: resources.Registry, server_address: str) -> dict[str, Any]:
    """``GET /api``. ``server_address`` is ``host:port``."""
    return {
        "kind": "APIVersions",
        "versions": groups.ordered(registry).get("", []),
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": server_address}],
    }


def api_group_list(registry: resources.Registry) -> dict[str, Any]:
    """``GET /apis``."""
    served = groups.ordered(registry)
    return {
        "kind": "APIGroupList",
        "apiVersion": "v1",
        "groups": [group_entry(name, versions) for name, versions in served.items() if name],
    }


def api_group(registry: resources.Registry, group: str) -> dict[str, Any] | None:
    """``GET /apis/GROUP``; None where no type of the group is served."""
    versions = groups.ordered(registry).get(group)
    if not group or not versions:
        return None
    return {"kind": "APIGroup", "apiVersion": "v1", **group_entry(group, versions)}


def group_entry(name: str, versions: list[str]) -> dict[str, Any]:
    """An APIGroup, without kind; the first version is the preferred one."""
    told = [{"groupVersion": f"{name}/{version}", "version": version} for version in versions]
    return {"name": name, "versions": told, "preferredVersion": told[0]}


def api_resource_list(registry: resources.Registry, group: str, version: str) -> dict[str, Any] | None:
    """``GET /apis/GROUP/VERSION`` or ``/api/v1``; None where nothing of that group-version is served."""
    served = _of(registry, group, version)
    if not served:
        return None
    entries: list[dict[str, Any]] = []
    for resource in served:
        entries.append(_legacy(resource, registry))
        entries += [
            _legacy_subresource(resource, resource.subresources[name]) for name in sorted(resource.subresources)
        ]
    document: dict[str, Any] = {"kind": "APIResourceList"}
    if group:
        document["apiVersion"] = "v1"
    document["groupVersion"] = f"{group}/{version}" if group else version
    document["resources"] = entries
    return document


def _of(registry: Iterable[resources.Resource], group: str, version: str) -> list[resources.Resource]:
    found = [resource for resource in registry if (resource.group, resource.version) == (group, version)]
    return sorted(found, key=lambda resource: resource.plural)


def _legacy(resource: resources.Resource, registry: resources.Registry) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "name": resource.plural,
        "singularName": resource.singular,
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": list(resource.verbs),
    }
    if resource.short_names:
        entry["shortNames"] = list(resource.short_names)
    if resource.categories:
        entry["categories"] = list(resource.categories)
    if "watch" in resource.verbs:
        entry["storageVersionHash"] = storage_version_hash(resource, registry)
    return entry


def _legacy_subresource(resource: resources.Resource, subresource: resources.Subresource) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "name": f"{resource.plural}/{subresource.name}",
        "singularName": "",
        "namespaced": resource.namespaced,
    }
    kind = subresource.kind
    if (kind.group, kind.version) != (resource.group, resource.version):
        entry |= {"group": kind.group, "version": kind.version}
    return {**entry, "kind": kind.kind, "verbs": list(subresource.verbs)}


def storage_version_hash(resource: resources.Resource, registry: resources.Registry) -> str:
    """Changes when objects are written in another version: eight bytes of a digest of the stored kind."""
    stored = resource
    if resource.stored_as is not None:
        stored = registry.get(*resource.stored_as) or resource
    text = f"{stored.group}/{stored.version}/{stored.kind}"
    return base64.b64encode(hashlib.sha256(text.encode()).digest()[:8]).decode()


def aggregated(registry: resources.Registry, core: bool) -> dict[str, Any]:
    """``APIGroupDiscoveryList`` of ``apidiscovery.k8s.io/v2``, for ``/api`` or ``/apis``."""
    items = []
    for group, versions in groups.ordered(registry).items():
        if bool(group) == core:
            continue
        told = [
            {
                "version": version,
                "resources": [_aggregated(resource) for resource in _of(registry, group, version)],
                "freshness": "Current",
            }
            for version in versions
        ]
        items.append({"metadata": {"name": group} if group else {}, "versions": told})
    return {"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items}


def _aggregated(resource: resources.Resource) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "resource": resource.plural,
        "responseKind": _response_kind(resource, resource.gvk),
        "scope": "Namespaced" if resource.namespaced else "Cluster",
        "singularResource": resource.singular,
        "verbs": list(resource.verbs),
    }
    if resource.short_names:
        entry["shortNames"] = list(resource.short_names)
    if resource.categories:
        entry["categories"] = list(resource.categories)
    if resource.subresources:
        entry["subresources"] = [
            {
                "subresource": name,
                "responseKind": _response_kind(resource, resource.subresources[name].kind),
                "verbs": list(resource.subresources[name].verbs),
            }
            for name in sorted(resource.subresources)
        ]
    return entry


def _response_kind(resource: resources.Resource, kind: resources.GroupVersionKind) -> dict[str, str]:
    if kind.group_version == resource.api_version and resource.strategy != "custom":
        return {"group": "", "version": "", "kind": kind.kind}
    return {"group": kind.group, "version": kind.version, "kind": kind.kind}

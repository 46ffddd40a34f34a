"""Which types a server has: what works on all of them (garbage collection, namespace deletion) asks here."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import orjson

from kubeshim.client import rest
from kubeshim.machinery import errors
from kubeshim.machinery.resources import GroupVersionResource

_AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"


@dataclasses.dataclass(frozen=True, slots=True)
class Type:
    """A resource type as discovery tells it."""

    gvr: GroupVersionResource
    kind: str
    namespaced: bool
    verbs: frozenset[str]
    preferred: bool
    """Whether this is the first version of its group that has the type."""


@dataclasses.dataclass(frozen=True, slots=True)
class Discovered:
    types: tuple[Type, ...]
    failed: Mapping[str, str]
    """Group-versions that did not answer, with why: what is missing of ``types``."""


def discover(client: rest.Client) -> Discovered:
    """Asks for all types; one that fails does not hide the others. Raises where nothing at all is answered."""
    types: list[Type] = []
    failed: dict[str, str] = {}
    for path in ("/api", "/apis"):
        document = _get(client, path, _AGGREGATED)
        if document.get("kind") == "APIGroupDiscoveryList":
            _read_aggregated(document, types, failed)
        elif path == "/api":
            for version in document.get("versions") or ():
                _read_legacy(client, f"/api/{version}", "", version, types, failed)
        else:
            for group in document.get("groups") or ():
                for version in group.get("versions") or ():
                    path = f"/apis/{version['groupVersion']}"
                    _read_legacy(client, path, group["name"], version["version"], types, failed)
    return Discovered(tuple(types), failed)


def _get(client: rest.Client, path: str, accept: str = "application/json") -> dict[str, Any]:
    answer: dict[str, Any] = orjson.loads(client.raw("GET", path, headers={"Accept": accept}).data)
    return answer


def _read_aggregated(document: Mapping[str, Any], types: list[Type], failed: dict[str, str]) -> None:
    for group in document.get("items") or ():
        name = (group.get("metadata") or {}).get("name") or ""
        seen: set[str] = set()
        for version in group.get("versions") or ():
            if version.get("freshness") == "Stale":
                failed[f"{name}/{version['version']}"] = "stale GroupVersion discovery"
            for resource in version.get("resources") or ():
                kind = resource.get("responseKind") or {}
                plural = resource["resource"]
                types.append(
                    Type(
                        GroupVersionResource(name, version["version"], plural),
                        str(kind.get("kind") or ""),
                        resource.get("scope") == "Namespaced",
                        frozenset(resource.get("verbs") or ()),
                        plural not in seen,
                    )
                )
                seen.add(plural)


def _read_legacy(
    client: rest.Client, path: str, group: str, version: str, types: list[Type], failed: dict[str, str]
) -> None:
    try:
        document = _get(client, path)
    except (errors.APIStatusError, OSError) as error:
        failed[f"{group}/{version}" if group else version] = str(error)
        return
    known = {found.gvr.resource for found in types if found.gvr.group == group}
    for resource in document.get("resources") or ():
        plural = resource["name"]
        if "/" not in plural:
            gvr = GroupVersionResource(group, version, plural)
            verbs = frozenset(resource.get("verbs") or ())
            types.append(Type(gvr, resource["kind"], bool(resource["namespaced"]), verbs, plural not in known))

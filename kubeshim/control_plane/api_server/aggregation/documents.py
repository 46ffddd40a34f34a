"""Discovery and OpenAPI of everything together: what we serve and what others do, in one order.

Pure functions over our own documents; groups go by the greatest priority among their versions, versions by theirs.
A group-version that others serve is told even while they are away: as stale, with what they said last.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from kubeshim.control_plane.api_server.aggregation import aggregator
from kubeshim.control_plane.api_server.aggregation import registration as registrations
from kubeshim.machinery import discovery, groups, resources

Remote = Iterable[registrations.Registration]


def ordered(registry: resources.Registry, remote: Remote) -> dict[str, list[str]]:
    """Each group but the core one with its versions, both in order of preference."""
    found = {
        (group, version): groups.priority(group, version)
        for group, versions in groups.ordered(registry).items()
        for version in versions
        if group
    }
    found |= {one.key: (one.group_priority, one.version_priority) for one in remote}
    greatest: dict[str, int] = {}
    for (group, _), (priority, _) in found.items():
        greatest[group] = max(priority, greatest.get(group, 0))
    versions_of = {group: [version for name, version in found if name == group] for group in greatest}
    return {
        group: sorted(
            versions_of[group],
            key=lambda version: (-found[group, version][1], groups.version_key(version)),
        )
        for group in sorted(greatest, key=lambda group: (-greatest[group], group))
    }


def group_list(registry: resources.Registry, remote: Remote) -> dict[str, Any]:
    """``GET /apis``."""
    told = [discovery.group_entry(name, versions) for name, versions in ordered(registry, remote).items()]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": told}


def group(registry: resources.Registry, remote: Remote, name: str) -> dict[str, Any] | None:
    """``GET /apis/GROUP``; None where nobody serves it."""
    versions = ordered(registry, remote).get(name)
    return {"kind": "APIGroup", "apiVersion": "v1", **discovery.group_entry(name, versions)} if versions else None


def aggregated(
    registry: resources.Registry, remote: Mapping[tuple[str, str], registrations.Registration],
    told: Mapping[tuple[str, str], aggregator.Told],
) -> dict[str, Any]:  # fmt: skip
    """``GET /apis`` in the aggregated form."""
    document = discovery.aggregated(registry, False)
    ours = {
        (item["metadata"]["name"], version["version"]): version
        for item in document["items"]
        for version in item["versions"]
    }
    theirs = {key: _version(one, told.get(key)) for key, one in remote.items()}
    known = {**ours, **theirs}
    document["items"] = [
        {"metadata": {"name": name}, "versions": [known[name, version] for version in versions]}
        for name, versions in ordered(registry, remote.values()).items()
    ]
    return document


def _version(registration: registrations.Registration, said: aggregator.Told | None) -> dict[str, Any]:
    fresh = "Current" if registration.available and said is not None else "Stale"
    told = said or aggregator.Told()
    made = [_resource(registration, entry) for entry in told.resources if "/" not in entry["name"]]
    for entry in told.resources:
        plural, _, subresource = entry["name"].partition("/")
        if not subresource:
            continue
        parent = next((one for one in made if one["resource"] == plural), None)
        if parent is None:  # a subresource alone: its parent is told with nothing to do to it
            parent = {"resource": plural, "scope": _scope(entry), "singularResource": "", "verbs": []}
            made.append(parent)
        parent.setdefault("subresources", []).append(
            {
                "subresource": subresource,
                "responseKind": _kind(registration, entry),
                "verbs": list(entry.get("verbs") or ()),
            }
        )
    version: dict[str, Any] = {"version": registration.version}
    return {**version, "resources": made, "freshness": fresh} if made else {**version, "freshness": fresh}


def _resource(registration: registrations.Registration, entry: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {
        "resource": entry["name"],
        "responseKind": _kind(registration, entry),
        "scope": _scope(entry),
        "singularResource": entry.get("singularName") or "",
        "verbs": list(entry.get("verbs") or ()),
    }
    for name in ("shortNames", "categories"):
        if entry.get(name):
            made[name] = list(entry[name])
    return made


def _scope(entry: dict[str, Any]) -> str:
    return "Namespaced" if entry.get("namespaced") else "Cluster"


def _kind(registration: registrations.Registration, entry: dict[str, Any]) -> dict[str, str]:
    return {
        "group": entry.get("group") or registration.group,
        "version": entry.get("version") or registration.version,
        "kind": entry.get("kind") or "",
    }


def openapi_paths(
    remote: Mapping[tuple[str, str], registrations.Registration], told: Mapping[tuple[str, str], aggregator.Told]
) -> dict[str, dict[str, str]]:
    """Entries for the OpenAPI v3 index; requests for them go to who serves them."""
    return {
        path: {"serverRelativeURL": url}
        for key, said in told.items()
        if key in remote and remote[key].available
        for path, url in said.openapi
    }

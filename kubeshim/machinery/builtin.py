"""The built-in resource types, read from ``schemas/resources/`` (a file a group-version).

What is there is what Kubernetes 1.37 serves when nothing is switched on by hand: beta and alpha versions
are off by default upstream and have no file. A file's entries leave out what has the usual value: all eight
verbs, ``get patch update`` for a subresource, the kind in lower case as the singular, ``KindList``.
"""

import functools
import importlib.resources
from typing import Any

from kubeshim import fast_yaml
from kubeshim.machinery import resources

VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
"""What an ordinary stored type can do, in discovery's order."""

SUBRESOURCE_VERBS = ("get", "patch", "update")


@functools.cache
def load() -> tuple[resources.Resource, ...]:
    """All built-in types, by group-version and plural; read once."""
    folder = importlib.resources.files("kubeshim.schemas") / "resources"
    found: list[resources.Resource] = []
    for file in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if file.name.endswith(".yaml"):
            found += parse(fast_yaml.load(file.read_bytes()))
    return tuple(found)


def parse(document: dict[str, Any]) -> list[resources.Resource]:
    """The types of one group-version file."""
    return [_resource(document["group"], document["version"], entry) for entry in document["resources"]]


def _resource(group: str, version: str, entry: dict[str, Any]) -> resources.Resource:
    kind = entry["kind"]
    known = {
        "kind", "plural", "singular", "list_kind", "short_names", "categories", "namespaced", "verbs", "subresources",
        "columns", "selectable_fields", "strategy", "stored_as", "generation", "level",
        "deprecation",
    }  # fmt: skip
    if unknown := set(entry) - known:
        raise ValueError(f"{group}/{version} {kind}: unknown {sorted(unknown)}")
    for name in entry.get("short_names", ()):
        if not isinstance(name, str):
            raise ValueError(f"{group}/{version} {kind}: {name!r} is no text; YAML reads no, on and yes as booleans")
    return resources.Resource(
        group=group,
        version=version,
        plural=entry["plural"],
        kind=kind,
        namespaced=entry["namespaced"],
        verbs=tuple(entry.get("verbs", VERBS)),
        singular=entry.get("singular", kind.lower()),
        short_names=tuple(entry.get("short_names", ())),
        categories=tuple(entry.get("categories", ())),
        list_kind=entry.get("list_kind", kind + "List"),
        subresources={
            name: _subresource(group, version, name, value) for name, value in entry.get("subresources", {}).items()
        },
        columns=tuple(_column(column) for column in entry.get("columns", ())),
        selectable_fields=tuple(entry.get("selectable_fields", ())),
        strategy=entry.get("strategy", "default"),
        stored_as=_stored_as(entry.get("stored_as")),
        generation=entry.get("generation", True),
        level=entry.get("level", "ga"),
        deprecation=entry.get("deprecation", ""),
    )


def _subresource(group: str, version: str, name: str, entry: dict[str, Any]) -> resources.Subresource:
    api_version, _, kind = entry["kind"].rpartition(" ")
    if api_version:
        group, version = resources.split_api_version(api_version)
    verbs = tuple(entry.get("verbs", SUBRESOURCE_VERBS))
    return resources.Subresource(name, resources.GroupVersionKind(group, version, kind), verbs)


_NAME = resources.Column("Name", format="name", description="@meta.name")
_AGE = resources.Column("Age", description="@meta.creationTimestamp")


def _column(entry: dict[str, Any] | str) -> resources.Column:
    """``name`` and ``age`` are the columns nearly every kind has."""
    if isinstance(entry, str):
        return {"name": _NAME, "age": _AGE}[entry]
    return resources.Column(**entry)


def _stored_as(text: str | None) -> resources.GroupVersionResource | None:
    if text is None:
        return None
    api_version, _, plural = text.partition(" ")
    return resources.GroupVersionResource(*resources.split_api_version(api_version), plural)

"""Which resource types exist: records, and the registry that holds them at run time.

A built-in type is a record read from ``schemas/resources/``; a CustomResourceDefinition makes the same
record. The registry may change while it is served: whatever is derived from it (discovery, OpenAPI,
compiled schemas) is cached under ``Registry.generation``, which rises with each change.
"""

import dataclasses
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple


class GroupVersionResource(NamedTuple):
    """``("apps", "v1", "deployments")``; the core group is ``""``."""

    group: str
    version: str
    resource: str

    @property
    def group_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def prefix(self) -> str:
        """``/api/v1`` or ``/apis/GROUP/VERSION``."""
        return f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"


class GroupVersionKind(NamedTuple):
    """``("apps", "v1", "Deployment")``."""

    group: str
    version: str
    kind: str

    @property
    def group_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version


def split_api_version(api_version: str) -> tuple[str, str]:
    """``"apps/v1"`` → ``("apps", "v1")``; ``"v1"`` → ``("", "v1")``."""
    group, _, version = api_version.rpartition("/")
    return group, version


@dataclasses.dataclass(frozen=True, slots=True)
class Column:
    """A column of the Table form (``meta.k8s.io/v1 TableColumnDefinition``).

    ``path`` is a JSONPath (``.spec.replicas``); the cells of built-in kinds come from ``machinery.tables``
    instead, and they have none. ``description`` may refer to a field's: ``@core.v1.PodStatus.podIP``.
    Priority 0 is always shown, more only with ``-o wide``.
    """

    name: str
    type: str = "string"
    path: str = ""
    format: str = ""
    description: str = ""
    priority: int = 0


_GROUPED = ("apiextensions.k8s.io", "apiregistration.k8s.io")
"""Built-in groups that are in the key at upstream's; of others there is only the plural."""
_PLACES = {
    "endpoints": "services/endpoints",
    "ingresses": "ingress",
    "nodes": "minions",
    "replicationcontrollers": "controllers",
    "services": "services/specs",
}


@dataclasses.dataclass(frozen=True, slots=True)
class Subresource:
    """``pods/exec``: its verbs and the kind its bodies have.

    ``kind`` is what discovery tells; a subresource without a kind of its own (``status``) has its parent's.
    """

    name: str
    kind: GroupVersionKind
    verbs: tuple[str, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Resource:
    """A resource type in one version of one group."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool
    verbs: tuple[str, ...]
    """Of ``create delete deletecollection get list patch update watch``, in discovery's (sorted) order."""
    singular: str = ""
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    list_kind: str = ""
    subresources: Mapping[str, Subresource] = dataclasses.field(default_factory=dict, hash=False)
    columns: tuple[Column, ...] = ()
    selectable_fields: tuple[str, ...] = ()
    """Field selectors beyond ``metadata.name`` and ``metadata.namespace``, as dotted paths (``spec.nodeName``)."""
    strategy: str = "default"
    """Module of ``api_server/strategies`` whose rules apply; ``custom`` for custom resources."""
    stored_as: GroupVersionResource | None = None
    """Where another group-version holds the objects (autoscaling/v1 and v2 are views of one store)."""
    generation: bool = True
    """Whether ``metadata.generation`` counts changes of the desired state."""
    level: str = "ga"
    deprecation: str = ""
    """The warning that goes with every request for it."""
    definition: str = ""
    """Of a custom type: its definition's uid and generation. Objects stored under another are brought into this one's
    form when they are read."""

    @property
    def gvr(self) -> GroupVersionResource:
        return GroupVersionResource(self.group, self.version, self.plural)

    @property
    def gvk(self) -> GroupVersionKind:
        return GroupVersionKind(self.group, self.version, self.kind)

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def group_resource(self) -> str:
        """``deployments.apps``, ``pods``: how error messages name the type."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def storage_prefix(self) -> str:
        """Where in the cluster store the objects stand: ``/registry/apps/deployments/``.

        Versions of a group share one prefix; so do the types that ``stored_as`` binds together.
        """
        group, plural = (self.stored_as.group, self.stored_as.resource) if self.stored_as else (self.group, self.plural)
        return f"/registry/{group}/{plural}/" if group else f"/registry/{plural}/"

    def storage_key(self, namespace: str, name: str) -> str:
        return f"{self.storage_prefix}{namespace}/{name}" if self.namespaced else f"{self.storage_prefix}{name}"

    def told_key(self, namespace: str, name: str) -> str:
        """Where upstream keeps an object: refusals of its storage name that place."""
        stored = self.stored_as or self.gvr
        grouped = self.strategy == "custom" or stored.group in _GROUPED
        place = f"{stored.group}/{stored.resource}" if grouped else _PLACES.get(stored.resource, stored.resource)
        return f"/registry/{place}/{namespace}/{name}" if self.namespaced else f"/registry/{place}/{name}"


class Registry:
    """The types being served. Reading is safe from any thread; changes replace the whole table."""

    def __init__(self, resources: Iterator[Resource] | tuple[Resource, ...] | list[Resource] = ()) -> None:
        self._lock = threading.Lock()
        self._by_gvr: dict[GroupVersionResource, Resource] = {}
        self._by_gvk: dict[GroupVersionKind, Resource] = {}
        self._listeners: list[Callable[[], None]] = []
        self.generation = 0
        for resource in resources:
            self._by_gvr[resource.gvr] = resource
            self._by_gvk[resource.gvk] = resource

    def add(self, *resources: Resource) -> None:
        """Adds types, or replaces those of the same group, version and plural, as one change."""
        self._change(resources, ())

    def remove(self, *names: GroupVersionResource) -> None:
        """Takes types out; names that are not there are passed over."""
        self._change((), names)

    def replace(self, remove: tuple[GroupVersionResource, ...], add: tuple[Resource, ...]) -> None:
        """Both at once, so that no request sees the state between."""
        self._change(add, remove)

    def _change(self, add: tuple[Resource, ...], remove: tuple[GroupVersionResource, ...]) -> None:
        with self._lock:
            table = {gvr: resource for gvr, resource in self._by_gvr.items() if gvr not in remove}
            for resource in add:
                table[resource.gvr] = resource
            self._by_gvr = table
            self._by_gvk = {resource.gvk: resource for resource in table.values()}
            self.generation += 1
        for listener in list(self._listeners):
            listener()

    def on_change(self, listener: Callable[[], None]) -> None:
        """Calls ``listener`` after each change, in the thread that made it."""
        self._listeners.append(listener)

    def get(self, group: str, version: str, plural: str) -> Resource | None:
        return self._by_gvr.get(GroupVersionResource(group, version, plural))

    def by_kind(self, group: str, version: str, kind: str) -> Resource | None:
        return self._by_gvk.get(GroupVersionKind(group, version, kind))

    def versions_of(self, group: str, plural: str) -> list[Resource]:
        return [r for r in self._by_gvr.values() if r.group == group and r.plural == plural]

    def __iter__(self) -> Iterator[Resource]:
        return iter(list(self._by_gvr.values()))

    def __len__(self) -> int:
        return len(self._by_gvr)

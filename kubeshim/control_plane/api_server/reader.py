"""``admission.plugin.Reader`` over the caches: what plugins, authorizers and background work look at."""

from typing import TYPE_CHECKING

from kubeshim.machinery import objects, resources

if TYPE_CHECKING:
    from kubeshim.control_plane.api_server import storage as storages


class Reader:
    """``admission.plugin.Reader`` over the caches."""

    def __init__(self, storage: "storages.Storage") -> None:
        self._storage = storage

    def get(self, gvr: resources.GroupVersionResource, namespace: str, name: str) -> objects.Object | None:
        resource = self._storage.registry.get(*gvr)
        found = self._storage.get(resource, namespace, name) if resource else None
        return found.obj if found is not None else None

    def list(self, gvr: resources.GroupVersionResource, namespace: str = "") -> list[objects.Object]:
        resource = self._storage.registry.get(*gvr)
        if resource is None:
            return []
        cache = self._storage.cache(resource)
        keys = cache.in_scope(cache.keys, namespace)
        return [self._storage.view(resource, cache.objects[key]).obj for key in keys]

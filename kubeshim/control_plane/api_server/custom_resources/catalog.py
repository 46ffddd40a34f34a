"""The custom types being served, kept in step with the definitions in the store.

``follow`` is told of every write of a definition before its writer goes on: when a client sees a definition
established, its types are served. Schemas are set before the registry changes, so that whoever finds a type finds
its schema. When a definition changes, watches of its objects end, as upstream's do; clients resume and see the objects
in their new form.
"""

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING

from kubeshim.control_plane.api_server import request
from kubeshim.control_plane.api_server.custom_resources import bodies, conditions, conversion, custom_type
from kubeshim.machinery import managed_fields, objects, resources

if TYPE_CHECKING:
    from kubeshim.control_plane.api_server import server as servers
    from kubeshim.control_plane.api_server import storage as storages

_log = logging.getLogger(__name__)

DEFINITIONS = resources.GroupVersionResource("apiextensions.k8s.io", "v1", "customresourcedefinitions")


class Catalog:
    """Lives in the event loop's thread."""

    def __init__(self, server: "servers.Server") -> None:
        self._server = server
        self._by_kind: dict[resources.GroupVersionKind, custom_type.CustomType] = {}
        self._by_definition: dict[str, tuple[custom_type.CustomType, ...]] = {}
        self.conversions = conversion.Conversions(server)
        self._built_in = {(resource.group, resource.version) for resource in server.registry}
        """Group-versions that no definition can add to, as with upstream, where they have a server of their own."""

    def start(self) -> None:
        """Serves what is established, and follows."""
        self._server.storage.subscribe(DEFINITIONS, self.follow)

    def get(self, gvk: resources.GroupVersionKind) -> custom_type.CustomType | None:
        return self._by_kind.get(gvk)

    def versions(self, resource: resources.Resource) -> int:
        """How many its type has, also those that are not served."""
        return len(self._by_definition.get(resource.group_resource, ()))

    def lost_version(self, resource: resources.Resource, entries: Iterable[managed_fields.Entry]) -> str:
        """The first apiVersion among the owners of a custom object that its definition has no more.

        What they own cannot be compared then: upstream refuses to apply and leaves the record alone elsewhere, until a
        client takes it away.
        """
        for entry in entries if resource.strategy == "custom" else ():
            api_version = str(entry.get("apiVersion") or "")
            group, version = resources.split_api_version(api_version)
            if resources.GroupVersionKind(group, version, resource.kind) not in self._by_kind:
                return api_version
        return ""

    def warn(self, asked: request.Request, resource: resources.Resource) -> None:
        """Tells who uses a deprecated version."""
        custom = self._by_kind.get(resource.gvk)
        if custom is not None and custom.deprecation:
            asked.warnings.append(custom.deprecation)

    def follow(self, change: "storages.Change") -> None:
        crd = change.obj
        established = change.kind != "DELETED" and conditions.is_true(crd, "Established")
        before = self._by_definition.get(objects.name(crd), ())
        if established and before and custom_type.is_of(before[0], crd):
            return
        try:
            types = tuple(custom_type.of(crd)) if established else ()
        except Exception:
            _log.exception("the definition %s cannot be served", objects.name(crd))
            types = ()
        prefixes = {custom.resource.storage_prefix for custom in (*before, *types)}
        for prefix in prefixes:
            self.conversions.follow(prefix, conversion.of(crd) if types else None)
        self._replace(objects.name(crd), types)

    def _replace(self, name: str, types: tuple[custom_type.CustomType, ...]) -> None:
        before = self._by_definition.get(name, ())
        if types:
            self._by_definition[name] = types
        else:
            self._by_definition.pop(name, None)
        server = self._server
        for custom in types:
            self._publish(custom)
        known = {custom.resource.gvk for custom in types}
        for custom in before:
            if custom.resource.gvk not in known:
                self._withdraw(custom.resource.gvk)
        earlier, now = self._served(before), self._served(types)
        if earlier != now:
            kept = {resource.gvr for resource in now}
            gone = tuple(resource.gvr for resource in earlier if resource.gvr not in kept)
            server.registry.replace(gone, tuple(now))
            for resource in (*earlier, *now):
                server.storage.end_watches(resource)

    def _served(self, types: tuple[custom_type.CustomType, ...]) -> list[resources.Resource]:
        found = [custom.resource for custom in types if custom.served]
        return [resource for resource in found if (resource.group, resource.version) not in self._built_in]

    def _publish(self, custom: custom_type.CustomType) -> None:
        gvk, server = custom.resource.gvk, self._server
        self._by_kind[gvk] = custom
        server.custom_schemas[gvk] = custom.schema
        server.custom_openapi[gvk] = dict(custom.openapi)
        if custom.scale is not None:
            server.scale_paths[gvk] = custom.scale
        else:
            server.scale_paths.pop(gvk, None)

    def _withdraw(self, gvk: resources.GroupVersionKind) -> None:
        self._by_kind.pop(gvk, None)
        for table in (self._server.custom_schemas, self._server.custom_openapi, self._server.scale_paths):
            table.pop(gvk, None)

    def from_storage(self, obj: objects.Object) -> objects.Object:
        """An object as stored, in the form its version has now: pruned and with defaults."""
        group, version = resources.split_api_version(obj.get("apiVersion") or "")
        custom = self._by_kind.get(resources.GroupVersionKind(group, version, obj.get("kind") or ""))
        if custom is not None:
            bodies.shape(custom, obj)
        return obj

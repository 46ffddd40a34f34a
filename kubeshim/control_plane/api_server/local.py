"""A client inside the server: the method names of ``client.rest.Client``, without HTTP.

For ``background/`` and subresources. Requests are made as ``system:apiserver`` and pass admission and validation, not
authentication and authorization. Objects given and returned are the caller's own.
"""

from typing import TYPE_CHECKING, Any

from kubeshim.control_plane.api_server import request, stored
from kubeshim.control_plane.api_server.verbs import (
    create,
    decoding,
    delete,
    get,
    operation,
    patch,
    selection,
    update,
    versions,
)
from kubeshim.control_plane.api_server.verbs import list as lists
from kubeshim.machinery import objects, resources
from kubeshim.machinery.codecs import json

if TYPE_CHECKING:
    from kubeshim.control_plane.api_server import server as servers

MANAGER = "kube-apiserver"


class LocalClient:
    """Errors are ``errors.APIStatusError``, as over HTTP."""

    def __init__(self, server: "servers.Server", user: request.UserInfo = request.API_SERVER) -> None:
        self._server = server
        self._user = user

    def get(
        self, gvr: resources.GroupVersionResource, name: str, namespace: str = "", *, subresource: str = ""
    ) -> objects.Object:
        return get.get(self._operation(gvr, namespace, name, subresource)).copy()

    def list(
        self, gvr: resources.GroupVersionResource, namespace: str = "", *, label_selector: str = "",
        field_selector: str = "",
    ) -> objects.Object:  # fmt: skip
        op = self._operation(gvr, namespace)
        found = lists.page(op, selection.Selection(op, label_selector, field_selector), versions.ListAt())
        return {
            "kind": op.resource.list_kind or f"{op.resource.kind}List",
            "apiVersion": op.resource.api_version,
            "metadata": lists.metadata_of(found),
            "items": [item.copy() for item in found.items],
        }

    def create(
        self, gvr: resources.GroupVersionResource, obj: objects.Object, namespace: str = "", *, dry_run: bool = False
    ) -> objects.Object:
        namespace = namespace or objects.namespace(obj)
        op = self._operation(gvr, namespace, objects.name(obj), dry_run=dry_run)
        return create.create(op, self._complete(op, obj)).copy()

    def update(
        self, gvr: resources.GroupVersionResource, obj: objects.Object, *, subresource: str = ""
    ) -> objects.Object:
        op = self._operation(gvr, objects.namespace(obj), objects.name(obj), subresource)
        return update.replace(op, self._complete(op, obj))[0].copy()

    def patch(
        self, gvr: resources.GroupVersionResource, name: str, content: Any, namespace: str = "", *,
        kind: str = "merge", subresource: str = "", force: bool = False, manager: str = MANAGER,
    ) -> objects.Object:  # fmt: skip
        op = self._operation(gvr, namespace, name, subresource)
        op.manager = manager
        return patch.patch(op, patch.media_type_of(kind), content, [], force=force)[0].copy()

    def delete(
        self, gvr: resources.GroupVersionResource, name: str, namespace: str = "", *,
        options: dict[str, Any] | None = None,
    ) -> objects.Object:  # fmt: skip
        op = self._operation(gvr, namespace, name)
        item, gone = delete.delete(op, options or {})
        return delete.success(op, item) if gone else item.copy()

    def stored(self, gvr: resources.GroupVersionResource, name: str, namespace: str = "") -> stored.Stored | None:
        """The object as the cache has it, or None; cheaper than ``get``."""
        op = self._operation(gvr, namespace, name)
        return self._server.storage.get(op.resource, namespace, name)

    def _operation(
        self, gvr: resources.GroupVersionResource, namespace: str, name: str = "", subresource: str = "",
        dry_run: bool = False,
    ) -> operation.Operation:  # fmt: skip
        resource = self._server.registry.get(*gvr)
        if resource is None:
            raise LookupError(f"no such resource: {gvr}")
        return operation.Operation(
            self._server, resource, self._user, namespace if resource.namespaced else "", name, subresource,
            dry_run=dry_run, manager=MANAGER, field_validation="Ignore",
        )  # fmt: skip

    def _complete(self, op: operation.Operation, obj: objects.Object) -> objects.Object:
        own: objects.Object = json.decode(json.encode(obj), strict=False)[0]
        own.setdefault("apiVersion", op.resource.api_version)
        own.setdefault("kind", op.resource.kind)
        decoding.complete(op, own, op.resource.gvk, [])
        return own

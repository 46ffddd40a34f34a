"""GET of a collection: a page or all of it, at one revision, joined from the cache's bytes."""

from typing import Any

from kubeshim.control_plane.api_server import request, response, storage
from kubeshim.control_plane.api_server.verbs import operation, selection, versions
from kubeshim.control_plane.cluster_store import store


def page(op: operation.Operation, chosen: selection.Selection, at: versions.ListAt) -> storage.Page:
    """Raises 410 and 504."""
    versions.wait_for(op, at.not_older)
    namespace = op.namespace if op.resource.namespaced else ""
    if chosen.name is not None and not at.revision and not at.continued:
        return _one(op, chosen, chosen.name, namespace) or op.server.storage.list(
            op.resource, namespace, matches=chosen.matches()
        )
    try:
        if at.revision > op.server.storage.revision:
            versions.wait_for(op, at.revision)
        return op.server.storage.list(
            op.resource, namespace, matches=chosen.matches(), revision=at.revision, limit=at.limit, after=at.after
        )
    except store.Compacted as problem:
        raise versions.expired(at, problem) from problem
    except store.FutureRevision as problem:
        raise versions.too_large(at.revision, problem.current) from problem


def _one(op: operation.Operation, chosen: selection.Selection, name: str, namespace: str) -> storage.Page | None:
    """The list of one name, without looking at the others; None where the namespace is open."""
    if op.resource.namespaced and not namespace:
        return None
    found = op.server.storage.get(op.resource, namespace, name)
    matches = chosen.matches()
    kept = found is not None and (matches is None or matches(found))
    return storage.Page([found] if kept and found is not None else [], op.server.storage.revision)


def metadata_of(found: storage.Page) -> dict[str, Any]:
    """The list's metadata."""
    metadata: dict[str, Any] = {"resourceVersion": str(found.revision)}
    if found.next:
        metadata["continue"] = versions.encode_token(found.revision, found.next)
        if found.remaining:
            metadata["remainingItemCount"] = found.remaining
    return metadata


def handle(op: operation.Operation, asked: request.Request) -> request.Response:
    response.form(asked, op.resource)
    chosen = selection.of(op, asked)
    found = page(op, chosen, versions.of_list(asked))
    return response.of_list(asked, op.server, op.resource, found.items, metadata_of(found))

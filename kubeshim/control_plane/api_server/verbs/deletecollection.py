"""DELETE of a collection: every object the selectors name, each as if deleted by itself."""

import gevent

from kubeshim.control_plane.api_server import request, response, storage
from kubeshim.control_plane.api_server.verbs import delete, operation, options, selection, versions
from kubeshim.control_plane.api_server.verbs import list as lists
from kubeshim.machinery import errors
from kubeshim.machinery.validation import fields


def delete_collection(op: operation.Operation, found: storage.Page, wanted: dict[str, object]) -> list[storage.Stored]:
    """What was deleted (or marked); objects that are gone meanwhile are passed over."""
    deleted = []
    for index, item in enumerate(found.items, 1):
        op.namespace, op.name = item.namespace, item.name
        try:
            deleted.append(delete.delete(op, wanted, one_by_one=False)[0])
        except errors.NotFound:
            continue
        if index % 100 == 0:
            gevent.sleep(0)
    return deleted


def handle(op: operation.Operation, asked: request.Request) -> request.Response:
    response.form(asked, op.resource)
    chosen = selection.of(op, asked)
    wanted = delete.read_options(op, asked)
    if wanted.get(options.UNREADABLE):
        text = "is not allowed with DELETECOLLECTION, try again after removing the option"
        problem = fields.invalid(options.UNREADABLE, True, text)
        raise errors.invalid("meta.k8s.io", "DeleteOptions", "", [problem])
    found = lists.page(op, chosen, versions.of_list(asked))
    deleted = delete_collection(op, found, wanted)
    metadata = {"resourceVersion": str(found.revision)}
    return response.of_list(asked, op.server, op.resource, deleted, metadata)

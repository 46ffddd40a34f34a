"""Which function answers which verb, and the subresources that are the same for all types."""

from collections.abc import Callable, Mapping

from kubeshim.control_plane.api_server import request
from kubeshim.control_plane.api_server.verbs import (
    create,
    delete,
    deletecollection,
    get,
    operation,
    patch,
    scale,
    update,
    watch,
)
from kubeshim.control_plane.api_server.verbs import list as lists

Handler = Callable[[operation.Operation, request.Request], request.Response]

VERBS: Mapping[str, Handler] = {
    "create": create.handle,
    "delete": delete.handle,
    "deletecollection": deletecollection.handle,
    "get": get.handle,
    "list": lists.handle,
    "patch": patch.handle,
    "update": update.handle,
    "watch": watch.handle,
}

SUBRESOURCES: Mapping[tuple[str, str], Handler] = {
    ("status", "get"): get.handle,
    ("status", "update"): update.handle,
    ("status", "patch"): patch.handle,
    ("scale", "get"): scale.handle_get,
    ("scale", "update"): scale.handle_update,
    ("scale", "patch"): scale.handle_patch,
}

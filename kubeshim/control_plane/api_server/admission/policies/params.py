"""The parameters that a binding hands to its policy. Each is asked about by itself."""

from typing import TYPE_CHECKING

from kubeshim.control_plane.api_server.admission import plugin
from kubeshim.control_plane.api_server.admission.policies import definitions
from kubeshim.machinery import objects, resources, selectors

if TYPE_CHECKING:
    from kubeshim.control_plane.api_server import server as servers


class Unfit(Exception):
    """The binding cannot be used; the text says why."""


def find(
    server: "servers.Server", kind: resources.GroupVersionKind | None, one: definitions.Binding,
    attributes: plugin.Attributes,
) -> list[objects.Object | None]:  # fmt: skip
    """``[None]`` where there are no parameters to have. Raises ``Unfit``."""
    reference = one.params
    if kind is None or reference is None:
        return [None]
    resource = next((found for found in server.registry if found.gvk == kind), None)
    if resource is None:
        raise Unfit(f"failed to find resource referenced by paramKind: '{kind.group_version}, Kind={kind.kind}'")
    namespace = _namespace(resource, reference.get("namespace") or "", attributes)
    reader = server.storage.reader
    found: list[objects.Object | None] = []
    if reference.get("name"):
        single = reader.get(resource.gvr, namespace, reference["name"])
        found = [] if single is None else [single]
    elif reference.get("selector") is not None:
        chosen = selectors.from_label_selector(reference["selector"])
        found = [obj for obj in reader.list(resource.gvr, namespace) if chosen.matches(objects.labels(obj))]
    if not found and reference.get("parameterNotFoundAction") == "Deny":
        raise Unfit("no params found for policy binding with `Deny` parameterNotFoundAction")
    return found


def _namespace(resource: resources.Resource, named: str, attributes: plugin.Attributes) -> str:
    if not resource.namespaced:
        if named:
            raise Unfit("paramRef.namespace must not be provided for a cluster-scoped `paramKind`")
        return ""
    own = attributes.namespace if attributes.resource.namespaced else ""
    if not named and not own:
        raise Unfit("cannot use namespaced paramRef in policy binding that matches cluster-scoped resources")
    return named or own

"""An object in other versions of its type, for owners of fields who wrote those."""

from kubeshim.control_plane.api_server import conversion
from kubeshim.control_plane.api_server.verbs import operation
from kubeshim.machinery import apply, errors, objects, resources, schemas


class Unconvertible(errors.APIStatusError):
    """Nobody can tell what an owner in another version loses."""

    def __init__(self, why: errors.APIStatusError) -> None:
        super().__init__(f"failed to convert old object: {why}", code=500, reason="")


class OtherVersions:
    """Of the type that an operation is on."""

    def __init__(self, op: operation.Operation) -> None:
        self._server, self._resource = op.server, op.resource

    def schema(self, api_version: str) -> schemas.Schema | None:
        found = self._find(api_version)
        return self._server.schema(found.gvk) if found is not None else None

    def convert(self, obj: objects.Object, api_version: str) -> objects.Object:
        source, target = self._find(str(obj.get("apiVersion") or "")), self._find(api_version)
        if source is None or target is None:
            return obj
        try:
            return conversion.convert(self._server, obj, source, target)
        except errors.APIStatusError as err:
            raise Unconvertible(err) from err

    def _find(self, api_version: str) -> resources.Resource | None:
        if api_version == self._resource.api_version:
            return self._resource
        if self._resource.strategy == "custom":  # also those that are not served any more
            group, version = resources.split_api_version(api_version)
            custom = self._server.custom.get(resources.GroupVersionKind(group, version, self._resource.kind))
            return custom.resource if custom is not None else None
        others = conversion.equivalents(self._server, self._resource)
        return next((one for one in others if one.api_version == api_version), None)


def of(op: operation.Operation) -> apply.Versions | None:
    """None where the type has one version only, as nearly all have."""
    if op.resource.strategy == "custom":
        several = op.server.custom.versions(op.resource) > 1
    else:
        several = next(conversion.equivalents(op.server, op.resource), None) is not None
    return OtherVersions(op) if several else None

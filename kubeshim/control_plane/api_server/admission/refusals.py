"""How plugins say no."""

from kubeshim.control_plane.api_server.admission import plugin
from kubeshim.machinery import errors, objects


def forbidden(attributes: plugin.Attributes, why: str) -> errors.Forbidden:
    """A 403 that names the object, by what its name will be made from where it has none yet."""
    resource = attributes.resource
    metadata = (attributes.object or {}).get("metadata") or {}
    name = attributes.name or objects.name(attributes.object or {}) or metadata.get("generateName") or "Unknown"
    return errors.forbidden(resource.group, resource.plural, name, why)

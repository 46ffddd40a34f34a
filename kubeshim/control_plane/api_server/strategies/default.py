"""Kinds without rules of their own: what their published definition requires."""

from kubeshim.control_plane.api_server.strategies import strategy
from kubeshim.machinery import errors, objects, resources, schemas
from kubeshim.machinery.validation import required


class Default(strategy.Strategy):
    """Built-in kinds."""

    def validate(self, resource: resources.Resource, obj: objects.Object) -> list[errors.FieldError]:
        schema = schemas.definitions().schema(resource.gvk)
        return required.validate(obj, schema) if schema is not None else []


class Guarded(Default):
    """Those that want a resourceVersion with every update."""

    allow_unconditional_update = False

"""Custom resources: judged by the schema of their definition.

On a change, what the client has not touched is not held against it (ratcheting), so that a schema may become stricter
while objects of before stay usable.
"""

from collections.abc import Callable
from typing import Any

from kubeshim.control_plane.api_server.custom_resources import custom_type
from kubeshim.control_plane.api_server.strategies import strategy
from kubeshim.machinery import errors, objects, resources
from kubeshim.machinery.custom_validation import embedded, lists
from kubeshim.machinery.custom_validation import schema as values
from kubeshim.machinery.validation import fields, metadata

Find = Callable[[resources.GroupVersionKind], custom_type.CustomType | None]
Restore = Callable[[objects.Object], objects.Object]
Convert = Callable[[resources.Resource, objects.Object, str], objects.Object]
Problems = list[errors.FieldError]

_MOST_REPLICAS = 2**31 - 1
_BLOCKING = frozenset("FieldValue" + kind for kind in ("NotSupported", "Required", "TooLong", "TooMany", "TypeInvalid"))
"""Where these are wrong, rules are not evaluated: they count on the right types and sizes."""
_NOT_CHECKED = (
    "some validation rules were not checked because the object was invalid; "
    "correct the existing errors to complete validation"
)


class Custom(strategy.Strategy):
    """``find`` gives the type of a kind, ``restore`` brings an object as stored into its present form, ``convert``
    into another version."""

    allow_unconditional_update = False

    def __init__(self, find: Find, restore: Restore, convert: Convert) -> None:
        self._find, self._restore, self._convert = find, restore, convert

    def _type(self, resource: resources.Resource) -> custom_type.CustomType:
        found = self._find(resource.gvk)
        if found is None:  # taken away since the request was dispatched
            raise errors.NotFound("the server could not find the requested resource", details={})
        return found

    def reset_fields(self, resource: resources.Resource, subresource: str) -> tuple[str, ...] | None:
        if subresource:
            return ("spec",)
        return ("status",) if "status" in resource.subresources else ()

    def prepare_for_create(self, resource: resources.Resource, obj: objects.Object) -> None:
        if self._type(resource).terminating:
            raise errors.MethodNotAllowed(
                "create not allowed while custom resource definition is terminating",
                details={"group": resource.group, "kind": resource.plural},
            )
        super().prepare_for_create(resource, obj)

    def prepare_for_status_update(self, resource: resources.Resource, obj: objects.Object, old: objects.Object) -> None:
        """Nothing but ``status`` is taken, of metadata only the record of who wrote it."""
        super().prepare_for_status_update(resource, obj, old)
        managed = obj["metadata"].get("managedFields")
        version = obj["metadata"].get("resourceVersion")
        obj["metadata"] = {**old["metadata"], "resourceVersion": version or old["metadata"].get("resourceVersion")}
        obj["metadata"].pop("managedFields", None)
        if managed:
            obj["metadata"]["managedFields"] = managed

    def validate(self, resource: resources.Resource, obj: objects.Object) -> Problems:
        """The kind and version; the rest depends on what was before."""
        wrong = []
        for field, wanted in (("kind", resource.kind), ("apiVersion", resource.api_version)):
            if obj.get(field) != wanted:
                wrong.append(fields.invalid(field, obj.get(field) or "", f"must be {wanted}"))
        return wrong

    def validate_create(self, resource: resources.Resource, obj: objects.Object) -> Problems:
        custom = self._type(resource)
        wrong = values.validate(custom.validator, obj)
        wrong += _scale(custom, obj) + embedded.validate(obj, custom.openapi) + lists.validate(obj, custom.openapi)
        return wrong + _rules(custom, obj, None, wrong)

    def validate_update(self, resource: resources.Resource, obj: objects.Object, old: objects.Object) -> Problems:
        custom = self._type(resource)
        wrong = values.validate(custom.validator, obj, old=old)
        wrong += _scale(custom, obj) + embedded.validate(obj, custom.openapi)
        if not lists.validate(old, custom.openapi):
            wrong += lists.validate(obj, custom.openapi)
        return wrong + _rules(custom, obj, old, wrong)

    def validate_status_update(
        self, resource: resources.Resource, obj: objects.Object, old: objects.Object
    ) -> Problems:
        return self.validate(resource, obj) + self.validate_update(resource, obj, old)

    def warnings(self, resource: resources.Resource, obj: objects.Object, old: objects.Object | None) -> list[str]:
        return metadata.finalizer_warnings(obj, old)

    def to_storage(self, resource: resources.Resource, obj: objects.Object) -> objects.Object:
        assert resource.stored_as is not None
        return self._convert(resource, obj, resource.stored_as.group_version)

    def from_storage(self, resource: resources.Resource, obj: objects.Object) -> objects.Object:
        return self._convert(resource, self._restore(obj), resource.api_version)


def _rules(
    custom: custom_type.CustomType, obj: objects.Object, old: objects.Object | None, wrong: Problems
) -> Problems:
    if custom.rules is None:
        return []
    if any(problem.reason in _BLOCKING for problem in wrong):
        return [errors.FieldError("<nil>", "FieldValueInvalid", f"Invalid value: null: {_NOT_CHECKED}")]
    return custom.rules(obj, old)


def _scale(custom: custom_type.CustomType, obj: objects.Object) -> Problems:
    """What the scale subresource shows must be numbers of replicas."""
    if custom.scale is None:
        return []
    wrong: Problems = []
    for path in (custom.scale.replicas, custom.scale.status):
        wrong += _replicas(objects.dig(obj, *path), ".".join(path))
    return wrong


def _replicas(value: Any, path: str) -> Problems:
    if not isinstance(value, int) or isinstance(value, bool):
        return []  # the schema says what type it has
    if value < 0:
        return [fields.invalid(path, value, "should be a non-negative integer")]
    if value > _MOST_REPLICAS:
        return [fields.invalid(path, value, f"should be less than or equal to {_MOST_REPLICAS}")]
    return []

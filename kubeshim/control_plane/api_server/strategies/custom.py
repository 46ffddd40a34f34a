"""Custom resources: judged by the schema of their definition.

On a change, what the client has not touched is not held against it (ratcheting), so that a schema may become stricter
while objects of before stay usable.
"""

from collections.abc import Callable
from typing import Any

from kubeshim.control_plane.api_server.custom_resources import custom_type
from kubeshim.control_plane.api_server.strategies import strategy
from kubeshim.machinery import errors, go_text, objects, resources, written_fields
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

    def reset_fields(self, resource: resources.Resource, subresource: str) -> written_fields.Rule:
        if subresource == "status":
            return ("metadata", "spec")
        return ("status",) if not subresource and "status" in resource.subresources else ()

    def check_creatable(self, resource: resources.Resource) -> None:
        if self._type(resource).terminating:
            raise errors.MethodNotAllowed(
                "create not allowed while custom resource definition is terminating",
                details={"group": resource.group, "kind": resource.plural},
            )

    def prepare_for_create(self, resource: resources.Resource, obj: objects.Object) -> None:
        self.check_creatable(resource)
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
        return self._change(resource, obj, old)

    def _change(
        self, resource: resources.Resource, obj: objects.Object, old: objects.Object, *, spec: bool = True
    ) -> Problems:
        custom = self._type(resource)
        wrong = values.validate(custom.validator, obj, old=old)
        wrong += _scale(custom, obj, spec=spec) + embedded.validate(obj, custom.openapi)
        if not lists.validate(old, custom.openapi):
            wrong += lists.validate(obj, custom.openapi)
        return wrong + _rules(custom, obj, old, wrong)

    def validate_status_update(
        self, resource: resources.Resource, obj: objects.Object, old: objects.Object
    ) -> Problems:
        return self.validate(resource, obj) + self._change(resource, obj, old, spec=False)

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


def _scale(custom: custom_type.CustomType, obj: objects.Object, *, spec: bool = True) -> Problems:
    """What the scale subresource shows must be numbers of replicas, and a selector as text."""
    if custom.scale is None:
        return []
    wrong = _replicas(obj, custom.scale.replicas) if spec else []
    wrong += _replicas(obj, custom.scale.status)
    if custom.scale.selector:
        value, problem = _read(obj, custom.scale.selector, "string", "")
        if problem:
            wrong.append(fields.invalid(_dotted(custom.scale.selector), value, problem))
    return wrong


def _replicas(obj: objects.Object, names: tuple[str, ...]) -> Problems:
    value, problem = _read(obj, names, "int64", 0)
    if not problem and value < 0:
        problem = "should be a non-negative integer"
    if not problem and value > _MOST_REPLICAS:
        problem = f"should be less than or equal to {_MOST_REPLICAS}"
    return [fields.invalid(_dotted(names), value, problem)] if problem else []


def _dotted(names: tuple[str, ...]) -> str:
    return "." + ".".join(names)


def _read(obj: objects.Object, names: tuple[str, ...], wanted: str, absent: Any) -> tuple[Any, str]:
    """A value and what is wrong with its type; the place of what is no object on the way is told."""
    place: Any = obj
    for index, name in enumerate(names):
        if place is None:
            return absent, ""
        if not isinstance(place, dict):
            return absent, _accessor(names[: index + 1], place, "map[string]interface{}")
        if name not in place:
            return absent, ""
        place = place[name]
    found = go_text.type_name(place)
    return (place, "") if found == wanted else (absent, _accessor(names, place, wanted))


def _accessor(names: tuple[str, ...], value: Any, wanted: str) -> str:
    shown = f"{go_text.value(value)} is of the type {go_text.type_name(value)}"
    return f"{_dotted(names)} accessor error: {shown}, expected {wanted}"

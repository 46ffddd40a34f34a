"""A strategy put together from functions: enough for most kinds, which differ only in what is valid."""

import copy
from collections.abc import Callable, Mapping
from typing import Any

from kubeshim.control_plane.api_server.strategies import strategy
from kubeshim.machinery import errors, objects, resources

Check = Callable[[objects.Object], list[errors.FieldError]]
Warn = Callable[[objects.Object, objects.Object | None], list[str]]
ChangeCheck = Callable[[objects.Object, objects.Object], list[errors.FieldError]]


class Checked(strategy.Strategy):
    """``status`` is what a new object's status begins as (upstream's structs write their zeros out).

    ``change`` says all that is wrong with an update, where the new object as a whole is judged by what it was.
    """

    def __init__(
        self,
        validate: Check | None = None,
        validate_update: ChangeCheck | None = None,
        validate_status: ChangeCheck | None = None,
        *,
        create: Check | None = None,
        change: ChangeCheck | None = None,
        warn: Warn | None = None,
        status: Mapping[str, Any] | None = None,
        create_on_update: bool = False,
        unconditional: bool = True,
        orphans: bool = False,
        first_generation: int = 1,
        counted_metadata: tuple[str, ...] = (),
    ) -> None:
        self._validate, self._validate_update, self._validate_status = validate, validate_update, validate_status
        self._validate_create, self._validate_change, self._warn = create, change, warn
        self._status = status
        self.allow_create_on_update = create_on_update
        self.allow_unconditional_update = unconditional
        self.dependents = "orphan" if orphans else "delete"
        self.first_generation, self.counted_metadata = first_generation, counted_metadata

    def prepare_for_create(self, resource: resources.Resource, obj: objects.Object) -> None:
        super().prepare_for_create(resource, obj)
        if self._status is not None:
            obj["status"] = copy.deepcopy(dict(self._status))

    def validate(self, resource: resources.Resource, obj: objects.Object) -> list[errors.FieldError]:
        return self._validate(obj) if self._validate else []

    def validate_create(self, resource: resources.Resource, obj: objects.Object) -> list[errors.FieldError]:
        return self._validate_create(obj) if self._validate_create else []

    def validate_update(
        self, resource: resources.Resource, obj: objects.Object, old: objects.Object
    ) -> list[errors.FieldError]:
        return self._validate_update(obj, old) if self._validate_update else []

    def validate_change(
        self, resource: resources.Resource, obj: objects.Object, old: objects.Object
    ) -> list[errors.FieldError]:
        if self._validate_change is not None:
            return self._validate_change(obj, old)
        return super().validate_change(resource, obj, old)

    def warnings(self, resource: resources.Resource, obj: objects.Object, old: objects.Object | None) -> list[str]:
        return self._warn(obj, old) if self._warn else []

    def validate_status_update(
        self, resource: resources.Resource, obj: objects.Object, old: objects.Object
    ) -> list[errors.FieldError]:
        return self._validate_status(obj, old) if self._validate_status else []

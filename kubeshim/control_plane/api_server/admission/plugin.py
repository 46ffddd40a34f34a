"""What an admission plugin is and what it is told."""

import dataclasses
from typing import Any, Protocol

from kubeshim.control_plane.api_server import request
from kubeshim.machinery import objects, resources


class Reader(Protocol):
    """The cached state a plugin may look at. Objects are the caller's to read, not to change."""

    def get(self, gvr: resources.GroupVersionResource, namespace: str, name: str) -> objects.Object | None: ...

    def list(self, gvr: resources.GroupVersionResource, namespace: str = "") -> list[objects.Object]: ...


@dataclasses.dataclass(slots=True)
class Attributes:
    """One request on its way in. ``object`` is None for DELETE, ``old_object`` for CREATE."""

    user: request.UserInfo
    operation: str
    """``CREATE``, ``UPDATE``, ``DELETE`` or ``CONNECT``."""
    resource: resources.Resource
    subresource: str
    namespace: str
    name: str
    object: objects.Object | None
    old_object: objects.Object | None
    options: dict[str, Any]
    dry_run: bool
    warnings: list[str]


class Mutating(Protocol):
    """May change ``attributes.object``."""

    def admit(self, attributes: Attributes, reader: Reader) -> None: ...


class Validating(Protocol):
    """May only refuse."""

    def validate(self, attributes: Attributes, reader: Reader) -> None: ...

"""What an admission plugin is and what it is told."""

import dataclasses
import math
from typing import Any, Protocol

from kubeshim.control_plane.api_server import request
from kubeshim.machinery import objects, resources


class Reader(Protocol):
    """The cached state a plugin may look at. Objects are the caller's to read, not to change."""

    def get(self, gvr: resources.GroupVersionResource, namespace: str, name: str) -> objects.Object | None: ...

    def list(self, gvr: resources.GroupVersionResource, namespace: str = "") -> list[objects.Object]: ...


@dataclasses.dataclass(slots=True)
class Reinvocation:
    """Which of those that may be asked again must be: they saw an object that was changed after them.

    ``previous`` have been asked and would like to be again, ``again`` will be, in the ``second`` round.
    """

    second: bool = False
    wanted: bool = False
    previous: set[str] = dataclasses.field(default_factory=set)
    again: set[str] = dataclasses.field(default_factory=set)
    _seen: str = ""

    def remember(self, key: str) -> None:
        self.previous.add(key)

    def object_changed(self) -> None:
        self.wanted = True
        self.again |= self.previous
        self.previous.clear()

    def asked(self, obj: objects.Object | None) -> None:
        """Everybody has been asked in this round, and this is the object now."""
        self._seen = repr(obj)

    def changed_since_asked(self, obj: objects.Object | None) -> bool:
        return self._seen != repr(obj)


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
    until: float = math.inf
    """The monotonic time at which the request is given up."""
    reinvocation: Reinvocation = dataclasses.field(default_factory=Reinvocation)


class Mutating(Protocol):
    """May change ``attributes.object``."""

    def admit(self, attributes: Attributes, reader: Reader) -> None: ...


class Validating(Protocol):
    """May only refuse."""

    def validate(self, attributes: Attributes, reader: Reader) -> None: ...

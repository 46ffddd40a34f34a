"""What the server knows of other servers: which group-versions are theirs, and what they said they serve.

``remote`` follows the APIServices by subscription, so that dispatching costs one look into a dict. What the others say
is brought by ``availability``; it outlives their absence, told as stale. ``generation`` changes with anything that
discovery or OpenAPI show.
"""

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from kubeshim.control_plane.api_server import request
from kubeshim.control_plane.api_server import storage as storages
from kubeshim.control_plane.api_server.aggregation import registration as registrations
from kubeshim.machinery import objects, resources

if TYPE_CHECKING:
    from kubeshim.control_plane.api_server import server as servers

API_SERVICES = resources.GroupVersionResource("apiregistration.k8s.io", "v1", "apiservices")


@dataclasses.dataclass(frozen=True, slots=True)
class Told:
    """What a server said last. Empty before its first word."""

    resources: tuple[dict[str, Any], ...] = ()
    """The entries of its APIResourceList."""
    openapi: tuple[tuple[str, str], ...] = ()
    """Its OpenAPI v3 documents of this group-version: (path, URL with its hash)."""


class Aggregator:
    """State only; reading and writing happen in the loop's thread."""

    def __init__(self, server: "servers.Server") -> None:
        self._server = server
        self.remote: dict[tuple[str, str], registrations.Registration] = {}
        self.told: dict[tuple[str, str], Told] = {}
        self.generation = 0
        self.look_again: Callable[[str], None] = lambda name: None
        """Asks for a check of a registration soon; set by who checks."""

    def start(self) -> None:
        self._server.storage.subscribe(API_SERVICES, self._follow)

    def find(self, info: request.RequestInfo) -> registrations.Registration | None:
        """Whose this request is; None for ours."""
        if not self.remote:
            return None
        if info.is_resource:
            return self.remote.get((info.group, info.version))
        parts = info.path.split("/", 4)
        return self.remote.get((parts[2], parts[3])) if len(parts) > 3 and parts[1] == "apis" else None

    def by_name(self, name: str) -> registrations.Registration | None:
        return next((one for one in self.remote.values() if one.name == name), None)

    def tell(self, registration: registrations.Registration, said: Told) -> None:
        """Keeps what a server said, unless its registration has changed meanwhile."""
        held = self.remote.get(registration.key)
        if held is None or held.route != registration.route or self.told.get(registration.key) == said:
            return
        self.told[registration.key] = said
        self.generation += 1

    def _follow(self, change: storages.Change) -> None:
        name = objects.name(change.obj)
        found = None if change.kind == "DELETED" else registrations.of(change.obj)
        held = self.by_name(name)
        if found == held:
            return
        if held is not None:
            del self.remote[held.key]
            if found is None or found.route != held.route:
                self.told.pop(held.key, None)
        if found is not None:
            self.remote[found.key] = found
        self.generation += 1
        if found is None:
            return
        lost = held is not None and held.available and not found.available  # somebody may have written that
        if held is None or found.route != held.route or lost:
            self.look_again(name)

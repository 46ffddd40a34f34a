"""One operation on one resource: what the verbs are told, from HTTP or from inside the server."""

import contextlib
import dataclasses
import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from kubeshim import clock
from kubeshim.control_plane.api_server import request
from kubeshim.control_plane.api_server.admission import plugin
from kubeshim.control_plane.api_server.authorization import attributes as authorization
from kubeshim.control_plane.api_server.strategies import strategy as strategies
from kubeshim.machinery import errors, objects, resources, schemas

if TYPE_CHECKING:
    from kubeshim.control_plane.api_server import server as servers

Restrict = Callable[[objects.Object, objects.Object], list[errors.FieldError]]


@dataclasses.dataclass(slots=True)
class Operation:
    """``options`` is the ``CreateOptions`` (``UpdateOptions`` …) object as admission sees it."""

    server: "servers.Server"
    resource: resources.Resource
    user: request.UserInfo
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    dry_run: bool = False
    manager: str = "unknown"
    field_validation: str = "Warn"
    options: dict[str, Any] = dataclasses.field(default_factory=dict)
    warnings: list[str] = dataclasses.field(default_factory=list)
    create_unconditionally: bool = False
    """Whether what is created may name a resourceVersion: a PUT may create."""
    verb: str = "update"
    """What authorization was asked about."""
    until: float = math.inf
    """The monotonic time at which the request is given up."""
    collective: bool = False
    """Whether the object is one of many that the request is about; then it names none of them."""
    restrict: Restrict | None = None
    """For a subresource that owns a part of the object: puts everything else of the new object back to what the old
    one has, and says what is wrong with the change."""

    @property
    def strategy(self) -> strategies.Strategy:
        return self.server.strategy(self.resource)

    @property
    def schema(self) -> schemas.Schema:
        return self.server.schema(self.resource.gvk)

    def now(self) -> str:
        return clock.rfc3339(self.server.clock.now())

    def attributes(
        self, verb: str, obj: objects.Object | None, old: objects.Object | None, name: str = ""
    ) -> plugin.Attributes:
        """What admission plugins see. The namespace of a Namespace is itself."""
        name = "" if self.collective else name or self.name
        namespace = name if self.resource.group_resource == "namespaces" else self.namespace
        return plugin.Attributes(
            user=self.user, operation=verb, resource=self.resource, subresource=self.subresource,
            namespace=namespace, name=name, object=obj, old_object=old, options=self.options,
            dry_run=self.dry_run, warnings=self.warnings, until=self.until,
        )  # fmt: skip

    def exclusive(self) -> contextlib.AbstractContextManager[None]:
        """Changes of the object one after another.

        Not so while other servers are asked on the way: one of them might want to change this very object before it
        answers. The store's own precondition decides then.
        """
        if self.server.admission.asks_others():
            return contextlib.nullcontext()
        return self.server.locks.of(self.resource.storage_key(self.namespace, self.name))

    def may_create(self) -> None:
        """Who creates by an update or a patch must be allowed to create, too. Raises ``errors.Forbidden``."""
        resource = self.resource
        question = authorization.Attributes(
            self.user, "create", resource.group, resource.version, resource.plural, self.subresource, self.namespace,
            self.name,
        )  # fmt: skip
        decision = self.server.authorizer.authorize(question)
        if not decision.allowed:
            raise authorization.forbidden(question, decision.reason)

    def asker(self) -> strategies.Asker:
        server = self.server
        return strategies.Asker(
            self.user, self.verb, self.subresource, server.authorizer, server.storage.reader, server.registry
        )

    @contextlib.contextmanager
    def allocated(self, obj: objects.Object, old: objects.Object | None) -> Iterator[None]:
        """What the strategy takes for the object is kept for it until it is written, or not."""
        ended = self.strategy.allocate(self.resource, obj, old, self.server.storage.reader, self.dry_run)
        try:
            yield
        finally:
            if ended is not None:
                ended()

"""All background work. Each entry is called with the server; one that returns is done."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from kubeshim.control_plane.api_server.aggregation import availability
from kubeshim.control_plane.api_server.background import (
    addresses,
    api_services,
    compaction,
    custom_resource_definitions,
    event_expiry,
    flow_schemas,
    identity,
    kubernetes_service,
    revoked_watches,
    service_cidr,
    start_up,
)

if TYPE_CHECKING:
    from kubeshim.control_plane.api_server import server as servers

WORK: tuple[Callable[["servers.Server"], None], ...] = (
    start_up.run,
    kubernetes_service.run,
    addresses.run,
    service_cidr.run,
    api_services.run,
    availability.run,
    identity.run,
    custom_resource_definitions.run,
    event_expiry.run,
    flow_schemas.run,
    compaction.run,
    revoked_watches.run,
)

"""All background work. Each entry is called with the server; one that returns is done."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from kubeshim.control_plane.api_server.background import (
    compaction,
    custom_resource_definitions,
    event_expiry,
    kubernetes_service,
    start_up,
)

if TYPE_CHECKING:
    from kubeshim.control_plane.api_server import server as servers

WORK: tuple[Callable[["servers.Server"], None], ...] = (
    start_up.run,
    kubernetes_service.run,
    custom_resource_definitions.run,
    event_expiry.run,
    compaction.run,
)

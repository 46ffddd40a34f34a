"""Where a registration's server is: a ready endpoint of its Service, found here and not through the kernel's rules.

The reasons why there is none are those of the ``Available`` condition.
"""

import dataclasses
import random
from typing import TYPE_CHECKING

from kubeshim.control_plane.api_server.aggregation import registration as registrations
from kubeshim.control_plane.api_server.subresources import proxy_targets
from kubeshim.machinery import objects

if TYPE_CHECKING:
    from kubeshim.control_plane.api_server import server as servers


@dataclasses.dataclass(frozen=True, slots=True)
class Condition:
    """``Available``: status ``True`` or ``False``, with why."""

    status: str
    reason: str
    message: str


PASSED = Condition("True", "Passed", "all checks passed")


class NoEndpoint(Exception):
    """``condition`` says why."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.condition = Condition("False", reason, message)


def find(server: "servers.Server", registration: registrations.Registration) -> tuple[str, int]:
    """Host and port. Raises ``NoEndpoint``."""
    name, namespace = registration.service, registration.namespace
    service = server.storage.reader.get(proxy_targets.SERVICES, namespace, name)
    if service is None:
        raise NoEndpoint("ServiceNotFound", f'service/{name} in "{namespace}" is not present')
    if objects.dig(service, "spec", "type") == "ExternalName":
        return str(service["spec"].get("externalName")), registration.port
    ports = {entry.get("port"): entry.get("name") or "" for entry in objects.dig(service, "spec", "ports", default=())}
    if registration.port not in ports:
        text = f'service/{name} in "{namespace}" is not listening on port {registration.port}'
        raise NoEndpoint("ServicePortError", text)
    parts = proxy_targets.slices(server, namespace, name)
    if not parts:
        raise NoEndpoint("EndpointsNotFound", f'cannot find endpointslices for service/{name} in "{namespace}"')
    port = ports[registration.port]
    candidates = proxy_targets.ready(parts, port)
    if not candidates:
        text = f'endpointslices for service/{name} in "{namespace}" have no addresses with port name "{port}"'
        raise NoEndpoint("MissingEndpoints", text)
    return random.choice(candidates)

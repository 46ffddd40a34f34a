"""RoleEscalation: nobody grants what they do not hold.

Upstream does this in the storage of the RBAC types, before the object is validated; the rule itself stands with the
authorizers.
"""

from collections.abc import Callable

from kubeshim.control_plane.api_server import request
from kubeshim.control_plane.api_server.admission import plugin
from kubeshim.control_plane.api_server.authorization import authorizer, escalation, rbac


class RoleEscalation:
    """A mutating plugin that changes nothing. ``authorizers`` gives the chain, which is built after admission."""

    def __init__(self, authorizers: Callable[[], authorizer.Chain]) -> None:
        self._authorizers = authorizers
        self._check: escalation.Escalation | None = None

    def admit(self, attributes: plugin.Attributes, reader: plugin.Reader) -> None:
        if attributes.resource.group != rbac.GROUP or request.MASTERS in attributes.user.groups:
            return
        if self._check is None:
            chain = self._authorizers()
            self._check = escalation.Escalation(chain.index, chain)
        self._check.admit(attributes, reader)

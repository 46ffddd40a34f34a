"""The order in which admission plugins are asked, and asking them.

``PLUGINS`` is upstream's recommended order: first everything that mutates, in this order, then everything that
validates, in this order. ResourceQuota is last, so that nothing is charged that another plugin refuses.
"""

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from kubeshim.control_plane.api_server import config as configuration
from kubeshim.control_plane.api_server.admission import plugin
from kubeshim.control_plane.api_server.admission.plugins import node_restriction, role_escalation

if TYPE_CHECKING:
    from kubeshim.control_plane.api_server import server as servers


@dataclasses.dataclass(frozen=True, slots=True)
class Entry:
    """``make`` builds the plugin for a server; one that is not ``default`` must be asked for."""

    name: str
    make: Callable[["servers.Server"], Any]
    default: bool = True


PLUGINS: tuple[Entry, ...] = (
    Entry("RoleEscalation", lambda server: role_escalation.RoleEscalation(lambda: server.authorizer)),
    Entry("NodeRestriction", lambda server: node_restriction.NodeRestriction()),
)


class Chain:
    """The plugins that are on, bound to one server."""

    def __init__(self, reader: plugin.Reader, config: configuration.Config, server: "servers.Server") -> None:
        """Raises ``ValueError`` for names nobody knows."""
        self._reader = reader
        plugins = [entry.make(server) for entry in _chosen(config)]
        self._mutating = [one.admit for one in plugins if hasattr(one, "admit")]
        self._validating = [one.validate for one in plugins if hasattr(one, "validate")]

    def mutate(self, attributes: plugin.Attributes) -> None:
        """Lets plugins change ``attributes.object``. Raises ``errors.APIStatusError`` to refuse."""
        reader = self._reader
        for admit in self._mutating:
            admit(attributes, reader)

    def validate(self, attributes: plugin.Attributes) -> None:
        """Raises ``errors.APIStatusError`` to refuse."""
        reader = self._reader
        for validate in self._validating:
            validate(attributes, reader)


def _chosen(config: configuration.Config) -> list[Entry]:
    known = {entry.name for entry in PLUGINS}
    for option, names in (
        ("enable-admission-plugins", config.enabled_admission_plugins),
        ("disable-admission-plugins", config.disabled_admission_plugins),
    ):
        for name in names:
            if name not in known:
                raise ValueError(f'{option} plugin "{name}" is unknown')
    return [
        entry
        for entry in PLUGINS
        if (entry.default or entry.name in config.enabled_admission_plugins)
        and entry.name not in config.disabled_admission_plugins
    ]

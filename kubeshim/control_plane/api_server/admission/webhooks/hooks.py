"""The webhooks there are, in the order in which they are asked: by their configurations' names, then as written."""

from typing import TYPE_CHECKING

from kubeshim.control_plane.api_server.admission.webhooks import hook
from kubeshim.machinery import objects, resources

if TYPE_CHECKING:
    from kubeshim.control_plane.api_server import storage as storages

_GROUP = "admissionregistration.k8s.io"
MUTATING = resources.GroupVersionResource(_GROUP, "v1", "mutatingwebhookconfigurations")
VALIDATING = resources.GroupVersionResource(_GROUP, "v1", "validatingwebhookconfigurations")


class Hooks:
    """Follows the configurations of one kind. A change counts from the next request on."""

    def __init__(self) -> None:
        self._by_configuration: dict[str, tuple[hook.Hook, ...]] = {}
        self.all: tuple[hook.Hook, ...] = ()

    def follow(self, change: "storages.Change") -> None:
        name = objects.name(change.obj)
        if change.kind == "DELETED":
            self._by_configuration.pop(name, None)
        else:
            self._by_configuration[name] = hook.of(change.obj)
        self.all = tuple(one for _, found in sorted(self._by_configuration.items()) for one in found)

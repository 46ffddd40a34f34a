"""ClusterRoles with an ``aggregationRule`` have the rules of all ClusterRoles it selects, in order of name."""

from kubeshim.client import kinds
from kubeshim.control_plane.controller_manager import controller
from kubeshim.machinery import objects, selectors
from kubeshim.machinery.objects import Object


class ClusterRoleAggregationController(controller.Controller):
    name = "clusterrole-aggregation"
    workers = 1

    def register(self) -> None:
        self._roles = self.informer(kinds.CLUSTER_ROLES)
        self._roles.add_handler(
            added=self._changed, updated=lambda old, new: self._changed(new, old), deleted=self._changed
        )

    def _changed(self, *versions: Object) -> None:
        for role in self._roles.list():
            if role.get("aggregationRule") and (
                role["metadata"]["name"] == objects.name(versions[0])
                or any(_selects(role, version) for version in versions)
            ):
                self.enqueue(role)

    def sync(self, key: str) -> None:
        role = self._roles.get(key)
        if role is None or not role.get("aggregationRule"):
            return
        rules: list[Object] = []
        for other in sorted(self._roles.list(), key=objects.name):
            if objects.name(other) != key and _selects(role, other):
                rules += [rule for rule in other.get("rules") or () if rule not in rules]
        if rules != (role.get("rules") or []):
            wanted: Object = {
                "apiVersion": kinds.CLUSTER_ROLES.group_version,
                "kind": "ClusterRole",
                "metadata": {"name": key},
                "rules": rules,
            }
            self.client.patch(
                kinds.CLUSTER_ROLES, key, wanted, kind="apply", fieldManager=f"{self.name}-controller", force=True
            )


def _selects(role: Object, other: Object) -> bool:
    chosen = objects.dig(role, "aggregationRule", "clusterRoleSelectors", default=())
    return any(selectors.from_label_selector(one).matches(objects.labels(other)) for one in chosen)

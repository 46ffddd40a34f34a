"""Brings the bootstrap roles and bindings into the cluster, and back when somebody took from them.

What is missing is added; what was added by others stays. An object whose annotation
``rbac.authorization.kubernetes.io/autoupdate`` is ``"false"`` is left alone.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from gevent import pool

from kubeshim.control_plane.api_server.authorization import bootstrap_policy, rbac, rules
from kubeshim.control_plane.api_server.background import reconcile
from kubeshim.machinery import objects, resources

if TYPE_CHECKING:
    from kubeshim.control_plane.api_server import server as servers

_AUTO_UPDATE = "rbac.authorization.kubernetes.io/autoupdate"
_PLURALS = {
    "Role": "roles", "ClusterRole": "clusterroles", "RoleBinding": "rolebindings",
    "ClusterRoleBinding": "clusterrolebindings",
}  # fmt: skip
_AT_ONCE = 32
"""Writes under way together: the store commits them in one go."""


def ensure(server: "servers.Server") -> None:
    found = bootstrap_policy.load()
    for roles in (True, False):  # roles first: a binding must not exist before what it grants
        workers = pool.Pool(_AT_ONCE)
        for obj in found:
            if obj["kind"].endswith("Role") is roles:
                workers.spawn(_ensure, server, obj)
        workers.join(raise_error=True)


def _ensure(server: "servers.Server", wanted: objects.Object) -> None:
    gvr = resources.GroupVersionResource(rbac.GROUP, "v1", _PLURALS[wanted["kind"]])
    merge: Callable[[objects.Object, objects.Object], objects.Object | None] = merged_role
    if wanted["kind"].endswith("Binding"):
        held = server.storage.reader.get(gvr, objects.namespace(wanted), objects.name(wanted))
        if held is not None and _follows(held) and held.get("roleRef") != wanted["roleRef"]:
            # A binding cannot be pointed at another role: it is made anew.
            server.client.delete(gvr, objects.name(wanted), objects.namespace(wanted))
        merge = merged_binding
    reconcile.ensure(server, gvr, wanted, merge)


def merged_role(held: objects.Object, wanted: objects.Object) -> objects.Object | None:
    """``held`` with the rules of ``wanted`` that it lacks; None where nothing is missing."""
    if not _follows(held):
        return None
    made = reconcile.with_metadata(held, wanted)
    if wanted.get("aggregationRule"):
        missing = [
            one
            for one in wanted["aggregationRule"]["clusterRoleSelectors"]
            if one not in objects.dig(held, "aggregationRule", "clusterRoleSelectors", default=())
        ]
        if missing:
            kept = objects.dig(held, "aggregationRule", "clusterRoleSelectors", default=[])
            made["aggregationRule"] = {"clusterRoleSelectors": [*kept, *missing]}
    else:
        lacking = [
            rule
            for rule in wanted.get("rules") or ()
            if rules.uncovered(rules.compile_rules(held.get("rules")), rules.compile_rules([rule]))
        ]
        if lacking:
            made["rules"] = [*(held.get("rules") or ()), *lacking]
    return None if made == held else made


def merged_binding(held: objects.Object, wanted: objects.Object) -> objects.Object | None:
    """``held`` with the subjects of ``wanted`` that it lacks; None where nothing is missing."""
    if not _follows(held):
        return None
    made = reconcile.with_metadata(held, wanted)
    subjects = held.get("subjects") or []
    lacking = [one for one in wanted.get("subjects") or () if one not in subjects]
    if lacking:
        made["subjects"] = [*subjects, *lacking]
    return None if made == held else made


def _follows(held: objects.Object) -> bool:
    return objects.annotations(held).get(_AUTO_UPDATE) != "false"

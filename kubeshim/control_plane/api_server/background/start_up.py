"""What a cluster must hold before anybody can use it, in the order in which one thing needs another.

Repeated every minute, because a namespace or a role of the system may have been deleted.
"""

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from kubeshim.control_plane.api_server.background import (
    authentication_config,
    bootstrap_roles,
    flow_control,
    namespaces,
    priority_classes,
    service_cidr,
)

if TYPE_CHECKING:
    from kubeshim.control_plane.api_server import server as servers

_log = logging.getLogger(__name__)
PERIOD = 60.0

STEPS: tuple[tuple[str, Callable[["servers.Server"], None]], ...] = (
    ("start-system-namespaces-controller", namespaces.ensure),
    ("rbac/bootstrap-roles", bootstrap_roles.ensure),
    ("scheduling/bootstrap-system-priority-classes", priority_classes.ensure),
    ("start-cluster-authentication-info-controller", authentication_config.ensure),
    ("start-service-ip-repair-controllers", service_cidr.ensure),
    ("priority-and-fairness-config-producer", flow_control.ensure),
)
"""Named as upstream names its hooks, which is what ``/livez?verbose`` shows."""


def run(server: "servers.Server") -> None:
    pending = list(STEPS)
    done: set[str] = set()
    for name, _ in STEPS:
        server.health.live.setdefault(f"poststarthook/{name}", _check(name, done))
    while not server.stopping.is_set():
        failed = []
        for name, step in pending:
            try:
                step(server)
                done.add(name)
            except Exception:
                _log.exception("%s failed and will be tried again", name)
                failed.append((name, step))
        server.bootstrapped.set()
        # What failed is tried again soon; everything is looked over once a minute.
        pending = failed or list(STEPS)
        server.stopping.wait(1.0 if failed else PERIOD)


def _check(name: str, done: set[str]) -> Callable[[], None]:
    """A readiness check that holds once the step has been taken."""

    def check() -> None:
        if name not in done:
            raise RuntimeError("not finished")

    return check

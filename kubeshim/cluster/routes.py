"""Routes of this machine into a cluster's Services, through its nodes.

Told to the kernel by iproute2's ``ip``: the controller manager, which decides upon them, changes a route when a node
comes or goes, and pyroute2 would weigh more in its memory than all its controllers do.
"""

import ipaddress
import json
import subprocess
from collections.abc import Iterable, Mapping

from kubeshim.node.kubelet import network_host

_IP_PATIENCE = 10.0
"""Seconds; the kernel answers in milliseconds."""


class Routes:
    """Routes that somebody decides upon as a whole.

    ``within`` are the ranges they lie in: routes to such found in the kernel, left by an earlier process, are taken
    for ours.
    """

    def __init__(self, within: Iterable[str]) -> None:
        self._within = [ipaddress.ip_network(cidr) for cidr in within]

    def set(self, wanted: Mapping[str, str]) -> None:
        """Makes them exactly ``{range: gateway}``. Raises ``OSError``."""
        standing = self._standing()
        for cidr in standing.keys() - wanted.keys():
            _ip("route", "del", cidr, "via", standing[cidr])
        for cidr, gateway in wanted.items():
            if standing.get(cidr) != gateway:
                _ip("route", "replace", cidr, "via", gateway)

    def _standing(self) -> dict[str, str]:
        found = {}
        for version in sorted({wider.version for wider in self._within}):
            for route in json.loads(_ip(f"-{version}", "-json", "route", "show", "table", "main") or "[]"):
                if "gateway" not in route or route["dst"] == "default":
                    continue
                network = ipaddress.ip_network(route["dst"])
                if any(network_host.inside(network, wider) for wider in self._within):
                    found[str(network)] = route["gateway"]
        return found


def _ip(*arguments: str) -> str:
    """What ``ip`` prints."""
    try:
        done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False, timeout=_IP_PATIENCE)
    except subprocess.TimeoutExpired as error:
        raise OSError(f"ip {' '.join(arguments)} has not answered for {_IP_PATIENCE:.0f} s") from error
    if done.returncode:
        raise OSError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout

"""Which processes a cluster is made of, and the sockets each is handed: pure descriptions for the supervisor."""

import sys
from collections.abc import Mapping
from typing import Any

from kubeshim.cluster import configuration, layout, publishing

KUBELET_PORT = 10250
INGRESS_PORTS = {"http": 80, "https": 443}
DNS_PORT = 10053
"""Of the node. Port 53 stays free for workloads; the kube-dns Service points here."""
ANY = "0.0.0.0"
SIMULATION_PORT = 10247
"""Of the address that the API server advertises; there simulated nodes' kubelets would answer."""
METRICS_PORT = 10243
"""Of the control plane's node; the metrics-server Service points here."""


def command(component: str, where: layout.Layout, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "kubeshim", component, "--data-dir", str(where.directory), *arguments]


def api_server(config: configuration.Configuration, where: layout.Layout) -> dict[str, Any]:
    """Listens on loopback and on the nodes' network; beyond this machine only where asked to."""
    return {
        "name": "api-server",
        "command": command("api-server", where),
        "sockets": [{"name": "api", "address": address, "port": config.port} for address in listened(config)],
        "stopSeconds": 10,
    }


def listened(config: configuration.Configuration) -> list[str]:
    """One that stands for all addresses makes the others superfluous, and their sockets impossible."""
    asked = dict.fromkeys(filter(None, ("127.0.0.1", config.ranges.gateway, config.advertise, *config.listen)))
    return [ANY] if ANY in asked else list(asked)


def controller_manager(where: layout.Layout) -> dict[str, Any]:
    """The controller manager and the scheduler in one process."""
    return {
        "name": "controller-manager",
        "command": command("controller-manager", where, "--with-scheduler"),
        "sockets": [],
        "stopSeconds": 5,
    }


def agent(node: configuration.Node, holder_pid: int, where: layout.Layout) -> dict[str, Any]:
    """The agent of a node: kubelet, kube-proxy and DNS. Its sockets belong to the node's network namespace."""
    inside = {"netnsPid": holder_pid, "address": node.address}
    metrics = [{"name": "metrics", "port": METRICS_PORT, **inside}] if node.control_plane else []
    return {
        "name": f"agent-{node.name}",
        "command": command("agent", where, "--node", node.name, "--holder-pid", str(holder_pid)),
        "sockets": [
            {"name": "kubelet", "port": KUBELET_PORT, **inside},
            {"name": "dns-udp", "port": DNS_PORT, "type": "dgram", **inside},
            {"name": "dns-tcp", "port": DNS_PORT, **inside},
            *metrics,
        ],
        "stopSeconds": 15,
    }


def ingress(config: configuration.Configuration, holder_pid: int, where: layout.Layout) -> dict[str, Any]:
    """The Ingress controller; HAProxy is its child, inside the first node."""
    inside = {"netnsPid": holder_pid, "address": config.nodes[0].address}
    sockets = [{"name": name, "port": port, **inside} for name, port in INGRESS_PORTS.items()]
    for entry in config.published:
        address, port, target = entry.split(":")
        name = next(name for name, number in INGRESS_PORTS.items() if number == int(target))
        sockets.append({"name": name, "port": int(port), "address": address})
    return {
        "name": "ingress",
        "command": command("ingress", where, "--holder-pid", str(holder_pid)),
        "sockets": sockets,
        "stopSeconds": 10,
    }


def simulated_nodes(config: configuration.Configuration, where: layout.Layout) -> list[dict[str, Any]]:
    """All of them in one process, if there are any."""
    if not config.simulated_nodes:
        return []
    return [
        {
            "name": "simulated-nodes",
            "command": command("simulated-nodes", where, "--count", str(config.simulated_nodes)),
            "sockets": [{"name": "kubelet", "address": config.ranges.gateway, "port": SIMULATION_PORT}],
            "stopSeconds": 5,
        }
    ]


def publisher(where: layout.Layout, sockets: list[dict[str, Any]]) -> dict[str, Any]:
    """Carries ports of the machine into the cluster."""
    return {"name": "publisher", "command": command("publisher", where), "sockets": sockets, "stopSeconds": 2}


def on_node(
    config: configuration.Configuration, node: configuration.Node, holder_pid: int, where: layout.Layout
) -> list[dict[str, Any]]:
    """Everything that stands and falls with the node."""
    found = [agent(node, holder_pid, where)]
    if config.ingress and node == config.nodes[0]:
        found.append(ingress(config, holder_pid, where))
    return found


def everything(
    config: configuration.Configuration, where: layout.Layout, holders: Mapping[str, int]
) -> list[dict[str, Any]]:
    """In start order. Nodes whose holder is not yet running are left out."""
    return [
        api_server(config, where),
        controller_manager(where),
        *simulated_nodes(config, where),
        *([publisher(where, publishing.sockets(config))] if config.published_services else []),
        *(
            component
            for node in config.nodes
            if node.name in holders
            for component in on_node(config, node, holders[node.name], where)
        ),
    ]

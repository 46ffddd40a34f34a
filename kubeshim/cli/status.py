"""What runs of a cluster: processes with their pids and restarts, the API, the nodes.

Exit code 0 where everything runs, 1 where something does not, 3 where there is no such cluster.
"""

import argparse
from typing import TYPE_CHECKING

from kubeshim.cli import output

if TYPE_CHECKING:
    from kubeshim.cluster import configuration, layout


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--name", default="kubeshim", help="name of the cluster (default: %(default)s)")


def run(options: argparse.Namespace) -> int:
    from kubeshim.cluster import api, configuration, layout, processes
    from kubeshim.machinery import errors

    where = layout.Layout.of(options.name)
    if not where.configuration.exists():
        output.fail(f"no cluster {options.name!r}; start one with kubeshim up --name {options.name}")
        return 3
    config = configuration.load(where.configuration)
    state, running = processes.state(where), processes.running(where)
    entries = {"supervisor": state["supervisor"], **state["components"]}
    healthy = True
    print(f"{'COMPONENT':<32}{'STATE':<10}{'PID':<10}RESTARTS")
    for name in ["supervisor", *(c["name"] for c in processes.wanted(where))]:
        alive, entry = running.get(name, False), entries.get(name) or {}
        healthy &= alive
        print(
            f"{name:<32}{'running' if alive else 'stopped':<10}{entry.get('pid', '-') if alive else '-':<10}"
            f"{entry.get('restarts', 0)}"
        )
    server = config.joined.server if config.joined else f"https://127.0.0.1:{config.port}"
    print(f"\nAPI server  {server}")
    try:
        for name, ready in _joined_node(config, where) if config.joined else _nodes(config, where):
            healthy &= ready
            print(f"node        {name}  {'Ready' if ready else 'NotReady'}")
    except (api.APIError, errors.APIStatusError, OSError) as error:
        healthy = False
        print(f"            {error}")
    return 0 if healthy else 1


def _nodes(config: "configuration.Configuration", where: "layout.Layout") -> "list[tuple[str, bool]]":
    from kubeshim.cluster import api, nodes

    server = api.API(where.pki / "admin.conf", config.port, timeout=5.0)
    found = server.call("GET", "/api/v1/nodes")["items"]
    return [(node["metadata"]["name"], nodes.is_ready(node)) for node in found]


def _joined_node(config: "configuration.Configuration", where: "layout.Layout") -> "list[tuple[str, bool]]":
    """This machine may see its own node only."""
    from kubeshim import pki
    from kubeshim.client import kinds, kubeconfig, rest
    from kubeshim.cluster import nodes

    found = []
    for node in config.nodes:
        client = rest.Client(kubeconfig.load(pki.Files(where.pki).kubeconfig(f"kubelet-{node.name}")))
        found.append((node.name, nodes.is_ready(client.get(kinds.NODES, node.name))))
        client.close()
    return found

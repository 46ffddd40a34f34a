"""What runs of a cluster: processes with their pids and restarts, the API, the nodes.

Exit code 0 where everything runs, 1 where something does not, 3 where there is no such cluster.
"""

import argparse

from kubeshim.cli import output


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--name", default="kubeshim", help="name of the cluster (default: %(default)s)")


def run(options: argparse.Namespace) -> int:
    from kubeshim.cluster import api, configuration, layout, processes

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
    print(f"\nAPI server  https://127.0.0.1:{config.port}")
    try:
        server = api.API(where.pki / "admin.conf", config.port, timeout=5.0)
        for node in server.call("GET", "/api/v1/nodes")["items"]:
            conditions = {c["type"]: c["status"] for c in node.get("status", {}).get("conditions") or ()}
            ready = conditions.get("Ready") == "True"
            healthy &= ready
            print(f"node        {node['metadata']['name']}  {'Ready' if ready else 'NotReady'}")
    except (api.APIError, OSError) as error:
        healthy = False
        print(f"            {error}")
    return 0 if healthy else 1

"""The nodes of a cluster, one by one.

kubeshim node list                  which there are and how they are
kubeshim node add [NODE]            one more
kubeshim node add --simulated N     N more whose pods are only told of
kubeshim node remove NODE           for good, with its pods (kubectl drain NODE first, to have them elsewhere)
kubeshim node stop NODE             as if its power had gone
kubeshim node stop NODE --graceful  after its pods have ended, by priority (needs the kubelet's shutdownGracePeriod)
kubeshim node start NODE            again, with the same name, address and range
kubeshim node isolate NODE          as if its cable had been pulled: it runs on, unseen
kubeshim node rejoin NODE           the cable is back
"""

import argparse
from typing import TYPE_CHECKING

from kubeshim.cli import output

if TYPE_CHECKING:
    from kubeshim.cluster import nodes

_SAID = {
    "remove": "is gone",
    "stop": "is off",
    "start": "is Ready",
    "isolate": "is cut off from the others",
    "rejoin": "is connected again",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", choices=["list", "add", *_SAID])
    parser.add_argument("node", nargs="?", default="", metavar="NODE")
    parser.add_argument("--simulated", type=int, default=0, metavar="N", help="how many simulated nodes to add")
    parser.add_argument("--name", default="kubeshim", help="name of the cluster (default: %(default)s)")
    parser.add_argument("--graceful", action="store_true", help="stop: end the pods first")


def run(options: argparse.Namespace) -> int:
    from kubeshim.cluster import api, host, layout, lock, nodes, ranges, simulation, up
    from kubeshim.node.container_runtime import runtime

    if options.what in _SAID and not options.node:
        return output.fail(f"kubeshim node {options.what} needs the name of a node; see kubeshim node list")
    if options.graceful and options.what != "stop":
        return output.fail("--graceful goes with kubeshim node stop")
    try:
        host.check()
        if options.what == "list":
            return _list(nodes.Nodes(options.name))
        if options.what == "add" and options.node:
            up.check_name(options.node)
        with lock.locked(layout.Layout.of(options.name)):
            these = nodes.Nodes(options.name)
            if options.what == "add" and options.simulated > 0:
                print(f"{these.simulate(options.simulated)} simulated nodes are Ready")
                return 0
            if options.what == "add":
                print(f"{these.add(options.node).name} is Ready")
                return 0
            if options.graceful:
                these.end_pods(options.node)
            getattr(these, options.what)(options.node)
    except (
        nodes.NodeFailed, simulation.TooFew, up.UpFailed, host.Unfit, ranges.RangeTaken, runtime.RuntimeFailure,
        api.APIError, OSError,
    ) as error:  # fmt: skip
        return output.fail(error)
    print(f"{options.node} {_SAID[options.what]}")
    return 0


def _list(these: "nodes.Nodes") -> int:
    rows = these.rows()
    width = max(len(row.name) for row in rows) + 2
    print(f"{'NAME':<{width}}{'STATUS':<22}{'ROLES':<16}{'ADDRESS':<16}PODS")
    for row in rows:
        print(f"{row.name:<{width}}{row.status:<22}{row.roles:<16}{row.address:<16}{row.pods}")
    return 0

"""Dispatch: which verb, its module, and what ``--help`` teaches. A module is imported only when its verb is asked."""

import argparse
import importlib
import sys
from collections.abc import Sequence
from typing import NamedTuple


class Verb(NamedTuple):
    module: str
    help: str
    group: str


VERBS: dict[str, Verb] = {
    "up": Verb("up", "start a cluster, or bring one back", "clusters"),
    "down": Verb("down", "remove a cluster and everything of it", "clusters"),
    "status": Verb("status", "what runs, where, and since when", "clusters"),
    "list": Verb("list_clusters", "the clusters on this machine", "clusters"),
    "kubeconfig": Verb("kubeconfig", "print a cluster's kubeconfig", "clusters"),
    "node": Verb("node", "list, add, remove, stop, start, isolate, rejoin nodes", "clusters"),
    "token": Verb("token", "create, list, delete the tokens other machines join with", "clusters"),
    "load": Verb("load", "bring an image into a cluster: load image NAME|FILE", "clusters"),
    "logs": Verb("logs", "print or follow a component's log", "clusters"),
    "dns": Verb("dns", "resolve the cluster's names on this machine", "clusters"),
    "version": Verb("version", "versions of kubeshim and of the Kubernetes API it serves", "clusters"),
    "api-server": Verb("api_server", "run the API server", "components"),
    "controller-manager": Verb("controller_manager", "run the controller manager", "components"),
    "scheduler": Verb("scheduler", "run the scheduler", "components"),
    "agent": Verb("agent", "run a node's agent, or join a cluster with this machine: agent --join URL", "components"),
    "simulated-nodes": Verb("simulated_nodes", "run nodes that are only told of", "components"),
    "ingress": Verb("ingress", "run the Ingress controller", "components"),
    "publisher": Verb("publisher", "carry published ports of this machine into a cluster", "components"),
}

_EPILOG = """\
A first cluster:

  sudo kubeshim up                        a cluster named "kubeshim", and a kubectl context for it
  kubectl get pods -A
  kubectl create deployment web --image IMAGE --replicas 3
  sudo kubeshim down                      nothing is left behind

Several live side by side: kubeshim up --name other
"""


def usage() -> str:
    """The text of ``kubeshim --help``."""
    lines = ["usage: kubeshim VERB [options]      (kubeshim VERB --help tells more)", ""]
    for group in ("clusters", "components"):
        lines.append(f"{group}:")
        lines += [f"  {name:<20}{verb.help}" for name, verb in VERBS.items() if verb.group == group]
        lines.append("")
    return "\n".join(lines) + "\n" + _EPILOG


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 0 done, 1 failed (the reason is on stderr), 2 the words were not understood."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given or given[0] in ("-h", "--help", "help"):
        print(usage(), end="")
        return 0 if given else 2
    if given[0] == "--version":
        given[0] = "version"
    verb = VERBS.get(given[0])
    if verb is None:
        print(f"kubeshim: no verb {given[0]!r}; see kubeshim --help", file=sys.stderr)
        return 2
    module = importlib.import_module(f"kubeshim.cli.{verb.module}")
    parser = argparse.ArgumentParser(
        prog=f"kubeshim {given[0]}",
        description=module.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    module.add_arguments(parser)
    options = parser.parse_args(given[1:])
    try:
        return int(module.run(options))
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return 141

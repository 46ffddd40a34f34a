"""Start a cluster, take over what still runs of it, or bring it back after a reboot.

  sudo kubeshim up
  sudo kubeshim up --name other --nodes 2
  sudo kubeshim up --config cluster.json
  sudo kubeshim up --simulated-nodes 500
  sudo kubeshim up --ingress --publish 8080:80
  sudo kubeshim up --advertise 192.0.2.1          other machines may join: kubeshim token create --print-join-command
  sudo kubeshim up --publish 8080:30080 --publish 5432:data/postgres:5432 --publish 1053:kube-system/kube-dns:53/udp

The kubeconfig of the calling user gets a context of the cluster's name and uses it. Another Docker engine than the
machine's own is chosen by DOCKER_HOST=unix:///PATH at the first up; the cluster stays on it.
"""

import argparse
import pathlib
import time

from kubeshim.cli import output


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--name", default="kubeshim", help="name of the cluster (default: %(default)s)")
    parser.add_argument("--nodes", type=int, default=1, metavar="N", help="number of nodes (default: 1)")
    parser.add_argument(
        "--simulated-nodes",
        type=int,
        metavar="N",
        help="nodes beside these whose pods are only told of (see kubeshim simulated-nodes --help)",
    )
    parser.add_argument("--port", type=int, default=0, help="port of the API server (default: 6443, or a free one)")
    parser.add_argument("--config", type=pathlib.Path, metavar="FILE", help="configuration file (JSON)")
    parser.add_argument(
        "--ip-family",
        choices=("ipv4", "dual"),
        default="",
        help="address families: IPv4 (default), or IPv4 and IPv6 (each range then is two, with a comma)",
    )
    parser.add_argument("--pod-range", default="", metavar="CIDR", help="addresses of pods (default: 10.244.0.0/16)")
    parser.add_argument("--service-range", default="", metavar="CIDR", help="of Services (default: 10.96.0.0/16)")
    parser.add_argument("--node-range", default="", metavar="CIDR", help="of nodes (default: 172.30.0.0/24)")
    parser.add_argument("--kubeconfig", type=pathlib.Path, metavar="FILE", help="where to put the context")
    parser.add_argument("--no-kubeconfig", action="store_true", help="leave the user's kubeconfig alone")
    parser.add_argument(
        "--advertise", default="", metavar="ADDRESS", help="of this machine, at which others reach the API server"
    )
    parser.add_argument(
        "--listen", action="append", default=[], metavar="ADDRESS", help="one more for the API server; repeatable"
    )
    parser.add_argument("--ingress", action="store_true", help="run the Ingress controller (needs HAProxy)")
    parser.add_argument(
        "--publish",
        action="append",
        default=[],
        metavar="[ADDRESS:]PORT:TARGET",
        help="a port of this machine (default ADDRESS: 127.0.0.1); repeatable. TARGET is 80 or 443 for the Ingress "
        "controller, a NodePort, or [NAMESPACE/]SERVICE:PORT; with /udp after it for datagrams",
    )


def run(options: argparse.Namespace) -> int:
    from kubeshim.cluster import configuration, host, ranges, up
    from kubeshim.node.container_runtime import runtime

    began = time.monotonic()
    wanted = up.Options(
        name=options.name,
        config=options.config,
        nodes=options.nodes,
        simulated_nodes=options.simulated_nodes,
        port=options.port,
        pod_range=options.pod_range,
        service_range=options.service_range,
        node_range=options.node_range,
        ip_family=options.ip_family,
        kubeconfig=options.kubeconfig,
        merge_kubeconfig=not options.no_kubeconfig,
        ingress=options.ingress,
        publish=tuple(options.publish),
        advertise=options.advertise,
        listen=tuple(options.listen),
    )
    if joined(options.name):
        return _bring_back(options.name)
    try:
        this = up.run(wanted, output.step)
    except (up.UpFailed, host.Unfit, configuration.ConfigurationError, ranges.RangeTaken, runtime.RuntimeFailure) as e:
        return output.fail(e)
    said = "was running already" if this.already_running else "is up"
    print(f"\nCluster {options.name!r} {said} after {time.monotonic() - began:.1f} s.")
    if wanted.merge_kubeconfig:
        from kubeshim.cluster import user_kubeconfig

        path, _ = user_kubeconfig.location(options.kubeconfig)
        print(f"kubectl uses it now (kubeconfig {path}, context {options.name}): kubectl get pods -A")
    else:
        print(f"kubectl --kubeconfig {this.where.pki / 'admin.conf'} get pods -A")
    return 0


def joined(name: str) -> bool:
    """Whether the cluster is another machine's, of which this one has a node."""
    from kubeshim.cluster import configuration, layout

    try:
        return configuration.load(layout.Layout.of(name).configuration).joined is not None
    except (OSError, ValueError):  # none of that name, or not ours to read: the steps will tell
        return False


def _bring_back(name: str) -> int:
    from kubeshim.cluster import host, join
    from kubeshim.machinery import errors
    from kubeshim.node.container_runtime import runtime

    began = time.monotonic()
    try:
        this = join.bring_back(name, output.step)
    except (join.JoinFailed, host.Unfit, runtime.RuntimeFailure, errors.APIStatusError, OSError) as error:
        return output.fail(error)
    print(f"\nThis machine is node {this.node!r} of cluster {name!r} after {time.monotonic() - began:.1f} s.")
    return 0

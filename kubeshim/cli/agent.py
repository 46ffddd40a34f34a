"""Run a node's agent: kubelet, kube-proxy, network policies, cluster DNS and local volumes in one process.

  kubeshim agent --data-dir DIR --node NAME --holder-pid PID
  kubeshim agent ... --without kube-proxy,dns        leave parts out, to run others instead

The node is the network namespace of the holder process; the listening sockets in it are inherited (LISTEN_FDS).
"""

import argparse
import pathlib
import signal
import threading

from kubeshim.cli import component

PARTS = ("kube-proxy", "network-policy", "dns", "metrics", "local-storage")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data-dir", type=pathlib.Path, required=True, help="the cluster's directory")
    parser.add_argument("--node", required=True, metavar="NAME")
    parser.add_argument("--holder-pid", type=int, required=True, help="a process in the node's network namespace")
    parser.add_argument("--without", default="", metavar="PARTS", help=f"of {', '.join(PARTS)}; separated by commas")


def run(options: argparse.Namespace) -> int:
    from kubeshim import supervisor
    from kubeshim.cli import output
    from kubeshim.cluster import agent, configuration, layout

    component.log_to_stderr()
    without = {part for part in options.without.split(",") if part}
    if unknown := without - set(PARTS):
        return output.fail(f"--without: no such part: {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    where = layout.Layout(options.data_dir)
    config = configuration.load(where.configuration)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGINT, lambda *_: stop.set())
    node = agent.Agent(config, where, options.node, options.holder_pid, supervisor.inherited_sockets())
    node.start(without)
    stop.wait()
    node.stop()
    return 0

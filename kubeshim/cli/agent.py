"""Make this machine a node of a cluster that another machine has started.

  sudo kubeshim agent --join https://ADDRESS:6443 --token TOKEN --ca-cert-hash sha256:HASH
                                          as kubeshim token create --print-join-command prints it
  sudo kubeshim agent --discovery-file FILE --token TOKEN
                                          with a kubeconfig that names the server and its CA
  sudo kubeshim up --name NAME            brings the node back after a reboot
  sudo kubeshim down --name NAME          takes it away from here (then, there: kubeshim node remove NODE)

Or run a node's agent itself, as the supervisor does: kubelet, kube-proxy, network policies, cluster DNS and local
volumes in one process.

  kubeshim agent --data-dir DIR --node NAME --holder-pid PID
  kubeshim agent ... --without kube-proxy,dns        leave parts out, to run others instead

SIGPWR says that the machine is about to go down: pods are ended by priority, as shutdownGracePeriod and its kin say.
The node is the network namespace of the holder process; the listening sockets in it are inherited (LISTEN_FDS).
"""

import argparse
import pathlib
import signal
import threading
import time

from kubeshim.cli import component

PARTS = ("kube-proxy", "network-policy", "dns", "metrics", "local-storage")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    joining = parser.add_argument_group("joining")
    joining.add_argument("--join", default="", metavar="URL", help="of the API server")
    joining.add_argument("--token", default="", help="a bootstrap token")
    joining.add_argument(
        "--ca-cert-hash", action="append", default=[], metavar="sha256:HEX", help="of the CA's public key; repeatable"
    )
    joining.add_argument(
        "--unsafe-skip-ca-verification", action="store_true", help="believe whoever knows the token to be the cluster"
    )
    joining.add_argument("--discovery-file", type=pathlib.Path, metavar="FILE", help="a kubeconfig that names the CA")
    joining.add_argument("--name", default="", help="what the cluster is called here (default: as there)")
    joining.add_argument("--node-name", default="", metavar="NAME", help="of the node (default: this machine's name)")
    joining.add_argument(
        "--address", default="", help="of this machine, for the others (default: the one the API server sees)"
    )
    running = parser.add_argument_group("running")
    running.add_argument("--data-dir", type=pathlib.Path, help="the cluster's directory")
    running.add_argument("--node", metavar="NAME")
    running.add_argument("--holder-pid", type=int, help="a process in the node's network namespace")
    running.add_argument("--without", default="", metavar="PARTS", help=f"of {', '.join(PARTS)}; separated by commas")


def run(options: argparse.Namespace) -> int:
    from kubeshim.cli import output

    if options.join or options.discovery_file:
        return _join(options)
    if not (options.data_dir and options.node and options.holder_pid):
        return output.fail("either --join URL, or --data-dir, --node and --holder-pid; see kubeshim agent --help")
    return _run(options)


def _join(options: argparse.Namespace) -> int:
    from kubeshim.cli import output
    from kubeshim.cluster import discovery, host, join, up
    from kubeshim.machinery import errors
    from kubeshim.node.container_runtime import runtime

    began = time.monotonic()
    wanted = join.Options(
        name=options.name,
        server=options.join.rstrip("/"),
        token=options.token,
        hashes=tuple(options.ca_cert_hash),
        unsafe=options.unsafe_skip_ca_verification,
        file=options.discovery_file,
        node=options.node_name,
        address=options.address,
    )
    try:
        this = join.run(wanted, output.step)
    except (
        join.JoinFailed, discovery.Untrusted, up.UpFailed, host.Unfit, runtime.RuntimeFailure,
        errors.APIStatusError, OSError, ValueError,
    ) as error:  # fmt: skip
        return output.fail(error)
    print(f"\nThis machine is node {this.node!r} of the cluster after {time.monotonic() - began:.1f} s.")
    return 0


def _run(options: argparse.Namespace) -> int:
    with component.giving_way():
        from kubeshim import supervisor
        from kubeshim.cli import output
        from kubeshim.cluster import agent, configuration, layout, revival

    component.log_to_stderr()
    without = {part for part in options.without.split(",") if part}
    if unknown := without - set(PARTS):
        return output.fail(f"--without: no such part: {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    where = layout.Layout(options.data_dir)
    config = configuration.load(where.configuration)
    stop, woken = threading.Event(), threading.Event()

    def end(*_: object) -> None:
        stop.set()
        woken.set()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    node = agent.Agent(config, where, options.node, options.holder_pid, supervisor.inherited_sockets())
    signal.signal(signal.SIGPWR, lambda *_: node.shut_down())
    if revival.watch(options.holder_pid, woken.set):
        try:
            node.start(without, woken)
            woken.wait()
        finally:  # where one part cannot begin, those that have must not keep the process: the next begins anew
            node.stop()
    revival.Revival(where, options.node, node.outside()).run(stop)
    return 0

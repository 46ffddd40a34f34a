"""Remove a cluster and everything of it: processes, containers, networks, routes, mounts, files, the context.

sudo kubeshim down
sudo kubeshim down --name other
"""

import argparse
import pathlib
import sys

from kubeshim.cli import output


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--name", default="kubeshim", help="name of the cluster (default: %(default)s)")
    parser.add_argument("--kubeconfig", type=pathlib.Path, metavar="FILE", help="where up put the context")


def run(options: argparse.Namespace) -> int:
    from kubeshim.cluster import down, host, layout, lock, up, user_kubeconfig

    try:
        host.check()
        up.check_name(options.name)
    except (host.Unfit, up.UpFailed) as error:
        return output.fail(error)
    existed = options.name in layout.existing()
    with lock.locked(layout.Layout.of(options.name)):
        warnings = down.remove(options.name, output.step, [user_kubeconfig.location(options.kubeconfig)[0]])
    for warning in warnings:
        print(f"warning: {warning}", file=sys.stderr)
    print(f"\nCluster {options.name!r} is gone." if existed else f"\nThere was no cluster {options.name!r}.")
    return 0

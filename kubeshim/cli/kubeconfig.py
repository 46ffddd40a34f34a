"""Print the administrator's kubeconfig of a cluster.

kubeshim kubeconfig > kubeconfig
kubeshim kubeconfig --path
"""

import argparse
import sys

from kubeshim.cli import output


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--name", default="kubeshim", help="name of the cluster (default: %(default)s)")
    parser.add_argument("--path", action="store_true", help="print the file's path instead")


def run(options: argparse.Namespace) -> int:
    from kubeshim.cli import up
    from kubeshim.cluster import layout

    if up.joined(options.name):
        return output.fail("this machine only joined that cluster: its administrator is where it was started")
    path = layout.Layout.of(options.name).pki / "admin.conf"
    try:
        text = path.read_text()
    except FileNotFoundError:
        return output.fail(f"no cluster {options.name!r}; start one with kubeshim up --name {options.name}")
    except PermissionError:
        return output.fail(f"{path} is readable by root alone: use sudo")
    print(path) if options.path else sys.stdout.write(text)
    return 0

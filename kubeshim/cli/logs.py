"""Print a component's log.

kubeshim logs                      which there are
kubeshim logs api-server -f        follow one
"""

import argparse
import os
import sys

from kubeshim.cli import output


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("component", nargs="?", help="api-server, controller-manager, agent-NODE, supervisor")
    parser.add_argument("--name", default="kubeshim", help="name of the cluster (default: %(default)s)")
    parser.add_argument("-f", "--follow", action="store_true", help="go on as the log grows")
    parser.add_argument("--tail", type=int, default=-1, metavar="N", help="only the last N lines")


def run(options: argparse.Namespace) -> int:
    from kubeshim.cluster import layout

    where = layout.Layout.of(options.name)
    names = sorted(path.stem for path in where.logs.glob("*.log"))
    if options.component is None:
        print("\n".join(names) if names else f"no cluster {options.name!r}")
        return 0 if names else 1
    if options.component not in names:
        return output.fail(
            f"no log of {options.component!r} in cluster {options.name!r}; there are: {', '.join(names)}"
        )
    path = where.logs / f"{options.component}.log"
    if options.follow:
        os.execvp("tail", ["tail", "-n", str(options.tail) if options.tail >= 0 else "+1", "-F", str(path)])
    lines = path.read_text(errors="replace").splitlines(keepends=True)
    sys.stdout.writelines(lines if options.tail < 0 else lines[len(lines) - min(options.tail, len(lines)) :])
    return 0

"""Run the Ingress controller with its HAProxy, as kubeshim up --ingress does.

  kubeshim ingress --data-dir DIR --holder-pid PID

HAProxy runs in the network namespace of the holder process, on the sockets handed down (LISTEN_FDS).
"""

import argparse
import pathlib
import signal

from kubeshim.cli import component


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data-dir", type=pathlib.Path, required=True, help="the cluster's directory")
    parser.add_argument("--holder-pid", type=int, required=True, help="a process in the node's network namespace")


def run(options: argparse.Namespace) -> int:
    from kubeshim import supervisor
    from kubeshim.cli import output
    from kubeshim.cluster import configuration, ingress, layout

    component.log_to_stderr()
    where = layout.Layout(options.data_dir)
    config = configuration.load(where.configuration)
    handed = supervisor.inherited_sockets()
    try:
        controller = ingress.build(config, where, options.holder_pid, handed)
    except ingress.IngressError as error:
        return output.fail(error)
    signal.signal(signal.SIGTERM, lambda *_: controller.stop())
    signal.signal(signal.SIGINT, lambda *_: controller.stop())
    return 0 if controller.run() else 1

"""Run a scheduler by itself.

kubeshim scheduler --kubeconfig FILE        against any API server, a genuine one too
kubeshim scheduler --data-dir DIR           of a cluster that kubeshim up made
"""

import argparse
import dataclasses
import signal
import threading
from typing import TYPE_CHECKING

from kubeshim.cli import component

if TYPE_CHECKING:
    from kubeshim.control_plane.scheduler import config as scheduler_config


def add_arguments(parser: argparse.ArgumentParser) -> None:
    component.add_arguments(parser)
    parser.add_argument("--scheduler-name", default="", help="whose pods (default: default-scheduler)")
    component.add_health_address(parser)
    parser.add_argument("--leader-elect", action=argparse.BooleanOptionalAction, default=True)


def run(options: argparse.Namespace) -> int:
    component.log_to_stderr()
    from kubeshim.control_plane.scheduler import scheduler

    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGINT, lambda *_: stop.set())
    return 0 if scheduler.run(configuration_of(options), stop) else 1


def configuration_of(options: argparse.Namespace) -> "scheduler_config.Config":
    """From the flags, or from the cluster's configuration where ``--data-dir`` names one."""
    from kubeshim.control_plane.scheduler import config as scheduler_config

    if options.data_dir is None:
        made = scheduler_config.Config(client=component.client(options, ""))
    else:
        from kubeshim.cluster import configuration, layout
        from kubeshim.cluster import options as component_options

        config = configuration.load(layout.Layout(options.data_dir).configuration)
        made = component_options.scheduler(config, component.client(options, "scheduler"))
    return dataclasses.replace(
        made,
        leader_elect=options.leader_elect,
        # the controller manager that runs a scheduler has no such flag, and its address is its own
        health_address=options.health_address if hasattr(options, "scheduler_name") else None,
        scheduler_name=getattr(options, "scheduler_name", "") or made.scheduler_name,
    )

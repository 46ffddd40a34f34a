"""Run a controller manager, in the same process with a scheduler if wanted.

kubeshim controller-manager --data-dir DIR --with-scheduler        as kubeshim up runs it
kubeshim controller-manager --kubeconfig FILE --cluster-range 10.244.0.0/16
                                                                   against any API server, a genuine one too
"""

import argparse
import dataclasses
import pathlib
import signal
import threading
from collections.abc import Callable

from kubeshim.cli import component


def add_arguments(parser: argparse.ArgumentParser) -> None:
    component.add_arguments(parser)
    parser.add_argument("--with-scheduler", action="store_true", help="run the scheduler in this process too")
    parser.add_argument(
        "--cluster-range", default="10.244.0.0/16", metavar="CIDR", help="where nodes' pod ranges are from"
    )
    component.add_health_address(parser)
    parser.add_argument("--leader-elect", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--controllers", default="*", metavar="LIST", help="* for all, name to add, -name to leave out")


def run(options: argparse.Namespace) -> int:
    component.log_to_stderr()
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGINT, lambda *_: stop.set())
    with component.giving_way():
        from kubeshim.cli import scheduler
        from kubeshim.control_plane.controller_manager import manager

        if options.with_scheduler:
            from kubeshim.control_plane.scheduler import scheduler as scheduling

    config = _configuration(options)
    if not options.with_scheduler:
        return 0 if manager.run(config, stop) else 1
    return _run_both(
        lambda: manager.run(config, stop), lambda: scheduling.run(scheduler.configuration_of(options), stop), stop
    )


def _run_both(manage: Callable[[], bool], schedule: Callable[[], bool], stop: threading.Event) -> int:
    """Neither runs without the other, however that ends: the supervisor starts both again."""
    outcomes: list[bool] = []

    def until_the_end() -> None:
        try:
            outcomes.append(schedule())
        finally:
            stop.set()

    thread = threading.Thread(target=until_the_end, name="scheduler")
    thread.start()
    try:
        led = manage()
    finally:
        stop.set()
        thread.join()
    return 0 if led and outcomes == [True] else 1


def _configuration(options: argparse.Namespace):  # type: ignore[no-untyped-def]  # the record is imported late
    from kubeshim.control_plane.controller_manager import config as manager_config

    controllers = tuple(options.controllers.split(","))
    if options.data_dir is None:
        return manager_config.Config(
            client=component.client(options, ""),
            options=manager_config.Options(cluster_cidr=options.cluster_range),
            controllers=controllers,
            leader_elect=options.leader_elect,
            health_address=options.health_address,
        )
    from kubeshim.cluster import configuration, layout
    from kubeshim.cluster import options as component_options

    where = layout.Layout(pathlib.Path(options.data_dir))
    made = component_options.controller_manager(
        configuration.load(where.configuration), where, component.client(options, "controller-manager")
    )
    return dataclasses.replace(
        made, controllers=controllers, leader_elect=options.leader_elect, health_address=options.health_address
    )

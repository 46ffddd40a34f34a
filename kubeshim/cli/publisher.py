"""Carry what comes to published ports of this machine into the cluster, as kubeshim up --publish does.

  kubeshim publisher --data-dir DIR

Runs on the sockets handed down (LISTEN_FDS).
"""

import argparse
import pathlib

from kubeshim.cli import component


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data-dir", type=pathlib.Path, required=True, help="the cluster's directory")


def run(options: argparse.Namespace) -> int:
    import asyncio
    import signal

    from kubeshim import supervisor
    from kubeshim.cluster import configuration, layout, publishing

    component.log_to_stderr()
    where = layout.Layout(options.data_dir)
    config = configuration.load(where.configuration)
    serving = publishing.build(config, where, supervisor.inherited_sockets())

    async def serve() -> None:
        stopping = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stopping.set)
        await serving.run(stopping)

    asyncio.run(serve())
    return 0

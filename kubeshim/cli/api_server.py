"""Run an API server by itself.

  kubeshim api-server --data-dir DIR                     as kubeshim up runs it; DIR has cluster.json and pki/
  kubeshim api-server --data-dir DIR --listen 0.0.0.0:6443

Listening sockets are inherited (LISTEN_FDS, as systemd hands them down) or opened as --listen says.
"""

import argparse
import pathlib
import socket

from kubeshim.cli import component


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data-dir", type=pathlib.Path, required=True, help="the cluster's directory")
    parser.add_argument("--listen", action="append", default=[], metavar="ADDRESS:PORT", help="may be given repeatedly")


def run(options: argparse.Namespace) -> int:
    with component.loading():
        from kubeshim import supervisor
        from kubeshim.cluster import configuration, layout
        from kubeshim.cluster import options as component_options
        from kubeshim.control_plane.api_server import server

    where = layout.Layout(options.data_dir)
    config = configuration.load(where.configuration)
    sockets = supervisor.inherited_sockets().get("api", []) + [_listen(text) for text in options.listen]
    if not sockets:
        sockets = [_listen(f"127.0.0.1:{config.port}")]
    server.run(component_options.api_server(config, where), sockets)
    return 0


def _listen(text: str) -> socket.socket:
    from kubeshim import supervisor

    address, _, port = text.rpartition(":")
    return supervisor.open_socket({"address": address.strip("[]"), "port": int(port)})

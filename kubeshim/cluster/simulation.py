"""Simulated nodes as part of a cluster: their process, its rights and identity."""

import dataclasses
import socket
import ssl
from collections.abc import Callable, Mapping, Sequence

from kubeshim import pki
from kubeshim.addons.local_storage import provisioner
from kubeshim.client import kubeconfig, rest
from kubeshim.cluster import api, components, configuration, layout
from kubeshim.machinery import objects
from kubeshim.node.simulation import nodes, pods, server

NODES_PATH = f"/api/v1/nodes?labelSelector={nodes.LABEL}%3Dtrue"


class TooFew(Exception):
    """They did not all come."""


def wait(admin: api.API, count: int, seconds: float) -> int:
    """Until so many are Ready, how many they are. Raises ``TooFew``."""
    ready: set[str] = set()
    for event in admin.watch(NODES_PATH, seconds):
        node = event["object"]
        if event["type"] == "DELETED":
            ready.discard(node["metadata"]["name"])
        elif objects.condition(node, "Ready") and objects.dig(objects.condition(node, "Ready"), "status") == "True":
            ready.add(node["metadata"]["name"])
        if len(ready) >= count:
            return len(ready)
    raise TooFew(f"{len(ready)} of {count} simulated nodes are Ready; see kubeshim logs simulated-nodes")


class Simulation:
    """All simulated nodes of a cluster."""

    def __init__(
        self,
        config: configuration.Configuration,
        where: layout.Layout,
        count: int,
        sockets: Mapping[str, Sequence[socket.socket]],
    ) -> None:
        files = pki.Files(where.pki)
        loaded = kubeconfig.load(str(files.kubeconfig("simulator")))
        loaded = dataclasses.replace(loaded, server=f"https://127.0.0.1:{config.port}")
        client = rest.Client(loaded, user_agent="kubeshim-simulated-nodes")
        chosen = config.ranges
        names = nodes.names(config.name, count)
        self._nodes = nodes.Nodes(client, names, chosen.gateway, components.SIMULATION_PORT, str(chosen.pods))
        self._pods = pods.Pods(client, self._nodes.range_of, chosen.gateway)
        self._volumes = provisioner.Provisioner(client, self._nodes.owns, nodes.Nowhere(), host="simulated-nodes")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(*files.pair("simulator"))
        self._server = server.Server(sockets.get("kubelet", ()), context)
        self._stops: list[Callable[[], None]] = []

    def start(self) -> None:
        for part in (self._server, self._nodes, self._pods, self._volumes):
            part.start()
            self._stops.append(part.stop)

    def stop(self) -> None:
        for stop in reversed(self._stops):
            stop()

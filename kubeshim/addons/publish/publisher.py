"""Joins sockets of the machine with what the API tells of the Services and nodes they lead to.

Only what is asked about is watched in full: nodes and Services; EndpointSlices, of which there are most, too, because
a headless Service and a Local policy go by them.
"""

import asyncio
import functools
import socket
from collections.abc import Mapping, Sequence

from kubeshim.addons.publish import relay, targets
from kubeshim.client import informer, kinds, rest
from kubeshim.machinery import objects
from kubeshim.machinery.objects import Object

_SERVICE_NAME = "kubernetes.io/service-name"


class Publisher:
    """``sockets`` by publication: listening ones, or bound ones for datagrams."""

    def __init__(self, client: rest.Client, sockets: Mapping[targets.Publication, socket.socket]) -> None:
        self._sockets = sockets
        self._services = informer.Informer(client, kinds.SERVICES)
        self._slices = informer.Informer(client, kinds.ENDPOINT_SLICES)
        self._nodes = informer.Informer(client, kinds.NODES)
        self._slices.add_index("service", _service_keys)

    def places(self, publication: targets.Publication) -> list[targets.Place]:
        """Where it leads now."""
        services = self._services.list()
        keys = [publication.key]
        if publication.node_port:
            keys = [objects.key(each) for each in services if each["spec"].get("externalTrafficPolicy") == "Local"]
        slices: dict[str, Sequence[Object]] = {key: self._slices.by_index("service", key) for key in keys}
        return targets.places(publication, services, slices, self._nodes.list())

    async def run(self, stopping: asyncio.Event) -> None:
        """Until told to stop. Connections wait in the sockets until the caches are filled."""
        informers = (self._services, self._slices, self._nodes)
        for source in informers:
            source.start()
        for source in informers:
            await asyncio.to_thread(source.wait_for_sync)
        loop = asyncio.get_running_loop()
        for publication, sock in self._sockets.items():
            sock.setblocking(False)
            places = functools.partial(self.places, publication)
            if publication.protocol == "udp":
                await loop.create_datagram_endpoint(functools.partial(relay.Datagrams, places), sock=sock)
            else:
                await relay.serve_tcp(sock, places)
        await stopping.wait()
        for source in informers:
            source.stop()


def _service_keys(piece: Object) -> list[str]:
    name = objects.labels(piece).get(_SERVICE_NAME)
    return [f"{objects.namespace(piece)}/{name}"] if name else []

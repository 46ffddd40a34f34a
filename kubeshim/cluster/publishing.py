"""Ports of the machine as part of a cluster: which may be had, and the process that serves them.

``--publish PORT:80`` and ``PORT:443`` lead to the Ingress controller, which has sockets of its own for them; everything
else goes through ``addons.publish``, with kube-proxy's rights.
"""

import dataclasses
import socket
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from kubeshim.addons.publish import targets
from kubeshim.cluster import configuration, host, layout

if TYPE_CHECKING:
    from kubeshim.addons.publish import publisher

INGRESS_TARGETS = ("80", "443")
NODE_PORTS = range(30000, 32768)


class PublishError(Exception):
    """A port cannot be published; the message says why."""


def is_for_ingress(text: str) -> bool:
    """``[ADDRESS:]PORT:80|443``."""
    *before, target = text.split(":")
    return target in INGRESS_TARGETS and bool(before) and before[-1].isdigit()


def published(texts: Iterable[str], present: Iterable[str] = ()) -> tuple[str, ...]:
    """In full, those ``present`` first. Raises ``PublishError`` where one cannot be had."""
    found = {targets.parse(text): None for text in present}
    for text in texts:
        try:
            wanted = targets.parse(text)
        except targets.Unpublishable as error:
            raise PublishError(f"--publish {error}") from error
        if wanted.node_port and wanted.node_port not in NODE_PORTS:
            raise PublishError(
                f"--publish {text}: {wanted.node_port} is no NodePort ({NODE_PORTS[0]} to {NODE_PORTS[-1]}); "
                f"for a Service's own port: {wanted.port}:[NAMESPACE/]SERVICE:{wanted.node_port}"
            )
        if wanted in found:
            continue
        if any(each.where == wanted.where for each in found):
            raise PublishError(f"--publish {text}: {wanted.where} is published already")
        if not host.can_bind(wanted.address, wanted.port, wanted.protocol):
            raise PublishError(f"--publish {text}: {wanted.where} is taken, or no address of this machine")
        found[wanted] = None
    return tuple(map(str, found))


def sockets(config: configuration.Configuration) -> list[dict[str, object]]:
    """For the supervisor, in the order of the configuration."""
    found: list[dict[str, object]] = []
    for index, text in enumerate(config.published_services):
        wanted = targets.parse(text)
        spec: dict[str, object] = {"name": f"p{index}", "address": wanted.address, "port": wanted.port}
        found.append({**spec, "type": "dgram"} if wanted.protocol == "udp" else spec)
    return found


def build(
    config: configuration.Configuration, where: layout.Layout, handed: Mapping[str, Sequence[socket.socket]]
) -> "publisher.Publisher":
    """The publisher on the sockets it was handed."""
    from kubeshim import pki
    from kubeshim.addons.publish import publisher
    from kubeshim.client import kubeconfig, rest

    loaded = kubeconfig.load(str(pki.Files(where.pki).kubeconfig("kube-proxy")))
    server = f"https://127.0.0.1:{config.port}"
    client = rest.Client(dataclasses.replace(loaded, server=server), user_agent="kubeshim-publisher")
    texts = enumerate(config.published_services)
    return publisher.Publisher(client, {targets.parse(text): handed[f"p{index}"][0] for index, text in texts})

"""The cluster's configuration: what the user's ``cluster.json`` asks for, completed with what was chosen.

The effective configuration is written into the cluster's directory at the first ``up`` and read by every
component from there. Its schema is ``schemas/cluster.json``. Sections ``apiServer``, ``controllerManager``,
``scheduler``, ``kubelet``, ``proxy`` and ``dns`` carry upstream's own option names; durations are Go's
(``"40s"``, ``"1h30m"``).
"""

import dataclasses
import json
import os
import pathlib
import re
from collections.abc import Mapping
from typing import Any

from kubeshim import schemas
from kubeshim.cluster import ranges
from kubeshim.machinery import joining
from kubeshim.node.container_runtime import engine_http

_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)")


_NOT_SECTIONS = ("name", "port", "engine", "networking", "nodes", "ingress", "joined", "simulatedNodes", "publish")
BACKENDS = ("auto", "host-gw", "vxlan")
"""How packets get to pods on other machines: routed by the machines where they stand on one link, or wrapped."""
DEDICATED_FROM = 3
"""Nodes. The official suite wants two that take workloads, and with fewer none can be spared."""


class ConfigurationError(Exception):
    """What is wrong with ``cluster.json``, and where."""


@dataclasses.dataclass(frozen=True, slots=True)
class Node:
    name: str
    address: str
    control_plane: bool = False
    """Has the role's label, as upstream's machine with the API server; the processes themselves are the host's."""
    dedicated: bool = False
    """Kept free of workloads by the role's taint, once there are enough others."""


@dataclasses.dataclass(frozen=True, slots=True)
class Joined:
    """On a machine that joined a cluster which another one has started: where that is, and what we are to it."""

    server: str
    """The API server's URL."""
    address: str
    """This machine's, at which the others reach it."""
    pod_cidr: str
    """The node's range, in which it stands itself."""


@dataclasses.dataclass(frozen=True, slots=True)
class Configuration:
    """An effective configuration."""

    name: str
    port: int
    ranges: ranges.Ranges
    domain: str
    upstream_dns: bool
    nodes: tuple[Node, ...]
    sections: Mapping[str, Mapping[str, Any]]
    """Options by component, as written."""
    ingress: bool = False
    """Whether the Ingress controller runs."""
    published: tuple[str, ...] = ()
    """``ADDRESS:PORT:TARGET``: ports of the machine that lead to the Ingress controller's."""
    advertise: str = ""
    """This machine's address at which other machines reach the API server; empty where none shall."""
    listen: tuple[str, ...] = ()
    """Further addresses the API server listens on."""
    backend: str = "auto"
    """Of ``BACKENDS``."""
    joined: Joined | None = None
    engine: str = engine_http.SOCKET
    """The socket of the Docker engine that carries the nodes; ``DOCKER_HOST`` chose it at the first ``up``."""
    simulated_nodes: int = 0
    """How many more nodes there seem to be."""
    published_services: tuple[str, ...] = ()
    """Ports of the machine that lead to NodePorts and Services, as ``addons.publish.targets`` writes them."""

    def node(self, name: str) -> Node:
        """Raises ``LookupError`` where there is none of that name."""
        for node in self.nodes:
            if node.name == name:
                return node
        raise LookupError(f"no node {name!r}; there are {', '.join(node.name for node in self.nodes)}")

    def section(self, name: str) -> Mapping[str, Any]:
        return self.sections.get(name, {})

    @property
    def network(self) -> str:
        """Name of the Docker network the nodes stand on."""
        return f"kubeshim-{self.name}" if self.name != "kubeshim" else "kubeshim"

    @property
    def machine_address(self) -> str:
        """At which other machines of the cluster reach this one; empty where there can be none."""
        return self.joined.address if self.joined else self.advertise

    @property
    def gateway(self) -> str:
        """This machine's own address on the link of its nodes."""
        return joining.gateway_address(self.joined.pod_cidr) if self.joined else self.ranges.gateway

    @property
    def server(self) -> str:
        """The API server's URL for agents."""
        return self.joined.server if self.joined else f"https://{self.ranges.gateway}:{self.port}"

    @property
    def labels(self) -> dict[str, str]:
        """On everything made for this cluster."""
        return {"io.kubeshim.cluster": self.name}


def seconds(text: str) -> float:
    """A Go duration in seconds; raises ``ConfigurationError``."""
    found = _DURATION.findall(text)
    if "".join(number + unit for number, unit in found) != text or not found:
        raise ConfigurationError(f"{text!r} is not a duration such as 40s or 1m30s")
    return sum(float(number) * _UNITS[unit] for number, unit in found)


def read_user_file(path: pathlib.Path | None) -> dict[str, Any]:
    """The user's file, checked against the schema; ``{}`` without one."""
    if path is None:
        return {}
    try:
        document = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"cannot read {path}: {error}") from error
    check(document, str(path))
    return dict(document)


def check(document: Any, where: str) -> None:
    """Raises ``ConfigurationError`` naming the first field that is wrong."""
    import jsonschema

    validator = jsonschema.Draft202012Validator(json.loads(schemas.path("cluster.json").read_text()))
    for error in sorted(validator.iter_errors(document), key=lambda e: list(map(str, e.absolute_path))):
        field = ".".join(map(str, error.absolute_path)) or "(top)"
        raise ConfigurationError(f"{where}: {field}: {error.message}")


def node_names(cluster: str, count: int) -> list[str]:
    """``NAME-node-1``, or for a single node the cluster's own name with ``-node``."""
    return [f"{cluster}-node"] if count == 1 else [f"{cluster}-node-{index + 1}" for index in range(count)]


def make_nodes(cluster: str, count: int, chosen: ranges.Ranges) -> tuple[Node, ...]:
    """The first has the control-plane role, and from three on that one alone: two others take the workloads."""
    return tuple(
        Node(name, chosen.node_address(index), index == 0, index == 0 and count >= DEDICATED_FROM)
        for index, name in enumerate(node_names(cluster, count))
    )


def complete(name: str, document: Mapping[str, Any], chosen: ranges.Ranges, port: int, nodes: int) -> Configuration:
    """The effective configuration out of the user's document and what was chosen."""
    networking = document.get("networking", {})
    return Configuration(
        name=name,
        port=port,
        ranges=chosen,
        domain=networking.get("dnsDomain", "cluster.local"),
        upstream_dns=networking.get("upstreamDNS", True),
        nodes=make_nodes(name, nodes, chosen),
        advertise=networking.get("advertiseAddress", ""),
        listen=tuple(networking.get("listenAddresses", ())),
        backend=networking.get("backend", "auto"),
        simulated_nodes=document.get("simulatedNodes", 0),
        sections={
            key: document[key]
            for key in ("apiServer", "controllerManager", "scheduler", "kubelet", "proxy", "dns")
            if key in document
        },
    )


def shared(configuration: Configuration) -> dict[str, Any]:
    """The part that holds for every machine of the cluster."""
    return {
        "name": configuration.name,
        "port": configuration.port,
        "networking": {
            "ipFamily": "dual" if configuration.ranges.second else "ipv4",
            "podSubnet": configuration.ranges.text("pods"),
            "serviceSubnet": configuration.ranges.text("services"),
            "nodeSubnet": configuration.ranges.text("nodes"),
            "dnsDomain": configuration.domain,
            "upstreamDNS": configuration.upstream_dns,
            "backend": configuration.backend,
        },
        **configuration.sections,
    }


def save(configuration: Configuration, path: pathlib.Path) -> None:
    """Writes it whole or not at all."""
    document = {
        **shared(configuration),
        "engine": configuration.engine,
        "nodes": [dataclasses.asdict(node) for node in configuration.nodes],
        **({"ingress": {"publish": list(configuration.published)}} if configuration.ingress else {}),
        **({"publish": list(configuration.published_services)} if configuration.published_services else {}),
        **({"simulatedNodes": configuration.simulated_nodes} if configuration.simulated_nodes else {}),
        **({"joined": dataclasses.asdict(configuration.joined)} if configuration.joined else {}),
    }
    document["networking"] |= {
        "advertiseAddress": configuration.advertise,
        "listenAddresses": list(configuration.listen),
    }
    temporary = path.with_suffix(".new")
    with open(temporary, "w", opener=lambda p, flags: os.open(p, flags, 0o600)) as file:
        json.dump(document, file, indent=2)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def load(path: pathlib.Path) -> Configuration:
    """Reads what ``save`` wrote."""
    return parse(json.loads(path.read_text()))


def parse(document: Mapping[str, Any]) -> Configuration:
    """Out of what ``save`` wrote or ``shared`` gave."""
    networking = document["networking"]
    return Configuration(
        name=document["name"],
        port=document["port"],
        ranges=ranges.parse(networking["podSubnet"], networking["serviceSubnet"], networking["nodeSubnet"]),
        domain=networking["dnsDomain"],
        upstream_dns=networking["upstreamDNS"],
        nodes=tuple(Node(**node) for node in document.get("nodes", ())),
        sections={key: value for key, value in document.items() if key not in _NOT_SECTIONS},
        engine=document.get("engine", engine_http.SOCKET),
        ingress="ingress" in document,
        published=tuple(document.get("ingress", {}).get("publish", ())),
        advertise=networking.get("advertiseAddress", ""),
        listen=tuple(networking.get("listenAddresses", ())),
        backend=networking.get("backend", "auto"),
        joined=Joined(**document["joined"]) if document.get("joined") else None,
        simulated_nodes=document.get("simulatedNodes", 0),
        published_services=tuple(document.get("publish", ())),
    )

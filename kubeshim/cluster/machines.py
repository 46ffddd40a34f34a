"""What of a node depends on whether its cluster has other machines: firewall, identities, files."""

import dataclasses
import pathlib
from collections.abc import Callable, Sequence

from kubeshim import fast_yaml, pki
from kubeshim.cluster import configuration, renewal
from kubeshim.machinery import joining
from kubeshim.machinery.objects import Object
from kubeshim.node.kubelet import forwarding, remote, remote_links

AGENT = "agent"
"""Kubeconfig of a joined node's parts beside the kubelet."""


@dataclasses.dataclass(frozen=True, slots=True)
class Certificate:
    """One that a joined node renews."""

    path: pathlib.Path
    """Certificate and key."""
    wanted: renewal.Wanted
    identity: str
    """Name of the kubeconfig that refers to it; empty for the serving one."""


def certificates(files: pki.Files, node: str, address: str) -> tuple[Certificate, Certificate, Certificate]:
    """The kubelet's as client and as server, the other parts' as client."""
    return (
        Certificate(files.directory / "kubelet-client-current.pem", renewal.kubelet_client(node), f"kubelet-{node}"),
        Certificate(files.directory / "kubelet-server-current.pem", renewal.kubelet_server(node, address), ""),
        Certificate(files.directory / "agent-client-current.pem", renewal.agent_client(node), AGENT),
    )


def serving_files(
    config: configuration.Configuration, files: pki.Files, node: str
) -> tuple[pathlib.Path, pathlib.Path]:
    """Certificate and key of the kubelet as a server."""
    if config.joined is None:
        return files.kubelet_serving(node)
    path = certificates(files, node, "")[1].path
    return path, path


def write_kubeconfig(files: pki.Files, one: Certificate, server: str) -> None:
    """Refers to the files, which are renewed."""
    document = pki.kubeconfig(server, files.ca.read_bytes(), user=one.wanted.common_name)
    document["users"][0]["user"] = {"client-certificate": one.path.name, "client-key": one.path.name}
    pki.write_file(files.kubeconfig(one.identity), fast_yaml.dump(document).encode())


def bridge(config: configuration.Configuration) -> str:
    """Name of the nodes' link on this machine: 15 bytes at most."""
    number = config.ranges.nodes[0].packed[2] if config.joined is None else 0
    return ("ks-" + config.network.removeprefix("kubeshim-")[:8] + f"-{number}")[:15]


def let_through(config: configuration.Configuration, node: configuration.Node) -> bool:
    """Whether other machines' packets get to this machine's nodes as they are."""
    if config.backend == "vxlan":
        return False
    chosen = config.ranges
    link = str(chosen.nodes) if config.joined is None else joining.link_network(config.joined.pod_cidr)
    return forwarding.allow(config.name, bridge(config), link, node.address, (str(chosen.pods), str(chosen.nodes)))


def routes_of_first(config: configuration.Configuration) -> Callable[[Sequence[Object], str], None] | None:
    """Has the machine the cluster was started on follow the nodes elsewhere, through one of its own; None where there
    can be none."""
    if not config.advertise or config.joined is not None:
        return None
    chosen = config.ranges

    def follow(nodes: Sequence[Object], through: str) -> None:
        own = next((node for node in nodes if not remote.site(node) and joining.endpoint(node) is not None), None)
        ways = remote.hops(nodes, own["metadata"]["name"], str(chosen.nodes), config.backend) if own else []
        routes = remote.machine_routes(ways, through, config.gateway)
        remote_links.set_routes(routes, (str(chosen.pods), str(chosen.nodes)))

    return follow


def forget(config: configuration.Configuration) -> str:
    """Takes away what of the ways to other machines is not inside a node."""
    if not config.machine_address:
        return "none"
    chosen = config.ranges
    remote_links.set_routes({}, (str(chosen.pods), str(chosen.nodes), str(chosen.services)))
    return f"{forwarding.revoke(config.name)} firewall rules"

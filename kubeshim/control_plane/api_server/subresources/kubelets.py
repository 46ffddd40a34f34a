"""Where a node's kubelet is and how to speak with it: TLS with the server's own certificate, the kubelet's verified."""

import functools
import ssl
from typing import TYPE_CHECKING

from kubeshim.control_plane.api_server.subresources import outgoing
from kubeshim.machinery import errors, objects, resources

if TYPE_CHECKING:
    from kubeshim.control_plane.api_server import server as servers

NODES = resources.GroupVersionResource("", "v1", "nodes")
DEFAULT_PORT = 10250
_ADDRESSES = ("InternalIP", "ExternalIP", "Hostname", "InternalDNS", "ExternalDNS")
"""Kinds of address, the preferred first."""


def address(server: "servers.Server", node_name: str) -> tuple[str, int]:
    """Host and port of a node's kubelet, as its Node says. Raises an API error."""
    node = server.storage.reader.get(NODES, "", node_name)
    if node is None:
        raise errors.not_found("", "nodes", node_name)
    return host(node), port(node)


def host(node: objects.Object) -> str:
    known = objects.dig(node, "status", "addresses", default=())
    for kind in _ADDRESSES:
        for entry in known:  # the first of a kind: of the node's primary address family
            if entry.get("type") == kind and entry.get("address"):
                return str(entry["address"])
    raise errors.InternalError("no preferred addresses found; known addresses: []", reason="")


def port(node: objects.Object) -> int:
    return int(objects.dig(node, "status", "daemonEndpoints", "kubeletEndpoint", "Port", default=0) or DEFAULT_PORT)


def tls(server: "servers.Server") -> ssl.SSLContext:
    config = server.config
    return _context(config.kubelet_ca, config.kubelet_client_certificate, config.kubelet_client_key)


@functools.lru_cache(maxsize=8)
def _context(ca: str, certificate: str, key: str) -> ssl.SSLContext:
    return outgoing.client_tls(ca, certificate, key)


def connect(server: "servers.Server", node_name: str) -> tuple[outgoing.Exchange, str]:
    """An open exchange with the node's kubelet, and the Host to name. Raises an API error."""
    where, number = address(server, node_name)
    shown = f"[{where}]:{number}" if ":" in where else f"{where}:{number}"
    try:
        return outgoing.Exchange(outgoing.connect(where, number, tls(server))), shown
    except OSError as problem:
        raise errors.InternalError(f"error dialing backend: {dial_error(shown, problem)}", reason="") from problem


_UNVERIFIED = {
    9: "certificate has expired or is not yet valid",
    10: "certificate has expired or is not yet valid",
    **dict.fromkeys((18, 19, 20, 21), "certificate signed by unknown authority"),
}
"""Go's words for OpenSSL's codes of a certificate that it does not believe."""


def dial_error(target: str, problem: OSError) -> str:
    """``dial tcp 10.0.0.1:10250: connect: connection refused``, as Go words it."""
    if isinstance(problem, ssl.SSLCertVerificationError):
        reason = _UNVERIFIED.get(problem.verify_code) or problem.verify_message
        return f"tls: failed to verify certificate: x509: {reason}"
    if isinstance(problem, ssl.SSLError):
        return f"tls: {problem.reason or problem}"
    if isinstance(problem, TimeoutError):
        return f"dial tcp {target}: i/o timeout"
    return f"dial tcp {target}: connect: {(problem.strerror or str(problem)).lower()}"

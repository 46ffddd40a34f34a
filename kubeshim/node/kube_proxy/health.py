"""Health-check ports of load-balanced Services with a Local policy.

A load balancer outside asks each node at the Service's ``healthCheckNodePort`` whether it has endpoints of its own:
200 with their number, or 503. The sockets are the node's; one small HTTP server a Service, only for those that have
such a port.
"""

import http.server
import json
import logging
import socket
import threading
from collections.abc import Callable, Mapping

from kubeshim.machinery.objects import Object
from kubeshim.node import nftables
from kubeshim.node.kube_proxy import services

log = logging.getLogger(__name__)


def port_of(service: Mapping[str, object]) -> int:
    """The port to answer on; 0 where the Service has none (pure)."""
    spec = service.get("spec")
    if not isinstance(spec, Mapping) or spec.get("type") != "LoadBalancer":
        return 0
    return int(spec.get("healthCheckNodePort") or 0) if spec.get("externalTrafficPolicy") == "Local" else 0


def local_endpoints(frontends: list[services.Frontend]) -> int:
    """How many of a Service's endpoints are on this node (pure)."""
    return len({address for frontend in frontends for address, _ in frontend.local})


def everywhere(port: int, *, dual: bool) -> socket.socket:
    """A listener on all addresses of the calling thread's namespace, of both families or of IPv4."""
    if dual:
        return socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True)
    return socket.create_server(("0.0.0.0", port))


class HealthPorts:
    """One thread calls ``follow`` and ``close``; answers come from threads of the servers' own."""

    def __init__(self, run_in_node: nftables.RunInNode, healthy: Callable[[], bool], *, dual: bool = False) -> None:
        """``dual``: on the node's IPv6 addresses too."""
        self._dual = dual
        self._run_in_node = run_in_node
        self._healthy = healthy
        self._servers: dict[str, _Server] = {}
        self.lacking: set[str] = set()
        """Whose port could not be opened."""

    def follow(self, found: Mapping[str, tuple[Object | None, list[services.Frontend]]]) -> None:
        """Makes what is answered for each ``namespace/name`` true. Ports are let go before others are opened."""
        ports = {key: port_of(service) if service is not None else 0 for key, (service, _) in found.items()}
        for key, port in ports.items():
            self.lacking.discard(key)
            if key in self._servers and self._servers[key].port != port:
                self._servers.pop(key).close()
        for key, port in ports.items():
            if port:
                self._answer(key, port, local_endpoints(found[key][1]))

    def _answer(self, key: str, port: int, count: int) -> None:
        running = self._servers.get(key)
        if running is None:
            try:
                listener: socket.socket = self._run_in_node(lambda: everywhere(port, dual=self._dual))
            except OSError as error:
                log.error("health-check port %d of %s cannot be opened: %s", port, key, error)
                self.lacking.add(key)
                return
            running = self._servers[key] = _Server(key, listener, self._healthy)
        running.count = count

    def close(self) -> None:
        for running in self._servers.values():
            running.close()
        self._servers.clear()


class _Server:
    """Answers for one Service."""

    def __init__(self, key: str, listener: socket.socket, healthy: Callable[[], bool]) -> None:
        self.port: int = listener.getsockname()[1]
        self.count = 0
        namespace, _, name = key.partition("/")
        this = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                good = healthy()
                body = json.dumps(
                    {
                        "service": {"namespace": namespace, "name": name},
                        "localEndpoints": this.count,
                        "serviceProxyHealthy": good,
                    }
                ).encode()
                self.send_response(200 if this.count and good else 503)
                self.send_header("Content-Type", "application/json")
                self.send_header("X-Content-Type-Options", "nosniff")
                self.send_header("X-Load-Balancing-Endpoint-Weight", str(this.count))
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                log.debug(format, *args)

        self._server = http.server.ThreadingHTTPServer(listener.getsockname()[:2], Handler, bind_and_activate=False)
        self._server.socket.close()
        self._server.socket = listener
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.5,), name=f"health-{self.port}", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

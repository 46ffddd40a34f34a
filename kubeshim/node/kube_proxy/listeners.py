"""The proxy's own ports on the node: health for load balancers and people, metrics for the node itself.

0.0.0.0:10256    /healthz   200 while rules are written and the node may take traffic, else 503
                 /livez     the same without the node's part
127.0.0.1:10249  /metrics, /metrics/slis, /proxyMode, /healthz
"""

import functools
import http.server
import json
import logging
import socket
import threading
from collections.abc import Callable, Mapping

from kubeshim import clock
from kubeshim.machinery import objects
from kubeshim.machinery.objects import Object
from kubeshim.node import nftables
from kubeshim.node.kube_proxy import health
from kubeshim.wire import slis

log = logging.getLogger(__name__)

HEALTH_PORT = 10256
METRICS_PORT = 10249
TO_BE_DELETED = "ToBeDeletedByClusterAutoscaler"

Answer = tuple[int, str, bytes]
"""Status, content type, body."""
Route = Callable[[], Answer]


def eligible(node: Object | None) -> bool:
    """Whether load balancers may send to the node: not while it is being deleted (pure)."""
    if node is None:
        return True
    taints = objects.dig(node, "spec", "taints", default=())
    return not objects.is_deleting(node) and all(taint["key"] != TO_BE_DELETED for taint in taints)


def answer(healthy: bool, fit: bool | None, updated: str, now: str) -> Answer:
    """``fit`` is the node's part, None where it does not matter (pure)."""
    body = {"lastUpdated": updated, "currentTime": now}
    if fit is not None:
        body = {**body, "nodeEligible": fit}  # type: ignore[dict-item]
    good = healthy and fit is not False
    return (200 if good else 503), "application/json", json.dumps(body).encode()


def text(body: str) -> Answer:
    return 200, "text/plain; version=0.0.4; charset=utf-8", body.encode()


class Listeners:
    """Opened by ``start`` inside the node; a port that is taken is said and left out."""

    def __init__(
        self,
        run_in_node: nftables.RunInNode,
        *,
        healthy: Callable[[], bool],
        node: Callable[[], Object | None],
        updated: Callable[[], str],
        metrics: Callable[[], str],
        mode: Callable[[], str],
        dual: bool = False,
    ) -> None:
        self._run_in_node = run_in_node

        observed = slis.Slis()

        def check(fit: bool) -> Answer:
            now = clock.rfc3339(clock.SYSTEM.now())
            return answer(healthy(), eligible(node()) if fit else None, updated(), now)

        def ping() -> Answer:
            observed.observe("ping", "healthz", True)
            return text("ok")

        everywhere = functools.partial(health.everywhere, HEALTH_PORT, dual=dual)
        here = functools.partial(socket.create_server, ("127.0.0.1", METRICS_PORT))
        self._places: list[tuple[Callable[[], socket.socket], int, Mapping[str, Route]]] = [
            (everywhere, HEALTH_PORT, {"/healthz": lambda: check(True), "/livez": lambda: check(False)}),
            (
                here,
                METRICS_PORT,
                {
                    "/metrics": lambda: text(metrics()),
                    "/proxyMode": lambda: text(mode()),
                    "/metrics/slis": lambda: text(observed.text()),
                    "/healthz": ping,
                },
            ),
        ]
        self._servers: list[http.server.ThreadingHTTPServer] = []

    def start(self) -> None:
        for open_it, port, routes in self._places:
            try:
                listener: socket.socket = self._run_in_node(open_it)
            except OSError as error:
                log.error("port %d of the node cannot be opened: %s", port, error)
                continue
            self._servers.append(_serve(listener, routes))

    def stop(self) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()
        self._servers.clear()


def _serve(listener: socket.socket, routes: Mapping[str, Route]) -> http.server.ThreadingHTTPServer:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            route = routes.get(self.path.partition("?")[0])
            status, kind, body = route() if route else (404, "text/plain; charset=utf-8", b"404 page not found\n")
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("X-Content-Type-Options", "nosniff")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            log.debug(format, *args)

    server = http.server.ThreadingHTTPServer(listener.getsockname()[:2], Handler, bind_and_activate=False)
    server.socket.close()
    server.socket = listener
    server.daemon_threads = True
    name = f"kube-proxy-{listener.getsockname()[1]}"
    threading.Thread(target=server.serve_forever, args=(0.5,), name=name, daemon=True).start()
    return server

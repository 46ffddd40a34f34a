"""What answers for the kubelets of simulated nodes: that there is nothing to see."""

import http.server
import logging
import socket
import ssl
import threading
from collections.abc import Sequence

_log = logging.getLogger(__name__)

_WHAT = {
    "containerLogs": "have no logs",
    "exec": "run no commands",
    "run": "run no commands",
    "attach": "have nothing to attach to",
    "portForward": "have no ports",
}


def refusal(path: str) -> str:
    """In whose name what cannot be. Without a colon: kubectl would take the text for YAML, and show none of it."""
    parts = path.partition("?")[0].strip("/").split("/")
    if parts[0] in _WHAT and len(parts) >= 3:
        return f"pod {parts[1]}/{parts[2]} is simulated and its containers {_WHAT[parts[0]]}"
    return f"this node is simulated and its kubelet does not serve /{parts[0]}"


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _refuse(self) -> None:
        body = refusal(self.path).encode()
        self.send_response(http.HTTPStatus.NOT_IMPLEMENTED)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True

    do_GET = do_POST = _refuse

    def log_message(self, format: str, *args: object) -> None:
        _log.debug(format, *args)


class Server:
    """On sockets that listen already."""

    def __init__(self, sockets: Sequence[socket.socket], context: ssl.SSLContext) -> None:
        self._servers = [_TLSServer(sock, context) for sock in sockets]

    def start(self) -> None:
        for server in self._servers:
            threading.Thread(target=server.serve_forever, name="simulation-server", daemon=True).start()

    def stop(self) -> None:
        for server in self._servers:
            server.shutdown()


class _TLSServer(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, sock: socket.socket, context: ssl.SSLContext) -> None:
        super().__init__(sock.getsockname()[:2], _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = sock
        self._context = context

    def finish_request(self, request: object, client_address: object) -> None:
        """The handshake happens in the connection's own thread."""
        assert isinstance(request, socket.socket)
        request.settimeout(10.0)
        try:
            with self._context.wrap_socket(request, server_side=True) as wrapped:
                super().finish_request(wrapped, client_address)
        except OSError as error:
            _log.debug("connection of %s: %s", client_address, error)

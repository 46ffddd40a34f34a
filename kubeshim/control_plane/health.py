"""``/healthz`` and its like for components that have no other server. Plain HTTP, for loopback."""

import contextlib
import http.server
import threading
from collections.abc import Callable, Iterator, Mapping

Checks = Mapping[str, Callable[[], bool]]


class _Handler(http.server.BaseHTTPRequestHandler):
    checks: Checks = {}

    def do_GET(self) -> None:
        known = self.path.split("?")[0] in ("/healthz", "/livez", "/readyz")
        failed = [name for name, check in self.checks.items() if not check()]
        body = b"ok" if not failed else f"not ok: {', '.join(failed)}".encode()
        self.send_response(404 if not known else 500 if failed else 200)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Health checks are not worth a line."""


@contextlib.contextmanager
def serve(address: tuple[str, int] | None, checks: Checks) -> Iterator[None]:
    """Answers on ``address`` while entered; does nothing without one."""
    if address is None:
        yield
        return
    handler = type("Handler", (_Handler,), {"checks": checks})
    server = http.server.ThreadingHTTPServer(address, handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, name="health", daemon=True).start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()

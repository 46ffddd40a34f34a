"""``/healthz`` and its like, and metrics, for components that have no other server. Plain HTTP, for loopback."""

import contextlib
import http.server
import threading
from collections.abc import Callable, Iterator, Mapping

from kubeshim.wire import exposition, slis

Checks = Mapping[str, Callable[[], bool]]
PROBES = ("healthz", "livez", "readyz")
PLAIN = "text/plain; charset=utf-8"


class Pages:
    """What there is to read."""

    def __init__(self, checks: Checks, metrics: Callable[[], str] = str) -> None:
        self._checks, self._metrics = checks, metrics
        self._slis = slis.Slis()

    def get(self, path: str) -> tuple[int, str, str]:
        """Status, media type and body."""
        probe, _, name = path.strip("/").partition("/")
        if probe in PROBES and (not name or name in self._checks):
            return self._probe(probe, [name] if name else list(self._checks))
        if path == "/metrics":
            return 200, exposition.CONTENT_TYPE, self._metrics()
        if path == "/metrics/slis":
            return 200, exposition.CONTENT_TYPE, self._slis.text()
        return 404, PLAIN, "404 page not found\n"

    def _probe(self, probe: str, names: list[str]) -> tuple[int, str, str]:
        failed = []
        for name in names:
            ok = self._checks[name]()
            self._slis.observe(name, probe, ok)
            if not ok:
                failed.append(name)
        return (500, PLAIN, f"not ok: {', '.join(failed)}") if failed else (200, PLAIN, "ok")


class _Handler(http.server.BaseHTTPRequestHandler):
    pages: Pages

    def do_GET(self) -> None:
        status, kind, text = self.pages.get(self.path.partition("?")[0])
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Health checks are not worth a line."""


@contextlib.contextmanager
def serve(address: tuple[str, int] | None, checks: Checks, metrics: Callable[[], str] = str) -> Iterator[None]:
    """Answers on ``address`` while entered; does nothing without one."""
    if address is None:
        yield
        return
    handler = type("Handler", (_Handler,), {"pages": Pages(checks, metrics)})
    server = http.server.ThreadingHTTPServer(address, handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, name="health", daemon=True).start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()

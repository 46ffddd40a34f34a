"""/healthz, /livez and /readyz: named checks, one answer each.

Who adds work that must be done before the server counts as ready adds a check to ``ready``.
"""

import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from kubeshim.control_plane.api_server import request
from kubeshim.wire import slis

if TYPE_CHECKING:
    from kubeshim.control_plane.api_server import server as servers

_log = logging.getLogger(__name__)

Check = Callable[[], None]
"""Raises where something is wrong."""

_HEADERS = [
    ("Content-Type", "text/plain; charset=utf-8"),
    ("X-Content-Type-Options", "nosniff"),
    ("Cache-Control", "no-cache, private"),
]


class Health:
    """The checks of a server."""

    def __init__(self, server: "servers.Server") -> None:
        self._server = server
        self.slis = slis.Slis()
        self.live: dict[str, Check] = {"ping": _fine, "log": _fine, "etcd": self._store}
        self.ready: dict[str, Check] = {"informer-sync": _fine, "shutdown": self._not_stopping}

    def _store(self) -> None:
        self._server.in_thread(self._server.store.ping)

    def _not_stopping(self) -> None:
        if self._server.stopping.is_set():
            raise RuntimeError("process is shutting down")

    def handle(self, asked: request.Request) -> request.Response | None:
        """None for a path that names no check."""
        name, _, check = asked.path.strip("/").partition("/")
        checks = self._checks(name)
        if check:
            if check not in checks:
                return None
            ok = self._run(name, check, checks[check])
            text = "ok" if ok else "internal server error: reason withheld\n"
            return request.Response(200 if ok else 500, _HEADERS, text.encode())
        return self._all(name, checks, asked)

    def _checks(self, name: str) -> Mapping[str, Check]:
        return {**self.live, **self.ready} if name == "readyz" else self.live

    def _all(self, name: str, checks: Mapping[str, Check], asked: request.Request) -> request.Response:
        excluded = set(asked.query.get("exclude", ()))
        lines = []
        healthy = True
        for check, run in checks.items():
            if check in excluded:
                excluded.discard(check)
                lines.append(f"[+]{check} excluded: ok")
            elif self._run(name, check, run):
                lines.append(f"[+]{check} ok")
            else:
                healthy = False
                lines.append(f"[-]{check} failed: reason withheld")
        if excluded:
            quoted = ", ".join(f'"{check}"' for check in sorted(excluded))
            lines.append(f"warn: some health checks cannot be excluded: no matches for {quoted}")
        if not healthy:
            return request.Response(500, _HEADERS, ("\n".join(lines) + f"\n{name} check failed\n").encode())
        if "verbose" in asked.query:
            return request.Response(200, _HEADERS, ("\n".join(lines) + f"\n{name} check passed\n").encode())
        return request.Response(200, _HEADERS, b"ok")

    def _run(self, probe: str, name: str, check: Check) -> bool:
        ok = True
        try:
            check()
        except Exception as problem:
            _log.warning("health check %s: %s", name, problem)
            ok = False
        self.slis.observe(name, probe, ok)
        return ok


def _fine() -> None:
    pass

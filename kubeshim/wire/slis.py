"""``/metrics/slis``: what every component tells of its health checks, for counting how often it was well.

A check counts when somebody asks for it, as upstream's do.
"""

import threading

from kubeshim.wire import exposition


class Slis:
    """Results of named checks by type (``healthz``, ``livez``, ``readyz``). Safe for any number of threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last: dict[tuple[str, str], bool] = {}
        self._totals: dict[tuple[str, str, str], int] = {}

    def observe(self, name: str, kind: str, ok: bool) -> None:
        with self._lock:
            self._last[name, kind] = ok
            key = name, "success" if ok else "error", kind
            self._totals[key] = self._totals.get(key, 0) + 1

    def text(self) -> str:
        with self._lock:
            last, totals = sorted(self._last.items()), sorted(self._totals.items())
        return exposition.text(
            exposition.family(
                "kubernetes_healthcheck", "gauge", "Whether a check was passed when it was last made.",
                ("name", "type"), last,
            ),
            exposition.family(
                "kubernetes_healthchecks_total", "counter", "Checks made, by what came of them.",
                ("name", "status", "type"), totals,
            ),
        )  # fmt: skip

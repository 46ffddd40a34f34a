"""``/metrics/slis``: what every component tells of its health checks, for counting how often it was well.

A check counts when somebody asks for it, as upstream's do.
"""

import threading

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


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
        lines = []
        if last:
            lines += [
                "# HELP kubernetes_healthcheck [STABLE] This metric records the result of a single healthcheck.",
                "# TYPE kubernetes_healthcheck gauge",
                *(f'kubernetes_healthcheck{{name="{name}",type="{kind}"}} {int(ok)}' for (name, kind), ok in last),
                "# HELP kubernetes_healthchecks_total [STABLE] This metric records the results of all healthcheck.",
                "# TYPE kubernetes_healthchecks_total counter",
            ]
        for (name, status, kind), count in totals:
            labels = f'name="{name}",status="{status}",type="{kind}"'
            lines.append(f"kubernetes_healthchecks_total{{{labels}}} {count}")
        return "".join(f"{line}\n" for line in lines)

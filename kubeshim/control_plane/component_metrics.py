"""What every client component of the control plane tells of itself, under upstream's names.

Its requests to the API server, the process it runs in, which build it is, and whether it leads.
"""

from collections.abc import Iterator
from urllib import parse

import kubeshim
from kubeshim.wire import exposition, process_metrics

_SECONDS = (0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0)


def doubling(first: float, count: int, factor: float = 2) -> tuple[float, ...]:
    """Bounds of a histogram, each ``factor`` times the one before."""
    return tuple(float(f"{first * factor**step:.6g}") for step in range(count))


class Component:
    """``name`` is that of the Lease, too."""

    def __init__(self, name: str, server: str) -> None:
        self._name, self._host = name, parse.urlsplit(server).netloc
        self.leads = False
        self._requests = exposition.Counter(
            "rest_client_requests_total", "Requests sent, by code, method and host.", ("code", "method", "host")
        )
        self._durations = exposition.Histogram(
            "rest_client_request_duration_seconds", "Seconds until an answer began, by verb and host.", _SECONDS,
            ("verb", "host"),
        )  # fmt: skip

    def requested(self, method: str, code: str, seconds: float) -> None:
        """One request and what came of it."""
        self._requests.add(code, method, self._host)
        self._durations.observe(seconds, method, self._host)

    def lines(self) -> Iterator[str]:
        yield from self._requests.lines()
        yield from self._durations.lines()
        about = "Whether this process holds the lease of that name."
        yield from exposition.gauge("leader_election_master_status", about, self.leads, {"name": self._name})
        yield from process_metrics.build({"gitVersion": kubeshim.KUBERNETES_VERSION, "major": "1", "minor": "37"})
        yield from process_metrics.lines()

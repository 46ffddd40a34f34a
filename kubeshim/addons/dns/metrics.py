"""What the server counts, under the names that CoreDNS' dashboards ask for.

Questions are counted as they come, answers with the time they took; a zone is the cluster's, a reverse one, or ``.``
for everything else. Kinds of question are bounded: what is unusual is ``other``.
"""

import bisect
import collections
import threading

from kubeshim.addons.dns import message

BUCKETS = (0.00025, 0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.024, 2.048, 4.096)
SERVER = "dns://:53"
_CODES = {
    message.NOERROR: "NOERROR", message.FORMERR: "FORMERR", message.SERVFAIL: "SERVFAIL", message.NXDOMAIN: "NXDOMAIN",
    message.NOTIMP: "NOTIMP", message.REFUSED: "REFUSED", message.BADVERS: "BADVERS",
}  # fmt: skip
_KINDS = {
    message.A: "A", message.AAAA: "AAAA", message.SRV: "SRV", message.PTR: "PTR", message.TXT: "TXT", message.NS: "NS",
    message.SOA: "SOA", message.CNAME: "CNAME", message.ANY: "ANY", 15: "MX", 65: "HTTPS",
}  # fmt: skip

Labels = tuple[tuple[str, str], ...]


class Metrics:
    """Safe from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: collections.Counter[Labels] = collections.Counter()
        self._responses: collections.Counter[Labels] = collections.Counter()
        self._durations: dict[str, list[int]] = {}
        self._seconds: collections.defaultdict[str, float] = collections.defaultdict(float)
        self.panics = 0

    def asked(self, zone: str, kind: int, *, udp: bool, version: int) -> None:
        labels = (
            ("family", "2" if version == 6 else "1"),
            ("proto", "udp" if udp else "tcp"),
            ("server", SERVER),
            ("type", _KINDS.get(kind, "other")),
            ("view", ""),
            ("zone", zone),
        )
        with self._lock:
            self._requests[labels] += 1

    def answered(self, zone: str, code: int, plugin: str, seconds: float) -> None:
        labels = (
            ("plugin", plugin),
            ("rcode", _CODES.get(code, "OTHER")),
            ("server", SERVER),
            ("view", ""),
            ("zone", zone),
        )
        place = bisect.bisect_left(BUCKETS, seconds)
        with self._lock:
            self._responses[labels] += 1
            self._durations.setdefault(zone, [0] * (len(BUCKETS) + 1))[place] += 1
            self._seconds[zone] += seconds

    def text(self) -> str:
        """Prometheus text."""
        with self._lock:
            requests, responses = dict(self._requests), dict(self._responses)
            durations = {zone: list(counts) for zone, counts in self._durations.items()}
            seconds = dict(self._seconds)
        lines = _counter("coredns_dns_requests_total", requests) + _counter("coredns_dns_responses_total", responses)
        name = "coredns_dns_request_duration_seconds"
        lines.append(f"# TYPE {name} histogram")
        for zone, counts in sorted(durations.items()):
            labels, total = f'server="{SERVER}",view="",zone="{zone}"', 0
            for bound, count in zip((*map(str, BUCKETS), "+Inf"), counts, strict=True):
                total += count
                lines.append(f'{name}_bucket{{{labels},le="{bound}"}} {total}')
            lines += [f"{name}_sum{{{labels}}} {seconds[zone]:.6f}", f"{name}_count{{{labels}}} {total}"]
        return "\n".join(lines) + "\n" + plain("coredns_panics_total", self.panics)


def _counter(name: str, found: dict[Labels, int]) -> list[str]:
    lines = [f"# TYPE {name} counter"]
    for labels, count in sorted(found.items()):
        inner = ",".join(f'{label}="{value}"' for label, value in labels)
        lines.append(f"{name}{{{inner}}} {count}")
    return lines


def plain(name: str, value: int, labels: str = "", kind: str = "counter") -> str:
    """One figure."""
    return f"# TYPE {name} {kind}\n{name}{labels} {value}\n"

"""What the server counts, under the names that CoreDNS' dashboards ask for.

Questions are counted as they come, answers with the time they took; a zone is the cluster's, a reverse one, or ``.``
for everything else. Kinds of question are bounded: what is unusual is ``other``.
"""

from collections.abc import Iterator

from kubeshim.addons.dns import message
from kubeshim.wire import exposition

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


class Metrics:
    """Safe from any thread."""

    def __init__(self) -> None:
        self._requests = exposition.Counter(
            "coredns_dns_requests_total", "Counter of DNS requests made per zone, protocol and family.",
            ("family", "proto", "server", "type", "view", "zone"),
        )  # fmt: skip
        self._responses = exposition.Counter(
            "coredns_dns_responses_total", "Counter of response status codes.",
            ("plugin", "rcode", "server", "view", "zone"),
        )  # fmt: skip
        self._durations = exposition.Histogram(
            "coredns_dns_request_duration_seconds", "Histogram of the time (in seconds) each request took per zone.",
            BUCKETS, ("server", "view", "zone"),
        )  # fmt: skip
        self.panics = 0

    def asked(self, zone: str, kind: int, *, udp: bool, version: int) -> None:
        family, transport = "2" if version == 6 else "1", "udp" if udp else "tcp"
        self._requests.add(family, transport, SERVER, _KINDS.get(kind, "other"), "", zone)

    def answered(self, zone: str, code: int, plugin: str, seconds: float) -> None:
        self._responses.add(plugin, _CODES.get(code, "OTHER"), SERVER, "", zone)
        self._durations.observe(seconds, SERVER, "", zone)

    def lines(self) -> Iterator[str]:
        yield from self._requests.lines()
        yield from self._responses.lines()
        yield from self._durations.lines()
        yield from exposition.counter(
            "coredns_panics_total", "A metrics that counts the number of panics.", self.panics
        )


def of_cache(name: str, kind: str, about: str, figure: int) -> Iterator[str]:
    return exposition.family(f"coredns_{name}", kind, about, ("server", "view", "zones"), [((SERVER, "", "."), figure)])

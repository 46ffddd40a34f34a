"""From a question's bytes to the answer's: the cluster's names at once, others' by the forwarder.

What must be asked elsewhere takes time, so ``answer`` raises ``Elsewhere`` instead of waiting, and the server calls
``elsewhere`` where waiting harms nobody.
"""

import threading

from kubeshim.addons.dns import forwarder, message, records

MAX_ALIASES = 8

_CODES = {
    message.NOERROR: "NOERROR", message.FORMERR: "FORMERR", message.SERVFAIL: "SERVFAIL", message.NXDOMAIN: "NXDOMAIN",
    message.NOTIMP: "NOTIMP", message.REFUSED: "REFUSED",
}  # fmt: skip


class Elsewhere(Exception):
    """The answer must be asked for elsewhere, which takes time: call ``elsewhere`` where that does not matter."""

    def __init__(self, query: message.Query) -> None:
        super().__init__(query.name)
        self.query = query


class Resolver:
    """From a question's bytes to the answer's. Safe from any thread."""

    def __init__(self, zone: records.Zone, forwarding: forwarder.Forwarder) -> None:
        self.zone = zone
        self.forwarder = forwarding
        self.ready = False
        self._requests: dict[str, int] = {}
        self._responses: dict[str, int] = {}
        self._lock = threading.Lock()

    def answer(self, data: bytes, *, udp: bool) -> bytes | None:
        """None where no answer is due. Raises ``Elsewhere``."""
        try:
            query = message.parse_query(data)
        except message.Malformed as error:
            return None if error.number is None else message.refusal(error.number, message.FORMERR)
        self._count(self._requests, "udp" if udp else "tcp")
        if query.opcode != 0:
            return self.failure(query, message.NOTIMP)
        if query.edns_version != 0:
            return self.failure(query, message.BADVERS)
        if query.klass != message.IN or self.forwarder.seen(query.key):
            return self.failure(query, message.REFUSED)
        found = self._own(query)
        if found is None:
            if not self.forwarder.enabled:
                return self.failure(query, message.REFUSED)
            raise Elsewhere(query)
        return self._render(query, found, udp=udp)

    def elsewhere(self, query: message.Query, *, udp: bool) -> bytes:
        """What upstreams say, or that they say nothing."""
        if self.zone.contains(query.key):
            return self._render(query, self._follow(query), udp=udp)
        answer = self.forwarder.ask(query)
        if answer is None:
            return self.failure(query, message.SERVFAIL)
        self._count(self._responses, _CODES.get(message.code_of(answer), "OTHER"))
        return message.truncated(query) if udp and len(answer) > query.size else answer

    def failure(self, query: message.Query, code: int) -> bytes:
        return self._render(query, message.Answer(code, authoritative=False), udp=True)

    def metrics(self) -> str:
        with self._lock:
            requests, responses = dict(self._requests), dict(self._responses)
        lines = ["# TYPE coredns_dns_requests_total counter"]
        lines += [f'coredns_dns_requests_total{{proto="{name}"}} {count}' for name, count in sorted(requests.items())]
        lines.append("# TYPE coredns_dns_responses_total counter")
        lines += [f'coredns_dns_responses_total{{rcode="{name}"}} {n}' for name, n in sorted(responses.items())]
        for name, value in (
            ("coredns_cache_hits_total", self.forwarder.hits),
            ("coredns_cache_misses_total", self.forwarder.misses),
            ("coredns_forward_healthcheck_broken_total", self.forwarder.failures),
        ):
            lines += [f"# TYPE {name} counter", f"{name} {value}"]
        return "\n".join(lines) + "\n"

    def _own(self, query: message.Query) -> message.Answer | None:
        """For names of the cluster; None for others'. Raises ``Elsewhere`` for an alias that leads out."""
        address = records.reverse_address(query.key)
        if address is not None:
            if not self.ready:
                return message.Answer(message.SERVFAIL)
            known = self.zone.reverse(query, address)
            # With nobody else to ask, what is not ours does not exist.
            return known or (None if self.forwarder.enabled else message.Answer(message.NXDOMAIN))
        if not self.zone.contains(query.key):
            return None
        if not self.ready:
            return message.Answer(message.SERVFAIL)
        found = self.zone.answer(query)
        if isinstance(found, message.Answer):
            return found
        if not self.zone.contains(found.target.lower()) and self.forwarder.enabled and _wants_address(query):
            raise Elsewhere(query)
        return self._follow(query)

    def _follow(self, query: message.Query) -> message.Answer:
        """An alias and what it leads to, in the cluster or outside."""
        chain: list[message.Record] = []
        name = query.name
        for _ in range(MAX_ALIASES):
            asked = message.Query(
                query.number, name, query.kind, query.klass, 0, query.recursion, query.size, False, 0, b""
            )
            if not self.zone.contains(asked.key):
                found = self.forwarder.look_up(name, query.kind) if self.forwarder.enabled else []
                if found is None:
                    return message.Answer(message.SERVFAIL, tuple(chain))
                return message.Answer(message.NOERROR, (*chain, *found))
            step = self.zone.answer(asked)
            if isinstance(step, message.Answer):
                return message.Answer(step.code, (*chain, *step.answers), step.authority, step.additional)
            chain.append(step.record)
            if not _wants_address(query):
                return message.Answer(answers=tuple(chain))
            name = step.target
        return message.Answer(message.SERVFAIL)

    def _render(self, query: message.Query, answer: message.Answer, *, udp: bool) -> bytes:
        self._count(self._responses, _CODES.get(answer.code, "OTHER"))
        limit = query.size if udp else 65535
        return message.render(query, answer, limit, recursion_available=self.forwarder.enabled)

    def _count(self, counters: dict[str, int], name: str) -> None:
        with self._lock:
            counters[name] = counters.get(name, 0) + 1


def _wants_address(query: message.Query) -> bool:
    return query.kind in (message.A, message.AAAA)

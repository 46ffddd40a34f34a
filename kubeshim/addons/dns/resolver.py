"""From a question's bytes to the answer's: the cluster's names at once, others' by the forwarder.

What must be asked elsewhere takes time, so ``answer`` raises ``Elsewhere`` instead of waiting, and the server calls
``elsewhere`` where waiting harms nobody.
"""

import time

from kubeshim.addons.dns import forwarder, message, metrics, records
from kubeshim.wire import exposition

MAX_ALIASES = 8


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
        self.counting = metrics.Metrics()

    def answer(self, data: bytes, *, udp: bool, version: int = 4) -> bytes | None:
        """None where no answer is due; ``version`` is the asker's of IP. Raises ``Elsewhere``."""
        began = time.perf_counter()
        try:
            query = message.parse_query(data)
        except message.Malformed as error:
            return None if error.number is None else message.refusal(error.number, message.FORMERR)
        self.counting.asked(self._zone(query), query.kind, udp=udp, version=version)
        if query.opcode != 0:
            return self.failure(query, message.NOTIMP, began)
        if query.edns_version != 0:
            return self.failure(query, message.BADVERS, began)
        if query.klass != message.IN or self.forwarder.seen(query.key):
            return self.failure(query, message.REFUSED, began)
        found = self._own(query)
        if found is None:
            if not self.forwarder.enabled:
                return self.failure(query, message.REFUSED, began)
            raise Elsewhere(query)
        return self._render(query, found, began, udp=udp)

    def elsewhere(self, query: message.Query, *, udp: bool) -> bytes:
        """What upstreams say, or that they say nothing."""
        began = time.perf_counter()
        if self.zone.contains(query.key):
            return self._render(query, self._follow(query), began, udp=udp)
        answer = self.forwarder.ask(query)
        if answer is None:
            return self.failure(query, message.SERVFAIL, began)
        code = message.code_of(answer)
        self.counting.answered(self._zone(query), code, "forward", time.perf_counter() - began)
        return message.truncated(query) if udp and len(answer) > query.size else answer

    def failure(self, query: message.Query, code: int, began: float | None = None) -> bytes:
        began = time.perf_counter() if began is None else began
        return self._render(query, message.Answer(code, authoritative=False), began, udp=True)

    def metrics(self) -> str:
        """Prometheus text."""
        asking, counting = self.forwarder, self.counting
        return exposition.text(
            counting.lines(),
            metrics.of_cache(
                "cache_requests_total", "counter", "The count of cache requests.", asking.hits + asking.misses
            ),
            metrics.of_cache("cache_hits_total", "counter", "The count of cache hits.", asking.hits),
            metrics.of_cache("cache_misses_total", "counter", "The count of cache misses.", asking.misses),
            metrics.of_cache("cache_entries", "gauge", "The number of elements in the cache.", asking.entries),
            exposition.counter(
                "coredns_forward_healthcheck_broken_total", "Times no server upstream was well.", asking.failures
            ),
        )

    def _zone(self, query: message.Query) -> str:
        if self.zone.contains(query.key):
            return f"{self.zone.domain}."
        return next((f"{zone}." for zone in ("in-addr.arpa", "ip6.arpa") if query.key.endswith(f".{zone}")), ".")

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

    def _render(self, query: message.Query, answer: message.Answer, began: float, *, udp: bool) -> bytes:
        limit = query.size if udp else 65535
        data = message.render(query, answer, limit, recursion_available=self.forwarder.enabled)
        self.counting.answered(self._zone(query), answer.code, "kubernetes", time.perf_counter() - began)
        return data


def _wants_address(query: message.Query) -> bool:
    return query.kind in (message.A, message.AAAA)

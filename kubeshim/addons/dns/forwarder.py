"""Names outside the cluster: asks upstream servers, remembers what they say, and notices when it asks itself.

Upstreams are tried in order of their last success; each try has ``TRY_SECONDS``. Answers are kept for the least
lifetime of their records, at most ``CACHE_SECONDS``. If a probe for a random name comes back as a question, somebody
forwards to us (a resolv.conf that names this very server), and forwarding ends.
"""

import collections
import logging
import random
import secrets
import socket
import threading
from collections.abc import Callable, Sequence

from kubeshim import clock as clocks
from kubeshim.addons.dns import message

log = logging.getLogger(__name__)

TRY_SECONDS = 2.0
CACHE_SECONDS = 30
CACHE_ENTRIES = 10_000

Address = tuple[str, int]


class Forwarder:
    """``upstreams`` are ``(IP, port)``. ``connect`` gives an unconnected socket of a type, for namespaces and tests."""

    def __init__(
        self,
        upstreams: Sequence[Address],
        *,
        clock: clocks.Clock = clocks.SYSTEM,
        make_socket: Callable[[int, int], socket.socket] = socket.socket,
    ) -> None:
        self._upstreams = list(upstreams)
        self._clock = clock
        self._make_socket = make_socket
        self._cache: collections.OrderedDict[tuple[str, int, bool], tuple[bytes, float]] = collections.OrderedDict()
        self._lock = threading.Lock()
        self.probe_name = f"{secrets.randbelow(1 << 60)}.{secrets.randbelow(1 << 60)}.loop-probe.invalid"
        self.looping = False
        self.hits = 0
        self.misses = 0
        self.failures = 0

    @property
    def enabled(self) -> bool:
        return bool(self._upstreams) and not self.looping

    @property
    def entries(self) -> int:
        """How many answers are kept."""
        return len(self._cache)

    def ask(self, query: message.Query) -> bytes | None:
        """The upstream's answer under the query's number; None where nobody answers."""
        key = (query.key, query.kind, query.edns)
        kept = self._recall(key)
        if kept is not None:
            self.hits += 1
            return message.with_number(kept, query.number)
        self.misses += 1
        answer = self._exchange(query.name, query.kind, edns=query.edns)
        if answer is None:
            self.failures += 1
            return None
        self._keep(key, answer)
        return message.with_number(answer, query.number)

    def look_up(self, name: str, kind: int) -> list[message.Record] | None:
        """Records of a name, for an alias that leads outside; None where nobody answers."""
        answer = self._exchange(name, kind)
        if answer is None:
            return None
        try:
            return message.answers_of(answer)
        except message.Malformed:
            return None

    def probe(self) -> None:
        """Asks for the random name once; ``seen`` is told when it comes back."""
        if self._upstreams:
            self._exchange(self.probe_name, message.HINFO)

    def seen(self, name: str) -> bool:
        """Whether a question is our own probe: then forwarding ends."""
        if name != self.probe_name:
            return False
        if not self.looping:
            self.looping = True
            log.error("forwarding is switched off: the upstream servers %s forward to this one", self._upstreams)
        return True

    def _exchange(self, name: str, kind: int, *, edns: bool = True) -> bytes | None:
        for upstream in list(self._upstreams):
            try:
                question = message.make_query(name, kind, edns=edns)
                answer = self._over_udp(upstream, question)
                if message.is_truncated(answer):
                    answer = self._over_tcp(upstream, question)
            except (OSError, message.Malformed, ValueError) as error:
                log.debug("upstream %s: %s", upstream, error)
                self._put_last(upstream)
                continue
            return answer
        return None

    def _over_udp(self, upstream: Address, question: bytes) -> bytes:
        deadline = self._clock.monotonic() + TRY_SECONDS
        with self._make_socket(_family(upstream), socket.SOCK_DGRAM) as connection:
            connection.connect(upstream)
            connection.send(question)
            while (left := deadline - self._clock.monotonic()) > 0:
                connection.settimeout(left)
                answer = connection.recv(65535)
                if _answers(question, answer):
                    return answer
        raise TimeoutError("no answer")

    def _over_tcp(self, upstream: Address, question: bytes) -> bytes:
        with self._make_socket(_family(upstream), socket.SOCK_STREAM) as connection:
            connection.settimeout(TRY_SECONDS)
            connection.connect(upstream)
            connection.sendall(len(question).to_bytes(2) + question)
            size = int.from_bytes(_exactly(connection, 2))
            answer = _exactly(connection, size)
        if not _answers(question, answer):
            raise message.Malformed("an answer to another question")
        return answer

    def _put_last(self, upstream: Address) -> None:
        with self._lock:
            if upstream in self._upstreams:
                self._upstreams.remove(upstream)
                self._upstreams.append(upstream)

    def _recall(self, key: tuple[str, int, bool]) -> bytes | None:
        with self._lock:
            kept = self._cache.get(key)
            if kept is None:
                return None
            if self._clock.monotonic() >= kept[1]:
                del self._cache[key]
                return None
            return kept[0]

    def _keep(self, key: tuple[str, int, bool], answer: bytes) -> None:
        if message.code_of(answer) not in (message.NOERROR, message.NXDOMAIN):
            return
        try:
            seconds = message.lifetime(answer, CACHE_SECONDS)
        except message.Malformed:
            return
        if seconds > 0:
            with self._lock:
                self._cache[key] = (answer, self._clock.monotonic() + seconds)
                while len(self._cache) > CACHE_ENTRIES:
                    self._cache.popitem(last=False)


def upstreams_of(resolv_conf: str) -> list[Address]:
    """The name servers of a resolv.conf's text."""
    found = []
    for line in resolv_conf.splitlines():
        words = line.split()
        if len(words) >= 2 and words[0] == "nameserver":
            found.append((words[1].partition("%")[0], 53))
    return found


def order(upstreams: Sequence[Address]) -> list[Address]:
    """Where to begin is chance, so that many servers do not all lean on the first."""
    shuffled = list(upstreams)
    random.shuffle(shuffled)
    return shuffled


def _answers(question: bytes, answer: bytes) -> bool:
    """Whether it is an answer with our number to our question (spoofed or late ones are not)."""
    if len(answer) < 12 or answer[:2] != question[:2] or not answer[2] & 0x80:
        return False
    try:
        asked, end = message.read_name(question, 12)
        told, there = message.read_name(answer, 12)
        return asked.lower() == told.lower() and question[end : end + 4] == answer[there : there + 4]
    except (IndexError, message.Malformed):
        return False


def _exactly(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = connection.recv(size - len(data))
        if not part:
            raise message.Malformed("cut short")
        data += part
    return data


def _family(address: Address) -> int:
    return socket.AF_INET6 if ":" in address[0] else socket.AF_INET

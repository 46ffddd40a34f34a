"""DNS messages on the wire (RFC 1035, 3596, 6891): reading questions, writing answers. No I/O.

Hand-made because an answer is on the way of every connection a pod makes: reading a question and writing its
answer take a few dozen microseconds, a tenth of what a general library needs. Forwarded messages are never taken
apart, only their lifetimes and codes are looked at.
"""

import dataclasses
import random
import socket
import struct
from collections.abc import Sequence

A, NS, CNAME, SOA, PTR, HINFO, MX, TXT, AAAA, SRV, OPT, ANY = 1, 2, 5, 6, 12, 13, 15, 16, 28, 33, 41, 255
IN, CHAOS = 1, 3
NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED, BADVERS = 0, 1, 2, 3, 4, 5, 16

SMALL = 512
"""Bytes of a UDP answer to a client that does not say how much it takes."""
LARGE = 1232
"""What we say we take: what passes every link unfragmented."""

_HEADER = struct.Struct("!HHHHHH")
_QR, _OPCODE, _AA, _TC, _RD, _RA = 0x8000, 0x7800, 0x0400, 0x0200, 0x0100, 0x0080
_FIXED = struct.Struct("!HHIH")


class Malformed(Exception):
    """Not a DNS message, or none that can be read. ``id`` is its number where that much was there."""

    def __init__(self, message: str, number: int | None = None) -> None:
        super().__init__(message)
        self.number = number


@dataclasses.dataclass(frozen=True, slots=True)
class Query:
    """A question as it came. ``name`` keeps the asker's capitals; ``key`` is it in lower case, without the last dot."""

    number: int
    name: str
    kind: int
    klass: int
    opcode: int
    recursion: bool
    size: int
    """The largest UDP answer the asker takes."""
    edns: bool
    edns_version: int
    question: bytes
    """The question section as it came, to be put into the answer."""

    @property
    def key(self) -> str:
        return self.name.lower()


@dataclasses.dataclass(frozen=True, slots=True)
class Record:
    """``data``: an address (A, AAAA), a name (NS, CNAME, PTR), a text (TXT), ``(priority, weight, port, name)`` (SRV),
    or ``(name, mailbox, serial, refresh, retry, expire, minimum)`` (SOA)."""

    name: str
    kind: int
    ttl: int
    data: str | tuple[int, int, int, str] | tuple[str, str, int, int, int, int, int]


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """What is answered. ``authoritative``: the name is of our zone."""

    code: int = NOERROR
    answers: tuple[Record, ...] = ()
    authority: tuple[Record, ...] = ()
    additional: tuple[Record, ...] = ()
    authoritative: bool = True


def parse_query(data: bytes) -> Query:
    """Raises ``Malformed``."""
    if len(data) < 12:
        raise Malformed("shorter than a header")
    number, flags, questions, answers, authorities, additionals = _HEADER.unpack_from(data)
    if flags & _QR:
        raise Malformed("an answer, not a question")
    try:
        if questions != 1:
            raise Malformed(f"{questions} questions", number)
        name, at = read_name(data, 12)
        kind, klass = struct.unpack_from("!HH", data, at)
        question = data[12 : at + 4]
        edns, size, version = _edns(data, at + 4, answers + authorities + additionals)
    except (struct.error, IndexError) as error:
        raise Malformed("cut short", number) from error
    except Malformed as error:
        error.number = number
        raise
    return Query(number, name, kind, klass, (flags & _OPCODE) >> 11, bool(flags & _RD), size, edns, version, question)


def _edns(data: bytes, at: int, records: int) -> tuple[bool, int, int]:
    """``(present, size, version)`` of the OPT record among what follows the question."""
    for _ in range(records):
        name, at = read_name(data, at)
        kind, klass, ttl, length = _FIXED.unpack_from(data, at)
        at += 10 + length
        if kind == OPT and not name:
            return True, max(klass, SMALL), ttl >> 16 & 0xFF
    return False, SMALL, 0


def read_name(data: bytes, at: int) -> tuple[str, int]:
    """``(name without its last dot, where it ends)``. Raises ``Malformed`` or ``IndexError``."""
    labels: list[str] = []
    end = 0
    jumps = 0
    size = 0
    while length := data[at]:
        if length & 0xC0 == 0xC0:
            end = end or at + 2
            at = (length & 0x3F) << 8 | data[at + 1]
            jumps += 1
            if jumps > 32:
                raise Malformed("a name that refers to itself")
            continue
        if length & 0xC0:
            raise Malformed("a label of unknown form")
        if at + 1 + length > len(data):
            raise IndexError
        label = data[at + 1 : at + 1 + length]
        size += length + 1
        if size > 254:
            raise Malformed("a name longer than 255 bytes")
        labels.append(label.decode("latin-1"))
        at += 1 + length
    return ".".join(labels), end or at + 1


def write_name(name: str) -> bytes:
    """Uncompressed. Raises ``ValueError`` for a label that is none."""
    if not name:
        return b"\0"
    parts = []
    for label in name.split("."):
        text = label.encode("latin-1")
        if not 0 < len(text) < 64:
            raise ValueError(f"no label: {label!r}")
        parts.append(bytes([len(text)]) + text)
    return b"".join(parts) + b"\0"


def render(query: Query, answer: Answer, limit: int, *, recursion_available: bool) -> bytes:
    """The answer in at most ``limit`` bytes: where it does not fit it is empty and marked as truncated."""
    flags = _QR | query.opcode << 11 | (answer.code & 0xF)
    flags |= (_RD if query.recursion else 0) | (_RA if recursion_available else 0)
    flags |= _AA if answer.authoritative else 0
    extra = _opt(answer.code) if query.edns else b""
    writer = _Writer(query)
    bodies = [writer.records(section) for section in (answer.answers, answer.authority, answer.additional)]
    counts = [len(answer.answers), len(answer.authority), len(answer.additional)]
    size = 12 + len(query.question) + len(extra)
    if size + sum(map(len, bodies)) > limit and answer.additional:
        # What is additional may be left out without a word.
        bodies[2], counts[2] = b"", 0
    if size + sum(map(len, bodies)) > limit:
        flags |= _TC
        bodies, counts = [b"", b"", b""], [0, 0, 0]
    counts[2] += bool(extra)
    head = _HEADER.pack(query.number, flags, 1, *counts)
    return head + query.question + b"".join(bodies) + extra


def refusal(number: int, code: int) -> bytes:
    """An answer to what could not be read."""
    return _HEADER.pack(number, _QR | code, 0, 0, 0, 0)


def with_number(data: bytes, number: int) -> bytes:
    """A message under another number."""
    return number.to_bytes(2) + data[2:]


def code_of(data: bytes) -> int:
    return data[3] & 0xF


def is_truncated(data: bytes) -> bool:
    return bool(data[2] & 0x02)


def make_query(name: str, kind: int, *, edns: bool = True) -> bytes:
    """A question of our own, with recursion desired."""
    head = _HEADER.pack(random.getrandbits(16), _RD, 1, 0, 0, int(edns))
    question = write_name(name) + struct.pack("!HH", kind, IN)
    return head + question + (_opt(NOERROR) if edns else b"")


def truncated(query: Query) -> bytes:
    """An answer that only says it does not fit: ask again by TCP."""
    flags = _QR | query.opcode << 11 | _TC | _RA | (_RD if query.recursion else 0)
    return _HEADER.pack(query.number, flags, 1, 0, 0, 0) + query.question


def lifetime(data: bytes, default: int) -> int:
    """Seconds for which a message may be kept: the least of its records'. Raises ``Malformed``."""
    _, _, questions, answers, authorities, _ = _HEADER.unpack_from(data)
    try:
        at = 12
        for _ in range(questions):
            at = read_name(data, at)[1] + 4
        least = default
        for _ in range(answers + authorities):
            at = read_name(data, at)[1]
            _, _, ttl, length = _FIXED.unpack_from(data, at)
            at += 10 + length
            least = min(least, ttl)
    except (struct.error, IndexError) as error:
        raise Malformed("cut short") from error
    return least


def answers_of(data: bytes) -> list[Record]:
    """The A, AAAA and CNAME records a message answers with. Raises ``Malformed``."""
    _, _, questions, answers, _, _ = _HEADER.unpack_from(data)
    found = []
    try:
        at = 12
        for _ in range(questions):
            at = read_name(data, at)[1] + 4
        for _ in range(answers):
            name, at = read_name(data, at)
            kind, _, ttl, length = _FIXED.unpack_from(data, at)
            at += 10
            if kind == CNAME:
                found.append(Record(name, kind, ttl, read_name(data, at)[0]))
            elif kind in (A, AAAA):
                family = socket.AF_INET if kind == A else socket.AF_INET6
                found.append(Record(name, kind, ttl, socket.inet_ntop(family, data[at : at + length])))
            at += length
    except (struct.error, IndexError, ValueError) as error:
        raise Malformed("cut short") from error
    return found


class _Writer:
    """Records to bytes; the question's own name is referred to instead of repeated."""

    def __init__(self, query: Query) -> None:
        self._question = query.key

    def records(self, records: Sequence[Record]) -> bytes:
        parts = []
        for record in records:
            name = b"\xc0\x0c" if record.name.lower() == self._question and record.name else write_name(record.name)
            data = _data(record)
            parts.append(name + _FIXED.pack(record.kind, IN, record.ttl, len(data)) + data)
        return b"".join(parts)


def _data(record: Record) -> bytes:
    data = record.data
    if isinstance(data, str):
        if record.kind == A:
            return socket.inet_aton(data)
        if record.kind == AAAA:
            return socket.inet_pton(socket.AF_INET6, data)
        if record.kind == TXT:
            text = data.encode()
            return bytes([len(text)]) + text
        return write_name(data)
    if len(data) == 4:
        return struct.pack("!HHH", *data[:3]) + write_name(data[3])
    return write_name(data[0]) + write_name(data[1]) + struct.pack("!5I", *data[2:])


def _opt(code: int) -> bytes:
    return struct.pack("!BHHIH", 0, OPT, LARGE, (code >> 4) << 24, 0)

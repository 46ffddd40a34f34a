"""Cluster DNS under what no resolver sends: rubbish, mutations, and floods."""

import contextlib
import random
import socket
import struct
import time

import dns.message
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubeshim.addons.dns import forwarder, message, records, resolver, server
from tests.addons.dns import test_cluster_dns as cluster_dns

NAMES = st.sampled_from(["web.ns.svc.cluster.local", "db.ns.svc.cluster.local", "9.0.244.10.in-addr.arpa", "a.b", ""])


@st.composite
def mutated(draw):
    """A question with some bytes changed, cut off or doubled."""
    question = dns.message.make_query(draw(NAMES), draw(st.integers(0, 65535)), use_edns=draw(st.booleans()), id=7)
    data = bytearray(question.to_wire())
    for _ in range(draw(st.integers(0, 6))):
        kind, at = draw(st.integers(0, 2)), draw(st.integers(0, max(len(data) - 1, 0)))
        if kind == 0 and data:
            data[at] = draw(st.integers(0, 255))
        elif kind == 1:
            del data[at:]
        else:
            data += data[at:]
    return bytes(data)


def a_resolver(upstreams=()):
    made = resolver.Resolver(records.Zone("cluster.local", cluster_dns.View()), forwarder.Forwarder(upstreams))
    made.ready = True
    return made


@settings(max_examples=800)
@given(st.one_of(st.binary(max_size=600), mutated()), st.booleans())
def test_whatever_comes_is_answered_in_form_or_not_at_all(data, udp):
    answer = a_resolver().answer(data, udp=udp)
    if answer is None:
        return
    assert answer[:2] == data[:2]
    assert answer[2] & 0x80
    if answer[3] & 15 != message.FORMERR:
        with contextlib.suppress(dns.exception.DNSException):
            asked = dns.message.from_wire(data, ignore_trailing=True)
            told = dns.message.from_wire(answer)
            assert [q.name for q in told.question] == [q.name for q in asked.question]


@settings(max_examples=800)
@given(st.binary(min_size=12, max_size=300))
def test_an_upstreams_rubbish_is_told_as_such(data):
    for read in (message.answers_of, lambda data: message.lifetime(data, 30)):
        with contextlib.suppress(message.Malformed):
            read(data)


def test_names_that_refer_to_each_other_end():
    loop = struct.pack("!HHHHHH", 7, 0x0100, 1, 0, 0, 0) + b"\xc0\x0c" + struct.pack("!HH", 1, 1)
    assert a_resolver().answer(loop, udp=True)[3] & 15 == message.FORMERR
    began = time.process_time()
    deep = b"".join(struct.pack("!H", 0xC000 | 12 + 2 * n + 2) for n in range(200)) + b"\0"
    a_resolver().answer(loop[:12] + deep + struct.pack("!HH", 1, 1), udp=True)
    assert time.process_time() - began < 1


@pytest.fixture
def silent():
    """An upstream that never answers."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()


def test_a_flood_of_other_names_holds_nobody_up(silent):
    """What is too much is refused at once; the cluster's own names are answered all along."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp, socket.socket(type=socket.SOCK_DGRAM) as flood:
        udp.bind(("127.0.0.1", 0))
        made = server.DnsServer(cluster_dns.View(), [udp], "cluster.local", [silent])
        made.start()
        try:
            flood.connect(udp.getsockname())
            flood.setblocking(False)
            flood.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
            draw = random.Random(1)
            for number in range(3 * server.FORWARDING_QUEUE):
                with contextlib.suppress(OSError):
                    flood.send(message.make_query(f"n{draw.random()}.example", message.A))
                if number % 500 == 0:
                    answer = cluster_dns.ask(udp.getsockname()[1], "web.ns.svc.cluster.local")
                    assert cluster_dns.texts(answer.answer) == ["10.96.0.5"]
            refused = 0
            with contextlib.suppress(BlockingIOError):
                while flood.recv(512)[3] & 15 == message.SERVFAIL:
                    refused += 1
            assert refused > 0
            assert "coredns_panics_total 0" in made.metrics()
        finally:
            made.stop()


def test_metrics_have_corednss_names():
    made = a_resolver()
    for name, kind in (("web.ns.svc.cluster.local", message.A), ("no.ns.svc.cluster.local", message.AAAA)):
        made.answer(message.make_query(name, kind), udp=True)
    made.answer(message.make_query("example.org", message.A), udp=False, version=6)
    text = made.metrics()
    server_label = 'server="dns://:53"'
    for line in (
        f'coredns_dns_requests_total{{family="1",proto="udp",{server_label},type="A",view="",zone="cluster.local."}} 1',
        f'coredns_dns_requests_total{{family="2",proto="tcp",{server_label},type="A",view="",zone="."}} 1',
        f'coredns_dns_responses_total{{plugin="kubernetes",rcode="NXDOMAIN",{server_label},view="",'
        'zone="cluster.local."} 1',
        f'coredns_dns_request_duration_seconds_count{{{server_label},view="",zone="cluster.local."}} 2',
        f'coredns_dns_request_duration_seconds_bucket{{{server_label},view="",zone=".",le="+Inf"}} 1',
    ):
        assert line in text

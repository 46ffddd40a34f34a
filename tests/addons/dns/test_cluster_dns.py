"""Cluster DNS as an independent client (dnspython) sees it."""

import socket
import threading

import dns.exception
import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import pytest

from kubeshim.addons.dns import forwarder, message, records, server


def service(name, namespace="ns", address="10.96.0.5", ports=(("http", "TCP", 80),), **spec):
    return {
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "clusterIP": address,
            "ports": [{"name": n, "protocol": p, "port": number} for n, p, number in ports],
            **spec,
        },
    }


def piece(name, *entries, namespace="ns", ports=(("http", "TCP", 8080),)):
    return {
        "metadata": {"name": f"{name}-x", "namespace": namespace, "labels": {"kubernetes.io/service-name": name}},
        "ports": [{"name": n, "protocol": p, "port": number} for n, p, number in ports],
        "endpoints": [{"conditions": {"ready": True}, **entry} for entry in entries],
    }


class View:
    """A small cluster."""

    services = [
        service("web"),
        service("kube-dns", "kube-system", "10.96.0.10", (("dns", "UDP", 53), ("dns-tcp", "TCP", 53))),
        service("db", address="None"),
        service("empty", address="None"),
        service("out", address="", type="ExternalName", externalName="example.org"),
        service("alias", address="", type="ExternalName", externalName="web.ns.svc.cluster.local"),
        service("loop", address="", type="ExternalName", externalName="loop.ns.svc.cluster.local"),
        service("six", address="fd00::5"),
    ]
    pieces = [
        piece("web", {"addresses": ["10.244.0.9"]}),
        piece(
            "db",
            {"addresses": ["10.244.0.2"], "hostname": "db-0"},
            {"addresses": ["10.244.0.3"]},
            {"addresses": ["10.244.0.4"], "conditions": {"ready": False}},
        ),
        piece("two", {"addresses": ["10.244.0.7"], "hostname": "two-0"}),
        piece("two", {"addresses": ["fd00:10:244::7"], "hostname": "two-0"}),
        piece("big", *({"addresses": [f"10.244.9.{n}"]} for n in range(1, 100))),
    ]
    services.append(service("big", address="None"))
    services.append(service("two", address="None"))

    def service(self, namespace, name):
        found = [s for s in self.services if (s["metadata"]["namespace"], s["metadata"]["name"]) == (namespace, name)]
        return found[0] if found else None

    def slices(self, namespace, name):
        return [p for p in self.pieces if p["metadata"]["labels"]["kubernetes.io/service-name"] == name]

    def services_with_address(self, address):
        return [s for s in self.services if s["spec"]["clusterIP"] == address]

    def slices_with_address(self, address):
        return [p for p in self.pieces if any(address in e["addresses"] for e in p["endpoints"])]

    def namespace_exists(self, name):
        return name in ("ns", "kube-system", "bare")

    def namespace_has_services(self, name):
        return name in ("ns", "kube-system")

    def start(self):
        pass

    stop = start

    def wait_for_sync(self, timeout):
        return True


@pytest.fixture
def running():
    """``start(upstreams)`` gives the port of a server and the server."""
    started = []

    def start(upstreams=()):
        tcp, udp = both_of_one_number()
        made = server.DnsServer(View(), [udp, tcp], "cluster.local", upstreams)
        made.start()
        started.append((made, udp, tcp))
        return udp.getsockname()[1], made

    yield start
    for made, udp, tcp in started:
        made.stop()
        udp.close()
        tcp.close()


def ask(port, name, kind="A", over=dns.query.udp, **options):
    query = dns.message.make_query(name, kind, **options)
    return over(query, "127.0.0.1", port=port, timeout=60)


def texts(section):
    return sorted(record.to_text() for entry in section for record in entry)


ZONE = "cluster.local"


@pytest.mark.parametrize(
    ("name", "kind", "code", "answers"),
    [
        ("web.ns.svc", "A", "NOERROR", ["10.96.0.5"]),
        ("WEB.Ns.Svc", "A", "NOERROR", ["10.96.0.5"]),
        ("web.ns.svc", "AAAA", "NOERROR", []),
        ("web.ns.svc", "TXT", "NOERROR", []),
        ("six.ns.svc", "AAAA", "NOERROR", ["fd00::5"]),
        ("_http._tcp.web.ns.svc", "SRV", "NOERROR", [f"0 100 80 web.ns.svc.{ZONE}."]),
        ("_http._tcp.web.ns.svc", "A", "NOERROR", []),
        ("two-0.two.ns.svc", "A", "NOERROR", ["10.244.0.7"]),
        ("two-0.two.ns.svc", "AAAA", "NOERROR", ["fd00:10:244::7"]),
        ("two.ns.svc", "AAAA", "NOERROR", ["fd00:10:244::7"]),
        ("_http._tcp.two.ns.svc", "SRV", "NOERROR", [f"0 100 8080 two-0.two.ns.svc.{ZONE}."]),
        ("_http._udp.web.ns.svc", "SRV", "NXDOMAIN", []),
        ("web.ns.svc", "SRV", "NOERROR", [f"0 100 80 web.ns.svc.{ZONE}."]),
        ("10-244-0-9.web.ns.svc", "A", "NOERROR", ["10.244.0.9"]),
        ("db.ns.svc", "A", "NOERROR", ["10.244.0.2", "10.244.0.3"]),
        ("db-0.db.ns.svc", "A", "NOERROR", ["10.244.0.2"]),
        ("10-244-0-3.db.ns.svc", "A", "NOERROR", ["10.244.0.3"]),
        ("10-244-0-4.db.ns.svc", "A", "NXDOMAIN", []),
        (
            "_http._tcp.db.ns.svc",
            "SRV",
            "NOERROR",
            [f"0 50 8080 10-244-0-3.db.ns.svc.{ZONE}.", f"0 50 8080 db-0.db.ns.svc.{ZONE}."],
        ),
        ("empty.ns.svc", "A", "NXDOMAIN", []),
        ("none.ns.svc", "A", "NXDOMAIN", []),
        ("web.nowhere.svc", "A", "NXDOMAIN", []),
        ("a.b.web.ns.svc", "A", "NXDOMAIN", []),
        ("ns.svc", "A", "NOERROR", []),
        ("bare.svc", "A", "NOERROR", []),
        ("nowhere.svc", "A", "NXDOMAIN", []),
        ("svc", "A", "NOERROR", []),
        ("other", "A", "NXDOMAIN", []),
        ("1-2-3-4.ns.pod", "A", "NOERROR", ["1.2.3.4"]),
        ("1-2-3.ns.pod", "A", "NXDOMAIN", []),
        ("1-2-3-4.nowhere.pod", "A", "NXDOMAIN", []),
        ("dns-version", "TXT", "NOERROR", ['"1.1.0"']),
        ("ns.dns", "A", "NOERROR", ["10.96.0.10"]),
        ("out.ns.svc", "A", "NOERROR", ["example.org."]),
        ("alias.ns.svc", "A", "NOERROR", ["10.96.0.5", f"web.ns.svc.{ZONE}."]),
        ("alias.ns.svc", "CNAME", "NOERROR", [f"web.ns.svc.{ZONE}."]),
        ("loop.ns.svc", "A", "SERVFAIL", []),
    ],
)
def test_names_of_the_cluster(running, name, kind, code, answers):
    port, _ = running()
    answer = ask(port, f"{name}.{ZONE}", kind)
    assert dns.rcode.to_text(answer.rcode()) == code
    assert texts(answer.answer) == answers
    if code != "SERVFAIL":
        assert answer.flags & dns.flags.AA
    if not answers and code != "SERVFAIL":
        assert [entry.rdtype for entry in answer.authority] == [dns.rdatatype.SOA]


@pytest.mark.parametrize(
    ("name", "code", "answers"),
    [
        ("5.0.96.10.in-addr.arpa", "NOERROR", [f"web.ns.svc.{ZONE}."]),
        ("2.0.244.10.in-addr.arpa", "NOERROR", [f"db-0.db.ns.svc.{ZONE}."]),
        ("9.0.244.10.in-addr.arpa", "NOERROR", [f"10-244-0-9.web.ns.svc.{ZONE}."]),
        ("9.9.9.9.in-addr.arpa", "NXDOMAIN", []),
        ("x.9.9.9.in-addr.arpa", "REFUSED", []),
    ],
)
def test_reverse_names(running, name, code, answers):
    port, _ = running()
    answer = ask(port, name, "PTR")
    assert (dns.rcode.to_text(answer.rcode()), texts(answer.answer)) == (code, answers)


def test_the_zone_itself(running):
    port, made = running()
    assert ask(port, ZONE, "SOA").answer[0][0].to_text().startswith("ns.dns.cluster.local. hostmaster.cluster.local.")
    assert ask(port, ZONE, "NS").answer[0][0].to_text() == "ns.dns.cluster.local."
    srv = ask(port, f"_http._tcp.db.ns.svc.{ZONE}", "SRV")
    assert texts(srv.additional) == ["10.244.0.2", "10.244.0.3"]
    assert made.ready
    assert 'type="SRV",view="",zone="cluster.local."} 1' in made.metrics()


def test_large_answers(running):
    port, _ = running()
    name = f"big.ns.svc.{ZONE}"
    small = ask(port, name, use_edns=False)
    assert small.flags & dns.flags.TC
    assert not small.answer
    assert len(texts(ask(port, name, use_edns=True, payload=4096).answer)) == 99
    assert len(texts(ask(port, name, over=dns.query.tcp).answer)) == 99


def test_what_is_no_question(running):
    port, _ = running()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(60)
        client.connect(("127.0.0.1", port))
        for rubbish, code in (
            (b"\x12\x34" + b"\0" * 10, 1),
            (b"\x12\x34\x20\0\0\x01" + b"\0" * 6 + b"\0\0\x01\0\x01", 4),
        ):
            client.send(rubbish)
            answer = client.recv(100)
            assert (answer[:2], answer[3] & 0xF) == (b"\x12\x34", code)
        client.send(b"x")
        client.send(message.make_query(ZONE, message.SOA))
        assert client.recv(1000)[3] & 0xF == 0
    assert ask(port, "example.org").rcode() == dns.rcode.REFUSED


def both_of_one_number():
    """What is free for connections may be taken for datagrams."""
    while True:
        tcp, udp = socket.create_server(("127.0.0.1", 0)), socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            udp.bind(tcp.getsockname())
        except OSError:
            tcp.close()
            udp.close()
        else:
            return tcp, udp


class Upstream:
    """Answers every A question with one address, counting."""

    def __init__(self, ttl=60):
        self.asked, self.ttl = [], ttl
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.address = self.socket.getsockname()
        threading.Thread(target=self._loop, daemon=True).start()

    def _loop(self):
        while True:
            data, asker = self.socket.recvfrom(4096)
            if data == b"stop":
                self.socket.close()
                return
            query = dns.message.from_wire(data)
            question = query.question[0]
            self.asked.append(question.name.to_text())
            answer = dns.message.make_response(query)
            if question.rdtype == dns.rdatatype.A:
                answer.answer.append(dns.rrset.from_text(question.name, self.ttl, "IN", "A", "192.0.2.7"))
            self.socket.sendto(answer.to_wire(), asker)

    def stop(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.sendto(b"stop", self.address)


def test_other_names_are_forwarded_and_remembered(running):
    upstream = Upstream()
    dead = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    dead.bind(("127.0.0.1", 0))
    closed = dead.getsockname()
    dead.close()
    port, made = running([upstream.address, closed])
    for over in (dns.query.udp, dns.query.udp, dns.query.tcp):
        assert texts(ask(port, "example.org", over=over).answer) == ["192.0.2.7"]
    assert upstream.asked.count("example.org.") == 1
    assert texts(ask(port, f"out.ns.svc.{ZONE}").answer) == ["192.0.2.7", "example.org."]
    assert made.resolver.forwarder.hits == 2
    upstream.stop()


def test_a_server_that_forwards_to_itself_stops(running):
    port, made = running()
    made.resolver.forwarder = forwarder.Forwarder([("127.0.0.1", port)])
    made.resolver.forwarder.probe()
    assert made.resolver.forwarder.looping
    assert ask(port, "example.org").rcode() == dns.rcode.REFUSED


def test_questions_wait_for_the_first_sync(running):
    class Late(View):
        filled = threading.Event()

        def wait_for_sync(self, timeout):
            return self.filled.wait(timeout)

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind(("127.0.0.1", 0))
        made = server.DnsServer(Late(), [udp], ZONE)
        made.start()
        threading.Timer(0.2, Late.filled.set).start()
        assert texts(ask(udp.getsockname()[1], f"web.ns.svc.{ZONE}").answer) == ["10.96.0.5"]
        made.stop()


def test_names_on_the_wire():
    assert message.read_name(message.write_name("a.bc"), 0) == ("a.bc", 6)
    assert message.read_name(b"\x01a\0\x01b\xc0\x00", 3) == ("b.a", 7)
    for broken in (b"\xc0\x00", b"\x80abc"):
        with pytest.raises(message.Malformed):
            message.read_name(broken, 0)
    with pytest.raises(IndexError):
        message.read_name(b"\x05abc", 0)


def test_resolv_conf():
    text = "# comment\nnameserver 127.0.0.53\nsearch x\nnameserver fe80::1%eth0\n"
    assert forwarder.upstreams_of(text) == [("127.0.0.53", 53), ("fe80::1", 53)]


def test_a_port_is_of_one_endpoint_once():
    pieces = [piece("x", {"addresses": ["10.0.0.1"]}), piece("x", {"addresses": ["10.0.0.1"]})]
    assert len(records.endpoints(pieces)) == 1

"""What a publication means, where it leads, and that bytes arrive: over loopback."""

import asyncio
import contextlib
import socket
import threading

import pytest

from kubeshim.addons.publish import relay, targets
from tests import ports


@pytest.mark.parametrize(
    ("text", "full"),
    [
        ("8080:30080", "127.0.0.1:8080:30080/tcp"),
        ("0.0.0.0:8080:30080/udp", "0.0.0.0:8080:30080/udp"),
        ("[::1]:8080:30080", "[::1]:8080:30080/tcp"),
        ("5432:postgres:5432", "127.0.0.1:5432:default/postgres:5432/tcp"),
        ("1053:kube-system/kube-dns:dns/udp", "127.0.0.1:1053:kube-system/kube-dns:dns/udp"),
    ],
)
def test_forms(text, full):
    found = targets.parse(text)
    assert str(found) == full
    assert targets.parse(full) == found


@pytest.mark.parametrize(
    "text", ["8080", "8080:", "x:8080:30080", "0:web:80", "8080:web", "8080:30080/sctp", "8080:Web:80"]
)
def test_what_is_none(text):
    with pytest.raises(targets.Unpublishable):
        targets.parse(text)


def service(**spec):
    ports = [{"name": "http", "port": 80, "nodePort": 30080}]
    return {"metadata": {"namespace": "ns", "name": "web"}, "spec": {"clusterIP": "10.96.0.5", "ports": ports, **spec}}


def node(name, address, ready="True"):
    status = {
        "conditions": [{"type": "Ready", "status": ready}],
        "addresses": [{"type": "InternalIP", "address": address}],
    }
    return {"metadata": {"name": name}, "status": status}


NODES = [node("a", "172.30.0.2"), node("b", "172.30.0.3"), node("c", "172.30.0.4", "Unknown")]
SLICES = {
    "ns/web": [
        {
            "ports": [{"name": "http", "port": 8080}],
            "endpoints": [
                {"addresses": ["10.244.0.2"], "nodeName": "b", "conditions": {"ready": True}},
                {"addresses": ["10.244.0.3"], "nodeName": "a", "conditions": {"ready": False}},
            ],
        }
    ]
}


@pytest.mark.parametrize(
    ("text", "spec", "wanted"),
    [
        ("8080:ns/web:80", {}, [("10.96.0.5", 80)]),
        ("8080:ns/web:http", {}, [("10.96.0.5", 80)]),
        ("8080:ns/web:81", {}, []),
        ("8080:ns/web:80/udp", {}, []),
        ("8080:web:80", {}, []),
        ("8080:ns/web:80", {"clusterIP": "None"}, [("10.244.0.2", 8080)]),
        ("8080:ns/web:80", {"type": "ExternalName", "clusterIP": ""}, []),
        ("8080:30080", {}, [("172.30.0.2", 30080), ("172.30.0.3", 30080)]),
        ("8080:30080", {"externalTrafficPolicy": "Local"}, [("172.30.0.3", 30080)]),
    ],
)
def test_where_it_leads(text, spec, wanted):
    assert targets.places(targets.parse(text), [service(**spec)], SLICES, NODES) == wanted


@contextlib.contextmanager
def relaying(kind, places):
    """The port of a relay."""
    sock = socket.create_server(("127.0.0.1", 0)) if kind == "tcp" else socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    if kind == "udp":
        sock.bind(("127.0.0.1", 0))
    loop, ready, opened = asyncio.new_event_loop(), threading.Event(), []

    async def start():
        sock.setblocking(False)
        if kind == "tcp":
            opened.append(await relay.serve_tcp(sock, places))
        else:
            opened.append((await loop.create_datagram_endpoint(lambda: relay.Datagrams(places), sock=sock))[0])
        ready.set()

    def end():
        opened[0].close()
        loop.call_later(0.01, loop.stop)  # what is closed says so first

    def run():
        task = loop.create_task(start())
        loop.run_forever()
        task.result()
        loop.close()

    port = sock.getsockname()[1]
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert ready.wait(60)
    yield port
    loop.call_soon_threadsafe(end)
    thread.join()


def test_connections_are_carried_and_halves_end():
    """The second place is taken where the first does not answer; a client may end first and still read everything."""
    big = b"x" * 3_000_000
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer():
            connection, _ = server.accept()
            with connection, connection.makefile("rb") as stream:
                said = stream.read()  # until the client's half has ended
                connection.sendall(said + big)

        threading.Thread(target=answer, daemon=True).start()
        with (
            ports.closed() as closed,
            relaying("tcp", lambda: [("127.0.0.1", closed), server.getsockname()]) as port,
            socket.create_connection(("127.0.0.1", port), 60) as client,
        ):
            client.sendall(big)
            client.shutdown(socket.SHUT_WR)
            with client.makefile("rb") as stream:
                assert stream.read() == big + big


def test_where_nobody_is_the_connection_is_cut():
    with (
        relaying("tcp", list) as port,
        socket.create_connection(("127.0.0.1", port), 60) as client,
        contextlib.suppress(ConnectionResetError),
    ):
        assert client.recv(1) == b""


def test_datagrams_are_carried_and_answered():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(60)
        with relaying("udp", lambda: [server.getsockname()]) as port:
            clients = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(3)]
            for number, client in enumerate(clients):
                client.settimeout(60)
                client.sendto(b"%d" % number, ("127.0.0.1", port))
                data, sender = server.recvfrom(100)
                server.sendto(data + b"!", sender)
                assert client.recv(100) == b"%d!" % number
                client.close()

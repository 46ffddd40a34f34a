"""Network namespaces for tests, each held by a process that only sleeps; the machine's own routes stay untouched."""

import contextlib
import socket
import subprocess
import threading
import types

import pytest

from kubeshim.node import namespaces
from kubeshim.node.kubelet import network, network_host, network_links


@contextlib.contextmanager
def hold():
    """The pid of a process in a network namespace of its own."""
    process = subprocess.Popen(["unshare", "--net", "sh", "-c", "echo ready; exec sleep 120"], stdout=subprocess.PIPE)
    try:
        assert process.stdout.readline() == b"ready\n"
        yield process.pid
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.fixture
def node():
    """A 'host' and a 'node' namespace joined by a link, so that the machine's own routes stay untouched."""
    with hold() as host, hold() as holder:
        in_host = lambda function: namespaces.run_in(namespaces.of_process(host), function)  # noqa: E731

        def join():
            network_links.create_pair("kst-h", 1500, "eth0", holder)
            with network_links.netlink() as link:
                link.addr("add", index=network_links.index_of(link, "kst-h"), address="172.31.77.1", prefixlen=24)

        in_host(join)

        def configure():
            with network_links.netlink() as link:
                index = network_links.index_of(link, "eth0")
                link.addr("add", index=index, address="172.31.77.2", prefixlen=24)
                link.link("set", index=index, state="up")
                link.route("add", dst="default", gateway="172.31.77.1")

        namespaces.run_in(namespaces.of_process(holder), configure)
        in_host(lambda: network_host.protect_ranges("10.199.0.0/16", "10.198.0.0/16"))
        made = network.NodeNetwork(holder, "172.31.77.2", "10.199.0.0/16", "10.198.0.0/16", "172.31.77.1")
        in_host(lambda: made.set_up("10.199.3.0/24"))
        yield made, in_host
        made.close()


def serve(run, name="", port=0):
    """A TCP server in a namespace that tells ``name`` and the peer's address; returns its port."""
    listener = run(lambda: socket.create_server(("0.0.0.0", port)))

    def loop():
        with listener:
            while True:
                try:
                    connection, peer = listener.accept()
                except OSError:
                    return
                with connection:
                    connection.sendall(f"{name} {peer[0]}".strip().encode())

    threading.Thread(target=loop, daemon=True).start()
    return listener.getsockname()[1]


def ask(run, address, port):
    def call():
        with socket.create_connection((address, port), timeout=2) as connection:
            return connection.recv(100).decode()

    return run(call)


@pytest.fixture
def ns():
    """``hold()`` a namespace, ``serve`` in one, ``ask`` from one."""
    return types.SimpleNamespace(hold=hold, serve=serve, ask=ask)

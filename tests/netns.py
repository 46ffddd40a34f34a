"""Network namespaces for tests and benchmarks, each held by a process that only sleeps.

The machine's own routes and firewall stay untouched: what is sent stays within these namespaces.
"""

import contextlib
import pathlib
import socket
import subprocess
import threading

from kubeshim.node import namespaces
from kubeshim.node.kubelet import network, network_host, network_ipv6, network_links

HOST, NODE = "172.31.77.1", "172.31.77.2"
PODS, SERVICES, NODE_PODS = "10.199.0.0/16", "10.198.0.0/16", "10.199.3.0/24"
HOST6, NODE6 = "fd77::1", "fd77::2"
PODS6, SERVICES6, NODE_PODS6 = "fd99::/56", "fd98::/112", "fd99:0:0:3::/64"
SECOND = network_ipv6.Second(NODE6, PODS6, SERVICES6, "fd77::/64", HOST6)
HAS_IPV6 = pathlib.Path("/proc/net/if_inet6").exists()


@contextlib.contextmanager
def hold(seconds=3600):
    """The pid of a process in a network namespace of its own."""
    command = ["unshare", "--net", "sh", "-c", f"echo ready; exec sleep {seconds}"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    try:
        assert process.stdout.readline() == b"ready\n"
        yield process.pid
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@contextlib.contextmanager
def node(*, dual=False):
    """A 'host' and a 'node' namespace joined by a link: the node's network, and what runs functions in the host."""
    with hold() as host, hold() as holder:
        in_host = lambda function: namespaces.run_in(namespaces.of_process(host), function)  # noqa: E731

        def join():
            network_links.create_pair("kst-h", 1500, "eth0", holder)
            add_address("kst-h", HOST)

        in_host(join)

        def configure():
            add_address("eth0", NODE)
            with network_links.netlink() as link:
                link.route("add", dst="default", gateway=HOST)

        namespaces.run_in(namespaces.of_process(holder), configure)
        in_host(lambda: network_host.protect_ranges(PODS, SERVICES, *((PODS6, SERVICES6) if dual else ())))
        made = network.NodeNetwork(holder, NODE, PODS, SERVICES, HOST, second=SECOND if dual else None)
        in_host(lambda: made.set_up(NODE_PODS, NODE_PODS6 if dual else ""))
        yield made, in_host
        made.close()


def add_address(name, address, prefix=24):
    with network_links.netlink() as link:
        index = network_links.index_of(link, name)
        link.addr("add", index=index, address=address, prefixlen=prefix)
        link.link("set", index=index, state="up")


def serve(run, name="", port=0):
    """A TCP server in a namespace that tells ``name`` and the peer's address; returns its port."""
    listener = run(lambda: socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True))

    def loop():
        with listener:
            while True:
                try:
                    connection, peer = listener.accept()
                except OSError:
                    return
                with connection:
                    connection.sendall(f"{name} {peer[0].removeprefix('::ffff:')}".strip().encode())

    threading.Thread(target=loop, daemon=True).start()
    return listener.getsockname()[1]


def ask(run, address, port, patience=60):
    """What such a server says. ``patience`` is in seconds."""

    def call():
        with socket.create_connection((address, port), timeout=patience) as connection:
            return connection.recv(100).decode()

    return run(call)

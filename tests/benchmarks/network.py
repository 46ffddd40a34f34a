"""The service proxy: how soon 5,000 Services stand in the kernel, how soon a change does, what a connection costs.

The proxy is the whole thing, informers included, beside a real API server over TLS, and programs namespaces made
here. When the kernel has something is told by the kernel itself (its notice of a new ruleset generation).
Connections go from pod to Service to pod; their floor is the same pods connecting directly, in the same turn.
"""

import concurrent.futures
import contextlib
import multiprocessing
import pathlib
import shutil
import socket
import statistics
import struct
import sys
import tempfile
import time

from kubeshim import pki
from kubeshim.client import kinds, kubeconfig, rest
from kubeshim.node.kube_proxy import iptables, nft, proxy, services
from tests import netns
from tests.benchmarks import api_server

SERVICES, ENDPOINTS, FEW = 5000, 3, 10
CHANGES = 200
BATCH, TURNS = 500, 21
NODE = services.Node("n1", (netns.NODE,), netns.PODS, (netns.SERVICES,))
CONFIG = proxy.ProxyConfig(
    (netns.NODE,), netns.PODS, (netns.SERVICES,), mode="nftables", resync=3600, listen=False
)  # fmt: skip


def main():
    for name, backend, count in (
        ("nftables", nft.NftBackend, SERVICES),
        ("iptables", iptables.IptablesBackend, 1000),
    ):
        if name == "nftables" or shutil.which("iptables-restore"):
            rules_alone(name, backend, count)
    with tempfile.TemporaryDirectory() as directory:
        whole_proxy(pathlib.Path(directory))
    first_packets("nftables", nft.NftBackend, SERVICES)
    if shutil.which("iptables-restore"):
        first_packets("iptables", iptables.IptablesBackend, 1000)


# -- rules -----------------------------------------------------------------------------------------------------


def rules_alone(name, backend_class, count):
    """From frontends to the kernel, without an API."""
    with netns.node() as (made, _), contextlib.closing(backend_class(made.run_in_node, NODE)) as backend:
        backend.sync(whole=True)
        for number in range(count):
            backend.replace(f"bench/{number}", [frontend(number)])
        began = time.perf_counter()
        backend.sync(whole=True)
        whole = time.perf_counter() - began
        took = []
        for number in range(20):
            began = time.perf_counter()
            backend.replace(f"bench/{number}", [frontend(number, shift=1)])
            backend.sync(whole=False)
            took.append((time.perf_counter() - began) * 1000)
        row(f"{name}: {count} Services into the kernel", f"{whole:.2f} s", "goal 0.6 s" if name == "nftables" else "")
        row(f"{name}: one change, p50, worst", f"{statistics.median(took):.1f} ms, {max(took):.1f} ms", "")


def frontend(number, shift=0):
    address = f"10.198.{1 + number // 250}.{1 + number % 250}"
    ends = tuple((f"10.199.{3 + shift}.{2 + end}", 8080) for end in range(ENDPOINTS))
    return services.Frontend("cluster", "tcp", address, 80, ends, ends)


# -- the proxy beside an API server ----------------------------------------------------------------------------


def whole_proxy(directory):
    port = api_server.free_port()
    files = pki.create_all(directory / "pki", server=f"https://127.0.0.1:{port}")
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(directory, port), daemon=True)
    server.start()
    client = rest.Client(kubeconfig.load(str(files.kubeconfig("admin"))))
    try:
        api_server.wait(lambda: client.get(kinds.NAMESPACES, "default"))
        fill(client)
        with netns.node() as (made, _):
            client.list(kinds.SERVICES)
            began = time.perf_counter()
            running = proxy.Proxy(client, made.run_in_node, "n1", CONFIG)
            running.start()
            if not running.wait_for_sync(60):
                raise SystemExit("the proxy did not come about")
            took = time.perf_counter() - began
            row(f"proxy start to {SERVICES} Services in the kernel", f"{took:.2f} s", "goal 1.5 s")
            # Only from here on: telling of 45,000 elements would cost the kernel more than taking them.
            with contextlib.closing(Generations(made.run_in_node)) as kernel:
                changes(client, kernel)
            running.stop()
    finally:
        client.close()
        server.terminate()
        server.join(10)


def serve(directory, port):
    from kubeshim.control_plane.api_server import config
    from kubeshim.control_plane.api_server import server as api

    files = pki.Files(directory / "pki")
    certificate, key = files.pair("apiserver")
    settings = config.Config(
        data_dir=directory, tls_certificate=str(certificate), tls_key=str(key), client_ca=str(files.ca),
        front_proxy_ca=str(files.front_proxy_ca), service_account_key=str(files.service_account_key),
        certificate_authority=str(files.ca), advertise_address="192.0.2.1", advertise_port=port,
        service_range=netns.SERVICES,
    )  # fmt: skip
    api.run(settings, [socket.create_server(("127.0.0.1", port), backlog=512)])


def fill(client):
    def put(number):
        name = f"service-{number}"
        spec = {"ports": [{"port": 80, "targetPort": 8080}]}
        client.create(kinds.SERVICES, {"metadata": {"name": name}, "spec": spec}, "default")
        client.create(kinds.ENDPOINT_SLICES, piece(number), "default")

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(put, range(SERVICES)))


def piece(number, shift=0):
    name = f"service-{number}"
    return {
        "metadata": {"name": name, "labels": {"kubernetes.io/service-name": name}},
        "addressType": "IPv4",
        "ports": [{"name": "", "port": 8080, "protocol": "TCP"}],
        "endpoints": [
            {"addresses": [f"10.199.{3 + shift}.{2 + end}"], "conditions": {"ready": True}} for end in range(ENDPOINTS)
        ],
    }


def changes(client, kernel):
    """One slice at a time. A watch of our own beside the proxy's gets each event at the same moment."""
    version = client.list(kinds.ENDPOINT_SLICES, "default")["metadata"]["resourceVersion"]
    watch = client.watch(kinds.ENDPOINT_SLICES, "default", resource_version=version)
    from_event, from_write = [], []
    with watch, concurrent.futures.ThreadPoolExecutor(2) as pool:
        for number in range(CHANGES):
            name = f"service-{number * (SERVICES // CHANGES)}"
            kernel.drain()
            told, seen = pool.submit(kernel.next), pool.submit(lambda: (next(watch), time.perf_counter())[1])
            sent = time.perf_counter()
            client.patch(kinds.ENDPOINT_SLICES, name, {"endpoints": piece(0, shift=1)["endpoints"]}, "default")
            in_kernel, event = told.result(10), seen.result(10)
            from_event.append((in_kernel - event) * 1000)
            from_write.append((in_kernel - sent) * 1000)
    for what, took in (("watch event", from_event), ("PATCH sent", from_write)):
        row(
            f"{what} to the change in the kernel, p50, p99",
            f"{spread(took)} ms",
            "goal 10 ms" if took is from_event else "",
        )


class Generations:
    """The kernel's notices that a namespace has a new nftables generation."""

    GROUP, NEW_GENERATION = 7, (10 << 8) | 15

    def __init__(self, run_in):
        self._socket = run_in(lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12))
        self._socket.setsockopt(socket.SOL_SOCKET, 33, 1 << 25)  # SO_RCVBUFFORCE
        self._socket.bind((0, 0))
        self._socket.setsockopt(270, 1, self.GROUP)  # SOL_NETLINK, NETLINK_ADD_MEMBERSHIP
        self._socket.settimeout(10)

    def next(self):
        """When the next one came."""
        while True:
            data = self._socket.recv(1 << 16)
            now = time.perf_counter()
            while len(data) >= 16:
                length, kind = struct.unpack_from("=IH", data)
                if kind == self.NEW_GENERATION:
                    return now
                data = data[(length + 3) & ~3 :]

    def drain(self):
        self._socket.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while self._socket.recv(1 << 20):
                pass
        self._socket.settimeout(10)

    def close(self):
        self._socket.close()


# -- first packets ---------------------------------------------------------------------------------------------


def first_packets(name, backend_class, count):
    """Two nodes, one with few Services and one with many, in alternating turns."""
    with contextlib.ExitStack() as stack:
        few, many = (World(stack, backend_class, number) for number in (FEW, count))
        turns = [
            (world, what, world.connect([world.target] * BATCH if what == "direct" else world.addresses(BATCH)))
            for _ in range(TURNS)
            for world in (few, many)
            for what in ("direct", "service")
        ]
    p99 = {}
    for world in (few, many):
        for what in ("direct", "service"):
            taken = [took for its, kind, took in turns if its is world and kind == what]
            # The machine's own hiccups fall into some turns: the median of the turns' figures leaves them out.
            p50 = statistics.median(percentile(took, 50) for took in taken) * 1000
            p99[world, what] = statistics.median(percentile(took, 99) for took in taken) * 1000
            row(
                f"{name}: connect, {what}, {world.count} Services, p50, p99",
                f"{p50:.1f}, {p99[world, what]:.1f} µs",
                "",
            )
    ratio = p99[many, "service"] / p99[few, "service"]
    row(
        f"{name}: first packet p99, {count} over {FEW} Services",
        f"{ratio:.2f}",
        "goal 1.2" if name == "nftables" else "",
    )


class World:
    """A node with two pods and ``count`` Services that lead from the one to the other."""

    def __init__(self, stack, backend_class, count):
        self.count = count
        self.target = ("10.199.3.3", 8080)
        self.made, _ = stack.enter_context(netns.node())
        client, server = stack.enter_context(netns.hold()), stack.enter_context(netns.hold())
        self.made.attach(client, "10.199.3.2", "client")
        self.made.attach(server, self.target[0], "server")
        self._client = client
        self._listener = self.made.run_in_pod(server, lambda: socket.create_server(("0.0.0.0", 8080), backlog=4096))
        backend = stack.enter_context(contextlib.closing(backend_class(self.made.run_in_node, NODE)))
        for number in range(count):
            address = frontend(number).address
            targets = (self.target,) * ENDPOINTS
            backend.replace(f"bench/{number}", [services.Frontend("cluster", "tcp", address, 80, targets, targets)])
        backend.sync(whole=True)

    def addresses(self, number):
        step = max(self.count // number, 1)
        return [(frontend(place * step % self.count).address, 80) for place in range(number)]

    def connect(self, addresses):
        """Milliseconds each connection took."""

        def all_of_them():
            took, opened = [], []
            for address in addresses:
                sock = socket.socket()
                began = time.perf_counter()
                sock.connect(address)
                took.append((time.perf_counter() - began) * 1000)
                opened.append(sock)
            for sock in opened:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                sock.close()
            return took

        took = self.made.run_in_pod(self._client, all_of_them)
        for _ in addresses:
            self._listener.accept()[0].close()
        return took


def spread(took, factor=1):
    return f"{statistics.median(took) * factor:.1f}, {percentile(took, 99) * factor:.1f}"


def percentile(took, number):
    return sorted(took)[min(len(took) * number // 100, len(took) - 1)]


def row(what, figure, against):
    print(f"{what:<66}{figure:<24}{against}", flush=True)


if __name__ == "__main__":
    sys.exit(main())

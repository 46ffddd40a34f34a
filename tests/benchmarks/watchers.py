"""Many watchers of one busy type: how long from the beginning of an update until each has its event.

``WATCHERS`` TLS connections watch the config maps of a namespace while one client changes them ``RATE`` times a second;
each change carries the clock's time. The load must not take the core that the server needs, so only ``SAMPLED``
connections are really read; the bytes of the others are thrown away by the kernel, undeciphered, a few times a second.
"""

import http.client
import multiprocessing
import pathlib
import re
import select
import socket
import ssl
import statistics
import tempfile
import time

from kubeshim import pki
from kubeshim.client import kinds, kubeconfig, rest
from tests.benchmarks import api_server

WATCHERS, SAMPLED = 1000, 40
RATE, SECONDS, WARM_UP = 100, 10, 2
OBJECTS = 20
ACCEPT = {"JSON": "application/json", "protobuf": "application/vnd.kubernetes.protobuf;stream=watch"}
_TIME = re.compile(rb"at-(\d+)-")
_DRAIN_EVERY = 0.2
_NOWHERE = bytearray(1 << 20)
_MAPS = "/api/v1/namespaces/default/configmaps"


def main():
    with tempfile.TemporaryDirectory() as directory:
        measure(pathlib.Path(directory))


def measure(directory):
    port = api_server.free_port()
    files = pki.create_all(directory / "pki", server=f"https://127.0.0.1:{port}")
    context = multiprocessing.get_context("spawn")
    server = context.Process(target=api_server.serve, args=(directory, port), daemon=True)
    server.start()
    try:
        client = rest.Client(kubeconfig.load(str(files.kubeconfig("admin"))))
        api_server.wait(lambda: client.raw("GET", "/readyz"))
        token = api_server.prepare(client)
        for number in range(OBJECTS):
            client.create(kinds.CONFIG_MAPS, {"metadata": {"name": f"m{number}"}, "data": {"at": "0"}}, "default")
        for name, accept in ACCEPT.items():
            show(name, *run(context, client, port, token, accept), server)
    finally:
        server.terminate()
        server.join(10)


def run(context, client, port, token, accept):
    version = client.list(kinds.CONFIG_MAPS, "default")["metadata"]["resourceVersion"]
    path = f"{_MAPS}?watch=1&resourceVersion={version}&timeoutSeconds=600"
    ready, end = context.Event(), context.Event()
    results = context.Queue()
    reader = context.Process(target=read, args=(port, token, path, accept, ready, end, results), daemon=True)
    reader.start()
    assert ready.wait(120)
    late = change(port, token)
    time.sleep(2)
    end.set()
    found, size = results.get(timeout=30)
    reader.join(10)
    return found, size, late


def show(name, found, size, late, server):
    expected = SAMPLED * RATE * SECONDS
    cuts = statistics.quantiles(found, n=100)
    lost = f", {expected - len(found)} not seen" if len(found) < expected else ""
    print(
        f"{WATCHERS} watchers of {RATE} updates/s, {name:8} p50 {cuts[49] * 1e3:6.0f} ms   p99 {cuts[98] * 1e3:6.0f} ms"
        f"   worst {max(found) * 1e3:6.0f} ms   ({size:,} bytes an event{lost}, updates {late:.1f} s late)"
    )


def change(port, token):
    """Changes an object ``RATE`` times a second; how late the last change was."""
    connection = http.client.HTTPSConnection("127.0.0.1", port, context=ssl._create_unverified_context())
    headers = {
        "Authorization": f"Bearer {token}", "Content-Type": "application/merge-patch+json", "User-Agent": "bench",
    }  # fmt: skip
    start = time.monotonic()
    for number in range(RATE * (SECONDS + WARM_UP)):
        due = start + number / RATE
        time.sleep(max(0.0, due - time.monotonic()))
        mark = "at" if number >= RATE * WARM_UP else "warm"
        body = f'{{"data":{{"at":"{mark}-{time.monotonic_ns()}-"}}}}'
        connection.request("PATCH", f"{_MAPS}/m{number % OBJECTS}", body, headers)
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 200, answer.status
    return time.monotonic() - due


def read(port, token, path, accept, ready, end, results):
    """In a process of its own: opens the watches, and collects the sampled ones' delays."""
    context = ssl._create_unverified_context()
    headers = f"Host: x\r\nAuthorization: Bearer {token}\r\nAccept: {accept}\r\nUser-Agent: bench"
    ask = f"GET {path} HTTP/1.1\r\n{headers}\r\n\r\n"
    sampled, others = {}, []
    for number in range(WATCHERS):
        sock = context.wrap_socket(socket.create_connection(("127.0.0.1", port)))
        sock.sendall(ask.encode())
        head = sock.recv(65536)
        assert head.startswith(b"HTTP/1.1 200"), head
        if number % (WATCHERS // SAMPLED) == 0:
            sock.setblocking(False)
            sampled[sock.fileno()] = (sock, bytearray())
        else:
            others.append(socket.socket(fileno=sock.detach()))
    ready.set()
    poll = select.epoll()
    for descriptor in sampled:
        poll.register(descriptor, select.EPOLLIN)
    delays, total, drained = [], 0, time.monotonic()
    while not end.is_set():
        for descriptor, _ in poll.poll(0.05):
            sock, rest_of = sampled[descriptor]
            total += take(sock, rest_of, delays)
        if time.monotonic() - drained > _DRAIN_EVERY:
            for sock in others:
                drain(sock)
            drained = time.monotonic()
    results.put((delays, total // max(1, SAMPLED * RATE * (SECONDS + WARM_UP))))


def take(sock, rest_of, delays):
    size = 0
    while True:
        try:
            data = sock.recv(262144)
        except ssl.SSLWantReadError:
            return size
        if not data:
            raise SystemExit("a watch has ended")
        size += len(data)
        now = time.monotonic_ns()
        rest_of += data
        last = 0
        for match in _TIME.finditer(rest_of):
            delays.append((now - int(match[1])) / 1e9)
            last = match.end()
        del rest_of[: max(last, len(rest_of) - 64)]


def drain(sock):
    """The kernel throws away what has arrived."""
    try:
        while sock.recv_into(_NOWHERE, 0, socket.MSG_TRUNC | socket.MSG_DONTWAIT):
            pass
    except BlockingIOError:
        pass

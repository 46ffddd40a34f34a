"""Cluster DNS at 1,000 questions a second over loopback, beside a bare UDP echo in the same run.

The server runs in a process of its own over 5,000 Services with three endpoints each; questions are a mix of what
pods ask: Services' addresses (with the misses that a search list makes), headless ones, SRV and reverse names.
"""

import multiprocessing
import select
import socket
import statistics
import struct
import threading
import time

RATE, SECONDS = 1000, 5
SERVICES, ENDPOINTS = 5000, 3
A, PTR, SRV = 1, 12, 33


def main():
    ready = multiprocessing.get_context("spawn").Queue()
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(ready,), daemon=True)
    process.start()
    try:
        server, echo = ready.get(timeout=60)
        for _ in range(2):  # the first turn warms both up
            floor = ask(echo)
            took = ask(server)
    finally:
        process.terminate()
        process.join(10)
    for what, figures, goal in (("bare UDP echo", floor, ""), ("DNS", took, "goal 2 ms, 10 ms")):
        p50, p99 = statistics.median(figures), sorted(figures)[len(figures) * 99 // 100]
        lost = RATE * SECONDS - len(figures)
        print(f"{f'{what} at {RATE}/s, p50, p99, lost':<48}{f'{p50:.2f}, {p99:.2f} ms, {lost}':<28}{goal}", flush=True)


def serve(ready):
    from kubeshim.addons.dns import server
    from tests import fake_api

    api = fake_api.FakeApi()
    for number in range(SERVICES):
        service, piece = objects(number)
        api.collections["v1", "services"]["ns", service["metadata"]["name"]] = service
        api.collections["discovery.k8s.io/v1", "endpointslices"]["ns", piece["metadata"]["name"]] = piece
    api.collections["v1", "namespaces"]["", "ns"] = {"metadata": {"name": "ns", "resourceVersion": "1"}}
    sockets = [udp(), udp()]
    made = server.DnsServer(api.client(), sockets[:1])
    made.start()
    made.wait_for_sync(30)
    ready.put([sock.getsockname()[1] for sock in sockets])
    while True:
        data, asker = sockets[1].recvfrom(65535)
        sockets[1].sendto(data, asker)


def udp():
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    return sock


def objects(number):
    name = f"service-{number}"
    headless = number % 5 == 0
    meta = {"namespace": "ns", "resourceVersion": "1"}
    spec = {"clusterIP": "None" if headless else address(96, number), "ports": [{"name": "http", "port": 80}]}
    piece = {
        "metadata": {**meta, "name": f"{name}-x", "labels": {"kubernetes.io/service-name": name}},
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
        "endpoints": [
            {"addresses": [address(244, number * ENDPOINTS + end)], "conditions": {"ready": True}}
            for end in range(ENDPOINTS)
        ],
    }
    return {"metadata": {**meta, "name": name}, "spec": spec}, piece


def address(second, number):
    return f"10.{second}.{number // 250}.{1 + number % 250}"


def question(number):
    """One of a mix: an address, a search list's miss, an SRV record, a reverse name."""
    place = number * 7919 % SERVICES
    names = (
        (f"service-{place}.ns.svc.cluster.local", A),
        (f"service-{place}.ns.svc.cluster.local.svc.cluster.local", A),
        (f"_http._tcp.service-{place}.ns.svc.cluster.local", SRV),
        (".".join(reversed(address(244, place).split("."))) + ".in-addr.arpa", PTR),
    )
    name, kind = names[number % len(names)]
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split(".")) + b"\0"
    return struct.pack("!HHHHHH", number & 0xFFFF, 0x0100, 1, 0, 0, 0) + labels + struct.pack("!HH", kind, 1)


def ask(port):
    """Milliseconds from each question to its answer, asked at an even pace whether or not answers come."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.connect(("127.0.0.1", port))
    sock.setblocking(False)
    count = RATE * SECONDS
    questions = [question(number) for number in range(count)]
    sent, took = [0.0] * count, []

    def receive():
        poll = select.poll()
        poll.register(sock, select.POLLIN)
        while len(took) < count and poll.poll(1000):
            number = int.from_bytes(sock.recv(65535)[:2])
            took.append((time.perf_counter() - sent[number]) * 1000)

    with sock:
        thread = threading.Thread(target=receive)
        thread.start()
        began = time.perf_counter()
        for number, data in enumerate(questions):
            wait = began + number / RATE - time.perf_counter()
            if wait > 0:
                time.sleep(wait)
            sent[number] = time.perf_counter()
            sock.send(data)
        thread.join()
    return took


if __name__ == "__main__":
    main()

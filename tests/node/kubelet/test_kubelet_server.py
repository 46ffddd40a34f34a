"""The kubelet's API over real sockets: logs, exec, attach and port-forward by both transports, and who may."""

import base64
import json
import os
import queue
import socket
import threading
import types

import pytest
import urllib3
import websocket as websocket_client

from kubeshim.machinery import errors
from kubeshim.node.container_runtime import runtime
from kubeshim.node.kubelet import server, server_auth, server_logs, server_machine
from kubeshim.wire import duplex, spdy_session
from tests import fake_api, ports

POD = {
    "metadata": {"name": "p", "namespace": "ns", "uid": "u1"},
    "spec": {"containers": [{"name": "c"}, {"name": "waiting"}]},
    "status": {"containerStatuses": [{"name": "c", "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}}}]},
}


class Pods:
    def pods(self):
        return [POD]

    running_pods = pods

    def container_id(self, namespace, pod, container, previous=False):
        if container != "c":
            raise LookupError(f'container "{container}" in pod "{pod}" is waiting to start: ContainerCreating')
        return "id"

    def sandbox_pid(self, namespace, pod):
        return os.getpid()


class Echo:
    """A process that repeats its input in capitals, tells its sizes, and ends with the input."""

    def __init__(self, options, code=0):
        self.options, self.code = options, code
        self.output = queue.SimpleQueue()
        if not options["stdin"]:
            self.close_stdin()

    def read(self):
        yield "stdout", b"hello\n"
        yield "stderr", b"careful\n"
        while (item := self.output.get()) is not None:
            yield item

    def write(self, data):
        self.output.put(("stdout", data.upper()))

    def close_stdin(self):
        self.output.put(None)

    def resize(self, width, height):
        self.output.put(("stdout", f"<{width}x{height}>".encode()))

    def exit_code(self):
        return self.code

    close = close_stdin


class Runtime:
    def container(self, identity):
        return None

    def info(self):
        return runtime.Info("fake", "1", "1", "cgroupfs", 1, "/nowhere", {})

    def stats(self, identity):
        return runtime.Stats(5_000_000_000, 300, 200, 100, 1_700_000_000.0)

    def logs(self, identity, options):
        yield "stdout", b"one\n"
        yield "stderr", b"two\n"
        while options.follow and not options.stop():
            threading.Event().wait(0.01)
        self.stopped = True

    def exec(self, identity, command, **options):
        if command == ["missing"]:
            raise runtime.StartFailure("no such file", 127)
        return Echo(options, 3 if command == ["fail"] else 0)

    def attach(self, identity, **options):
        return Echo(options, None)

    def exec_sync(self, identity, command, timeout):
        return 0, " ".join(command).encode()


@pytest.fixture
def kubelet():
    listener = socket.create_server(("127.0.0.1", 0))
    made = types.SimpleNamespace(runtime=Runtime(), user=server_auth.User("admin"), asked=[])

    def authorize(user, verb, subresource):
        made.asked.append((user.name, verb, subresource))
        return user.name == "admin"

    running = server.KubeletServer(
        pods=Pods(), runtime=made.runtime, sockets=[listener], tls=None, node_name="n1",
        authenticate=lambda environ: made.user, authorize=authorize,
    )  # fmt: skip
    running.start()
    made.port = listener.getsockname()[1]
    with urllib3.PoolManager() as pool:
        made.get = lambda path: pool.request("GET", f"http://127.0.0.1:{made.port}{path}", retries=False)
        yield made
    running.stop()
    listener.close()


@pytest.mark.parametrize(
    ("path", "status", "text"),
    [
        ("/healthz", 200, "ok"),
        ("/containerLogs/ns/p/c", 200, "one\ntwo\n"),
        ("/containerLogs/ns/p/c?limitBytes=5", 200, "one\nt"),
        ("/containerLogs/ns/p/c?tailLines=-1", 422, '{"message": "Invalid request."}'),
        ("/containerLogs/ns/p/c?tailLines=x", 400, '{"message": "Unable to decode query."}'),
        ("/containerLogs/ns/q/c", 404, 'pod "q" does not exist'),
        ("/containerLogs/ns/p/d", 404, 'container "d" not found in pod "p"'),
        (
            "/containerLogs/ns/p/waiting",
            400,
            'container "waiting" in pod "p" is waiting to start: ContainerCreating',
        ),
        ("/exec/ns/p/c?command=x", 400, "you must specify at least 1 of stdin, stdout, stderr"),
        ("/exec/ns/p/d?command=x&output=1", 500, 'container not found ("d")'),
        ("/exec/ns/q/c?command=x&output=1", 404, "pod does not exist"),
        ("/exec/ns/p/c/other-uid?command=x&output=1", 404, "pod does not exist"),
        (
            "/exec/ns/p/c?command=x&output=1",
            400,
            "unable to upgrade: missing upgrade headers in request: connection: close",
        ),
        ("/logs/../etc/passwd", 400, "invalid URL path\n"),
        ("/logs/%2e%2e/%2e%2e/etc/passwd", 400, "invalid URL path\n"),
        ("/nothing", 404, "404 page not found\n"),
    ],
)
def test_answers(kubelet, path, status, text):
    connection = socket.create_connection(("127.0.0.1", kubelet.port))
    with connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        got = b"".join(iter(lambda: connection.recv(65536), b""))
    head, _, body = got.partition(b"\r\n\r\n")
    assert int(head.split()[1]) == status
    if b"chunked" in head:
        parts = body.split(b"\r\n")
        body = b"".join(parts[1::2])
    assert body.decode() == text


def test_lists_and_figures(kubelet):
    assert [pod["metadata"]["name"] for pod in kubelet.get("/pods").json()["items"]] == ["p"]
    assert kubelet.get("/configz").json() == {"kubeletconfig": {}}
    summary = kubelet.get("/stats/summary").json()
    assert summary["node"]["nodeName"] == "n1"
    assert summary["pods"][0]["containers"][0]["memory"]["workingSetBytes"] == 200
    assert summary["pods"][0]["memory"]["rssBytes"] == 100
    assert summary["node"]["fs"]["capacityBytes"] > 0 and summary["node"]["rlimit"]["curproc"] > 0
    text = kubelet.get("/metrics/cadvisor").data.decode()
    named = 'container="c",cpu="total",id="/podu1/",image="",name="",namespace="ns",pod="p"'
    assert f"container_cpu_usage_seconds_total{{{named}}} 5\n" in text
    text = kubelet.get("/metrics/resource").data.decode()
    assert 'pod_memory_working_set_bytes{namespace="ns",pod="p"} 200' in text
    assert 'container_cpu_usage_seconds_total{container="c",namespace="ns",pod="p"} 5\n' in text
    assert 'kubelet_running_containers{container_state="running"} 1' in kubelet.get("/metrics").data.decode()


def test_who_may(kubelet):
    kubelet.user = None
    assert (kubelet.get("/pods").status, kubelet.get("/pods").data) == (401, b"Unauthorized")
    kubelet.user = server_auth.User("eve")
    answer = kubelet.get("/pods")
    assert answer.status == 403
    assert answer.data == b"Forbidden (user=eve, verb=get, resource=nodes, subresource(s)=[pods proxy])\n"
    kubelet.asked.clear()
    kubelet.user = server_auth.User("admin")
    for path in ("/exec/ns/p/c", "/metrics/cadvisor", "/stats/summary", "/logs/", "/healthz"):
        kubelet.get(path)
    assert [name for _, _, name in kubelet.asked] == ["proxy", "metrics", "stats", "log", "healthz"]


def test_a_followed_log_ends_when_the_client_goes(kubelet):
    connection = socket.create_connection(("127.0.0.1", kubelet.port))
    connection.sendall(b"GET /containerLogs/ns/p/c?follow=true HTTP/1.1\r\nHost: x\r\n\r\n")
    got = b""
    while b"two" not in got:
        got += connection.recv(1000)
    connection.close()
    fake_api.eventually(lambda: getattr(kubelet.runtime, "stopped", False))


def connect(kubelet, path, protocol):
    return websocket_client.create_connection(
        f"ws://127.0.0.1:{kubelet.port}{path}", subprotocols=[protocol] if protocol else None, timeout=60
    )


def receive(client):
    """``{channel: data}`` until the server closes, and its close code."""
    found = {}
    while True:
        opcode, data = client.recv_data()
        if opcode == websocket_client.ABNF.OPCODE_CLOSE:
            client.shutdown()
            return found, int.from_bytes(data[:2])
        channel, data = data[0], data[1:]
        if opcode == websocket_client.ABNF.OPCODE_TEXT:
            channel, data = channel - ord("0"), base64.b64decode(data)
        found[channel] = found.get(channel, b"") + data


SUCCESS = {"metadata": {}, "status": "Success"}


def test_exec_over_websocket_version_5(kubelet):
    client = connect(kubelet, "/exec/ns/p/c?command=cat&input=1&output=1&error=1", "v5.channel.k8s.io")
    client.send_binary(b"\x00abc")
    client.ping(b"are you there")
    client.send_binary(b"\xff\x00")
    found, code = receive(client)
    assert (found[1], found[2], json.loads(found[3]), code) == (b"hello\nABC", b"careful\n", SUCCESS, 1000)


def test_exit_codes_and_failures(kubelet):
    found, _ = receive(connect(kubelet, "/exec/ns/p/c?command=fail&output=1", "v4.channel.k8s.io"))
    status = json.loads(found[3])
    assert status["reason"] == "NonZeroExitCode"
    assert status["details"] == {"causes": [{"reason": "ExitCode", "message": "3"}]}
    assert 2 not in found, "standard error was not asked for"
    found, _ = receive(connect(kubelet, "/exec/ns/p/c?command=missing&output=1", "v4.channel.k8s.io"))
    assert json.loads(found[3])["message"] == (
        "Internal error occurred: error executing command in container: no such file"
    )
    found, _ = receive(connect(kubelet, "/exec/ns/p/c?command=fail&output=1", "channel.k8s.io"))
    assert found[3].startswith(b"command terminated with non-zero exit code")


def test_exec_with_a_terminal_in_base64(kubelet):
    path = "/exec/ns/p/c?command=cat&input=1&output=1&error=1&tty=1"
    client = connect(kubelet, path, "v4.base64.channel.k8s.io")
    client.send(b"4" + base64.b64encode(b'{"Width":80,"Height":24}'))
    client.send(b"0" + base64.b64encode(b"x"))
    got = b""
    while b"X" not in got:
        _, data = client.recv_data()
        if data[:1] == b"1":
            got += base64.b64decode(data[1:])
    client.close()
    assert got == b"hello\n<80x24>X"


def test_attach(kubelet):
    client = connect(kubelet, "/attach/ns/p/c?input=1&output=1", "v5.channel.k8s.io")
    client.send_binary(b"\x00abc")
    client.send_binary(b"\xff\x00")
    found, _ = receive(client)
    assert (found[1], json.loads(found[3])) == (b"hello\nABC", SUCCESS)


def test_unknown_protocols_are_refused(kubelet):
    with pytest.raises(websocket_client.WebSocketBadStatusException, match="403"):
        connect(kubelet, "/exec/ns/p/c?command=cat&output=1", "v9.channel.k8s.io")


def spdy(kubelet, path, *protocols):
    """A session and the head of the answer."""
    connection = socket.create_connection(("127.0.0.1", kubelet.port))
    versions = "".join(f"X-Stream-Protocol-Version: {protocol}\r\n" for protocol in protocols)
    connection.sendall(
        f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: Upgrade\r\n"
        f"Upgrade: SPDY/3.1\r\n{versions}\r\n".encode()
    )
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += connection.recv(1)
    return start(duplex.Duplex(connection)), head.decode()


def start(link):
    session = spdy_session.Session(link, client=True)
    threading.Thread(target=session.run, daemon=True).start()
    return session


def read_all(stream):
    return b"".join(iter(stream.read, b""))


@pytest.mark.parametrize("version", ["v4.channel.k8s.io", "v3.channel.k8s.io", ""])
def test_exec_over_spdy(kubelet, version):
    path = "/exec/ns/p/c?command=fail&input=1&output=1&error=1"
    session, head = spdy(kubelet, path, *(["v9.channel.k8s.io", version] if version else []))
    assert head.startswith("HTTP/1.1 101")
    assert (f"X-Stream-Protocol-Version: {version}" in head) is bool(version)
    error, stdin, stdout, stderr = (
        session.open({"streamType": kind}) for kind in ("error", "stdin", "stdout", "stderr")
    )
    error.close()
    stdin.write(b"abc" * 50_000)
    stdin.close()
    assert read_all(stdout) == b"hello\n" + b"ABC" * 50_000
    assert read_all(stderr) == b"careful\n"
    status = read_all(error)
    if version.startswith("v4"):
        assert json.loads(status)["details"]["causes"][0]["message"] == "3"
    else:
        assert status.startswith(b"command terminated with non-zero exit code")
    session.finish()


def test_a_terminal_over_spdy(kubelet):
    path = "/exec/ns/p/c?command=cat&input=1&output=1&tty=1"
    session, _ = spdy(kubelet, path, "v4.channel.k8s.io")
    error, stdin, stdout, resize = (
        session.open({"streamType": kind}) for kind in ("error", "stdin", "stdout", "resize")
    )
    resize.write(b'{"Width":80,"Height":24}{"Width":81,"Height":25}\n')
    got = b""
    while b"81" not in got:
        got += stdout.read()
    stdin.close()
    assert json.loads(read_all(error)) == SUCCESS
    assert got == b"hello\ncareful\n<80x24><81x25>" or got.startswith(b"hello\n<80x24>")
    session.finish()


@pytest.fixture
def upper():
    """A TCP server that answers each connection's whole input in capitals."""
    listener = socket.create_server(("127.0.0.1", 0))

    def answer(connection):
        with connection:
            data = b"".join(iter(lambda: connection.recv(65536), b""))
            connection.sendall(data.upper())

    def loop():
        while True:
            try:
                answer(listener.accept()[0])
            except OSError:
                return

    threading.Thread(target=loop, daemon=True).start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


class ClientTunnel:
    """SPDY inside a WebSocket, from the client's side."""

    def __init__(self, client):
        self.client = client

    def recv(self):
        try:
            opcode, data = self.client.recv_data()
        except (websocket_client.WebSocketException, OSError):
            return b""
        return b"" if opcode == websocket_client.ABNF.OPCODE_CLOSE else data

    def sendall(self, data):
        self.client.send_binary(data)

    def finish(self):
        self.client.close()

    close = finish


@pytest.mark.root
@pytest.mark.parametrize("tunnelled", [False, True])
def test_port_forward(kubelet, upper, tunnelled):
    if tunnelled:
        client = connect(kubelet, "/portForward/ns/p", "SPDY/3.1+portforward.k8s.io")
        client.settimeout(None)
        session = start(ClientTunnel(client))
    else:
        session, head = spdy(kubelet, "/portForward/ns/p", "portforward.k8s.io")
        assert "X-Stream-Protocol-Version: portforward.k8s.io" in head
    for request in range(3):
        names = {"port": str(upper), "requestID": str(request)}
        error, data = (session.open({"streamType": kind, **names}) for kind in ("error", "data"))
        error.close()
        data.write(b"abc" * 40_000)
        data.close()
        assert read_all(data) == b"ABC" * 40_000
        assert read_all(error) == b""
    with ports.closed() as closed:
        names = {"port": str(closed), "requestID": "9"}
        error, data = (session.open({"streamType": kind, **names}) for kind in ("error", "data"))
        text = read_all(error).decode()
    assert text.startswith(
        f"error forwarding port {closed} to pod p_ns, uid u1: failed to connect to localhost:{closed}"
    )
    assert "connection refused" in text
    session.finish()


@pytest.mark.root
def test_a_forwarded_connection_ends_with_the_pods_side(kubelet):
    """kubectl 1.20 closes its half only after both streams have ended."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        session, _ = spdy(kubelet, "/portForward/ns/p", "portforward.k8s.io")
        names = {"port": str(listener.getsockname()[1]), "requestID": "1"}
        error, data = (session.open({"streamType": kind, **names}) for kind in ("error", "data"))
        error.close()
        pods_side, _ = listener.accept()
        with pods_side:
            pods_side.sendall(b"all there is")
        assert read_all(data) == b"all there is"
        assert read_all(error) == b""
    session.finish()


@pytest.mark.root
def test_port_forward_by_channels(kubelet, upper):
    client = connect(kubelet, f"/portForward/ns/p?port={upper}", "v4.channel.k8s.io")
    port = upper.to_bytes(2, "little")
    assert [client.recv(), client.recv()] == [b"\x00" + port, b"\x01" + port]
    client.send_binary(b"\x00abc")
    client.close()


def test_log_options():
    assert server_logs.parse({"tail": "all", "tailLines": "3"}).tail_lines is None
    assert server_logs.parse({"tail": "2"}).tail_lines == 2
    parsed = server_logs.parse({"sinceTime": "2026-01-01T00:00:00Z", "stream": "Stderr", "timestamps": "true"})
    assert (parsed.since, parsed.stream, parsed.timestamps) == (1767225600.0, "Stderr", True)
    for query in ({"sinceSeconds": "0"}, {"sinceSeconds": "1", "sinceTime": "2026-01-01T00:00:00Z"}, {"stream": "x"}):
        with pytest.raises(server_logs.BadOptions, match="Invalid request"):
            server_logs.parse(query)


def test_answers_about_rights_are_remembered():
    class Client:
        answer, asked = True, 0

        def create(self, gvr, obj):
            self.asked += 1
            if self.answer is None:
                raise errors.ServiceUnavailable("down")
            return {**obj, "status": {"allowed": self.answer}}

    from kubeshim import clock

    client, time = Client(), clock.FakeClock()
    authorizer = server_auth.Authorizer(client, "n1", time)
    user = server_auth.User("a", ("g",))
    assert authorizer(user, "get", "proxy") and authorizer(user, "get", "proxy")
    assert client.asked == 1
    time.step(server_auth.ALLOWED_SECONDS + 1)
    client.answer = None
    assert authorizer(user, "get", "proxy"), "an old answer serves while the API server is away"
    with pytest.raises(errors.ServiceUnavailable):
        authorizer(user, "get", "stats")
    client.answer = False
    assert not authorizer(user, "get", "proxy")


def test_counters_of_a_network():
    heads = "Inter-|   Receive\n face |bytes\n"
    lines = "    lo: 1 1 0 0 0 0 0 0 1 1 0 0 0 0 0 0\n  eth0: 10 2 3 0 0 0 0 0 40 5 6 0 0 0 0 0\n"
    [found] = server_machine.parse_interfaces(heads + lines)
    assert found == server_machine.Interface("eth0", 10, 3, 40, 6, 2, 0, 5, 0)
    told = server_machine.network([found], "now")
    assert told["rxBytes"] == 10 and told["interfaces"][0]["txErrors"] == 6

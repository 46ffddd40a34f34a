"""Actions of probes and hooks against real sockets."""

import contextlib
import http.server
import socket
import struct
import threading

import pytest

from kubeshim.node.kubelet import handlers
from tests import ports


class Pages(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        answers = {"/ok": (200, None), "/no": (500, None), "/away": (302, "http://other.invalid/"), "/to": (302, "/no")}
        code, location = answers[self.path]
        self.send_response(code)
        if location:
            self.send_header("Location", location)
        body = self.headers.get("X-Say", "page").encode()
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def serve(talk):
    """A listener whose first connection is given to ``talk``; its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept():
            connection, _ = listener.accept()
            with connection:
                talk(connection)

        thread = threading.Thread(target=accept)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(60)


@pytest.fixture
def pages():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()
    thread.join()


def run(action, timeout=2.0, ports=()):
    container = {"name": "c", "ports": list(ports)}
    target = handlers.Target({"metadata": {"name": "p"}}, container, "id", "127.0.0.1")
    made = handlers.Handlers(None, lambda family: socket.socket(family, socket.SOCK_STREAM))
    return made.run(action, target, timeout)


def test_http(pages):
    named = [{"name": "web", "containerPort": pages}]
    header = [{"name": "x-say", "value": "hello"}]
    assert run({"httpGet": {"port": "web", "path": "ok", "httpHeaders": header}}, ports=named) == "hello"
    assert run({"httpGet": {"port": pages, "path": "/away"}}).startswith("Probe terminated redirects")
    for path in ("/no", "/to"):
        with pytest.raises(handlers.Failure, match=r"^HTTP probe failed with statuscode: 500$"):
            run({"httpGet": {"port": pages, "path": path}})
    with pytest.raises(handlers.Failure, match=r'^strconv\.Atoi: parsing "none": invalid syntax$'):
        run({"httpGet": {"port": "none"}})


def test_refused_and_silent_ports_are_worded_as_go_does(pages):
    with ports.closed() as port:
        with pytest.raises(handlers.Failure) as caught:
            run({"httpGet": {"port": port, "path": "/x"}})
        assert str(caught.value) == (
            f'Get "http://127.0.0.1:{port}/x": dial tcp 127.0.0.1:{port}: connect: connection refused'
        )
        with pytest.raises(handlers.Failure, match=r"^dial tcp 127.0.0.1:[0-9]+: connect: connection refused$"):
            run({"tcpSocket": {"port": port}})
    assert run({"tcpSocket": {"port": pages}}) == ""
    with serve(lambda connection: connection.recv(1000) and connection.recv(1)) as silent:  # noqa: SIM117
        with pytest.raises(handlers.Failure, match=r"Client.Timeout exceeded while awaiting headers"):
            run({"httpGet": {"port": silent, "path": "/"}}, timeout=0.1)


def frame(kind, flags, stream, payload):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


@pytest.mark.parametrize(("message", "fails"), [(b"\x08\x01", ""), (b"\x08\x02", 'responded with "NOT_SERVING"')])
def test_grpc_health(message, fails):
    def talk(connection):
        connection.recv(65536)
        answer = frame(4, 0, 0, b"") + frame(1, 4, 1, b"\x88")
        connection.sendall(answer + frame(0, 0, 1, b"\x00" + struct.pack(">I", len(message)) + message))

    with serve(talk) as port:
        if fails:
            with pytest.raises(handlers.Failure, match=fails):
                run({"grpc": {"port": port}})
        else:
            assert run({"grpc": {"port": port}}) == ""


def test_what_does_not_speak_grpc_is_unhealthy(pages):
    with pytest.raises(handlers.Failure, match="health rpc probe failed"):
        run({"grpc": {"port": pages}})

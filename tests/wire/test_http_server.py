"""The HTTP server over real sockets, on both transports."""

import contextlib
import random
import socket
import ssl
import threading

import pytest

from kubeshim import pki
from kubeshim.wire import http_server, transport


class Served:
    """A server running ``application`` and a way to talk to it."""

    def __init__(self, kind, application, **options):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.stopped = threading.Event()
        self.ready = threading.Event()
        self.grace = 0.2
        self.thread = threading.Thread(target=self._run, args=(kind, application, options), daemon=True)
        self.thread.start()
        assert self.ready.wait(60)

    def _run(self, kind, application, options):
        chosen = transport.GeventTransport() if kind == "gevent" else transport.ThreadTransport()
        self.server = http_server.Server(application, [self.listener], transport=chosen, **options)
        self.server.start()
        self.ready.set()
        while not self.stopped.is_set():
            chosen.sleep(0.005)
        self.server.stop(self.grace)
        chosen.sleep(0.01)

    def connect(self):
        return contextlib.closing(socket.create_connection(("127.0.0.1", self.port), timeout=60))

    def close(self):
        self.stopped.set()
        self.thread.join(60)
        self.listener.close()


@pytest.fixture(params=["gevent", "threads"])
def serve(request):
    made = []

    def make(application, **options):
        made.append(Served(request.param, application, **options))
        return made[-1]

    yield make
    for served in made:
        served.close()


def echo(environ, start_response):
    body = environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"%s %s %s" % (environ["REQUEST_METHOD"].encode(), environ["PATH_INFO"].encode("latin-1"), body)]


def ask(served, data, *, until=None):
    """Sends ``data``; what came until the server closed or ``until`` was seen."""
    with served.connect() as sock:
        sock.sendall(data)
        return receive(sock, until)


def receive(sock, until=None):
    got = b""
    while until is None or until not in got:
        with contextlib.suppress(ConnectionResetError):
            chunk = sock.recv(65536)
            if chunk:
                got += chunk
                continue
        break
    return got


HOST = b"Host: x\r\n"


def test_connections_notice_that_their_peers_machine_is_gone(serve):
    """By the kernel's probes."""
    kept = []

    def note(environ, start_response):
        sock = environ["wire.connection"].socket
        kept.append([sock.getsockopt(level, option) for level, option, _ in transport.KEEPALIVE])
        start_response("200 OK", [("Content-Length", "0")])
        return [b""]

    ask(serve(note), b"GET / HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n")
    assert kept == [[value for _, _, value in transport.KEEPALIVE]]


def test_keep_alive_and_pipelining(serve):
    served = serve(echo)
    request = b"POST /a%2Fb HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\n\r\nabc"
    answer = ask(served, request + request.replace(b"abc", b"xyz"), until=b"xyz")
    assert answer.count(b"HTTP/1.1 200 OK\r\n") == 2
    assert b"POST /a/b abc" in answer
    assert answer.endswith(b"POST /a/b xyz")


def test_chunked_bodies_and_http_1_0(serve):
    served = serve(echo)
    chunked = b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"
    assert ask(served, chunked, until=b"abc").endswith(b"POST / abc")
    old = ask(served, b"GET / HTTP/1.0\r\n\r\n")
    assert b"Connection: close" in old
    assert old.endswith(b"GET / ")


def test_head_has_the_length_and_no_body(serve):
    answer = ask(serve(echo), b"HEAD /x HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n")
    assert b"Content-Length: 8\r\n" in answer
    assert answer.endswith(b"\r\n\r\n")


def test_continue_is_sent_by_the_first_read_only(serve):
    def picky(environ, start_response):
        if environ["PATH_INFO"] == "/no":
            start_response("403 Forbidden", [])
            return [b"no"]
        return echo(environ, start_response)

    served = serve(picky)
    head = b"POST %s HTTP/1.1\r\n" + HOST + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n"
    with served.connect() as sock:
        sock.sendall(head % b"/yes")
        assert receive(sock, b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(b"hi")
        assert receive(sock, b"hi").endswith(b"POST /yes hi")
    refused = ask(served, head % b"/no")
    assert refused.startswith(b"HTTP/1.1 403")
    assert b"100 Continue" not in refused


def test_streams_are_flushed_item_by_item(serve):
    step = threading.Semaphore(0)

    def streaming(environ, start_response):
        start_response("200 OK", [])
        wait = environ["wire.connection"].server.transport.sleep

        def items():
            yield b"one"
            while not step.acquire(blocking=False):
                wait(0.002)
            yield b"two"

        return items()

    with serve(streaming).connect() as sock:
        sock.sendall(b"GET / HTTP/1.1\r\n" + HOST + b"\r\n")
        assert b"Transfer-Encoding: chunked" in receive(sock, b"one\r\n")
        step.release()
        assert receive(sock, b"0\r\n\r\n") == b"3\r\ntwo\r\n0\r\n\r\n"
        sock.sendall(b"GET / HTTP/1.1\r\n" + HOST + b"\r\n")
        assert b"200 OK" in receive(sock, b"one\r\n")
        step.release()


def test_a_client_that_leaves_an_idle_stream_is_noticed(serve):
    noticed = threading.Event()

    def streaming(environ, start_response):
        start_response("200 OK", [])
        connection = environ["wire.connection"]
        connection.on_gone(noticed.set)

        def items():
            yield b"one"
            while not connection.gone:
                connection.server.transport.sleep(0.002)

        return items()

    with serve(streaming).connect() as sock:
        sock.sendall(b"GET / HTTP/1.1\r\n" + HOST + b"\r\n")
        receive(sock, b"one")
    assert noticed.wait(60)


def test_hijack_gives_the_socket_and_what_came_with_the_request(serve):
    def upgrade(environ, start_response):
        sock, buffered = environ["wire.connection"].hijack()
        sock.sendall(b"HTTP/1.1 101 Switching Protocols\r\n\r\n" + buffered)
        sock.sendall(sock.recv(10).upper())
        sock.close()
        return []

    request = b"POST / HTTP/1.1\r\n" + HOST + b"Connection: Upgrade\r\nUpgrade: SPDY/3.1\r\nContent-Length: 0\r\n\r\n"
    with serve(upgrade).connect() as sock:
        sock.sendall(request + b"early")
        assert receive(sock, b"early").endswith(b"\r\n\r\nearly")
        sock.sendall(b"later")
        assert receive(sock) == b"LATER"


def test_an_upgrade_nobody_grants_is_an_ordinary_request(serve):
    request = b"GET /%s HTTP/1.1\r\n" + HOST + b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
    answer = ask(serve(echo), request % b"1" + request % b"2", until=b"GET /2 ")
    assert b"GET /1 " in answer


SMALL = http_server.Limits(max_header_bytes=2000, max_body_bytes=100)
BRIEF = http_server.Limits(header_timeout=0.3, body_timeout=0.3, handshake_timeout=0.3)


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"nonsense\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\n\r\n", b"400"),
        (b"GET nopath HTTP/1.1\r\n" + HOST + b"\r\n", b"400"),
        (b"GET / HTTP/1.1\r\n" + HOST + b"X: " + b"y" * 3000 + b"\r\n\r\n", b"431"),
        (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 101\r\n\r\n", b"413"),
        (b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n80\r\n" + b"z" * 128, b"413"),
        (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef", b"400"),
        (b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", b"400"),
    ],
)
def test_what_is_not_served(serve, data, status):
    assert ask(serve(echo, limits=SMALL), data).startswith(b"HTTP/1.1 " + status)


@pytest.mark.parametrize("start", [b"GET / HT", b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\nx"])
def test_dripping_clients_are_cut_off(serve, start):
    assert ask(serve(echo, limits=BRIEF), start) == b""  # its own patience ends with an error


def test_random_bytes_never_break_the_server(serve):
    served = serve(echo, limits=SMALL)
    valid = b"POST /x?y=%20 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    seed = random.Random(7)
    for _ in range(150):
        data = bytearray(valid)
        for _ in range(seed.randrange(1, 6)):
            data[seed.randrange(len(data))] = seed.randrange(256)
        with served.connect() as sock:
            sock.sendall(bytes(data))
            sock.shutdown(socket.SHUT_WR)
            receive(sock)
    assert b"200 OK" in ask(served, b"GET / HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n")


def test_an_application_that_fails_answers_500(serve, caplog):
    def broken(environ, start_response):
        raise LookupError("broken")

    assert ask(serve(broken), b"GET / HTTP/1.1\r\n" + HOST + b"\r\n").startswith(b"HTTP/1.1 500")
    assert "LookupError" in caplog.text


def test_stopping_finishes_what_is_being_answered(serve):
    begun, go = threading.Event(), threading.Event()

    def slow(environ, start_response):
        begun.set()
        while not go.is_set():
            environ["wire.connection"].server.transport.sleep(0.002)
        start_response("200 OK", [])
        return [b"done"]

    served = serve(slow)
    served.grace = 60
    with served.connect() as sock, served.connect() as idle:
        sock.sendall(b"GET / HTTP/1.1\r\n" + HOST + b"\r\n")
        assert begun.wait(60)
        served.stopped.set()
        assert receive(idle) == b""
        go.set()
        assert receive(sock).endswith(b"done")


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    directory = tmp_path_factory.mktemp("pki")
    return pki.create_all(directory, server="https://127.0.0.1")


def tls_context(kind, files):
    chosen = transport.GeventTransport() if kind == "gevent" else transport.ThreadTransport()
    certificate, key = files.pair("apiserver")
    return transport.server_tls(chosen, str(certificate), str(key), client_ca=str(files.ca))


def test_client_certificates_are_seen(request, serve, certificates):
    def who(environ, start_response):
        der = environ["wire.connection"].peer_certificate()
        start_response("200 OK", [])
        return [str(len(der)).encode() if der else b"nobody"]

    served = serve(who, tls=tls_context(request.node.callspec.params["serve"], certificates))
    for pair, expected in ((None, b"nobody"), (certificates.pair("apiserver-kubelet-client"), None)):
        context = ssl.create_default_context(cafile=str(certificates.ca))
        if pair:
            context.load_cert_chain(*pair)
        with served.connect() as plain, context.wrap_socket(plain, server_hostname="127.0.0.1") as sock:
            sock.sendall(b"GET / HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n")
            body = receive(sock).rpartition(b"\r\n\r\n")[2]
            assert body == expected if expected else int(body) > 100


def test_a_handshake_that_stalls_is_cut_off(request, serve, certificates):
    served = serve(echo, tls=tls_context(request.node.callspec.params["serve"], certificates), limits=BRIEF)
    with served.connect() as sock:
        assert receive(sock) == b""


def test_looking_for_the_client_does_not_eat_the_rest_of_its_request(serve):
    def application(environ, start_response):
        environ["wire.connection"].on_gone(lambda: None)
        environ["wire.connection"].server.transport.sleep(0.05)
        return echo(environ, start_response)

    body = b"z" * 500_000
    with serve(application).connect() as sock:
        sock.sendall(b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 500000\r\n\r\n" + body[:100_000])
        sock.sendall(body[100_000:])
        assert body in receive(sock, body)

"""A real HAProxy on the files: which request goes where, and that a change loses none."""

import http.client
import http.server
import socket
import socketserver
import threading

import pytest

from kubeshim.addons.ingress import certificates, haproxy, process, routes
from kubeshim.cluster import ingress as add_on
from tests import fake_api
from tests.addons.ingress import objects as make

RULES = make.ingress(
    "a",
    make.rule(
        "foo.example",
        make.path("/", "root"),
        make.path("/foo", "foo"),
        make.path("/foo/bar/", "foobar"),
        make.path("/foo", "exact", "Exact"),
        make.path("/only/", "exact", "Exact"),
    ),
    make.rule("*.foo.example", make.path("/w", "foo")),
    make.rule("x.foo.example", make.path("/x", "root")),
)


@pytest.fixture(scope="module")
def servers():
    """Four web servers that say their names, and a function that makes a table of routes over them."""
    running, services, slices = [], [], []
    for name in ("root", "foo", "foobar", "exact"):

        class Handler(http.server.BaseHTTPRequestHandler):
            said = name.encode()

            def do_GET(self):
                self.send_response(200)
                forwarded = f"{self.headers['X-Forwarded-For']} {self.headers['X-Forwarded-Proto']}"
                self.send_header("X-Seen", forwarded)
                self.send_header("Content-Length", str(len(self.said)))
                self.end_headers()
                self.wfile.write(self.said)

            def log_message(self, *_):
                pass

        server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        running.append(server)
        services.append(make.service(name, {"name": "http", "port": 80}))
        slices.append(make.endpoint_slice(name, "http", server.server_address[1], "127.0.0.1"))
    yield lambda *ingresses: routes.build(ingresses, [make.ingress_class()], services, slices, [])
    for server in running:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def proxy(servers, tmp_path_factory):
    """An HAProxy for RULES: (port of HTTP, a function that changes its Ingresses, the process)."""
    with socket.create_server(("127.0.0.1", 0)) as plain, socket.create_server(("127.0.0.1", 0)) as tls:
        settings = haproxy.Settings((plain.fileno(),), (tls.fileno(),), certificates.self_signed())
        numbers = [plain.fileno(), tls.fileno()]
        running = process.Proxy(add_on.program(), tmp_path_factory.mktemp("haproxy"), numbers)

        def change(*ingresses):
            return running.take(haproxy.files(servers(*ingresses), settings))

        assert change(RULES)
        assert not change(RULES)
        yield plain.getsockname()[1], change, running
        running.stop()


def ask(port, host, path, headers=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("GET", path, headers={"Host": host, **(headers or {})})
        answer = connection.getresponse()
        return answer.status, answer.read().decode(), answer.headers
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("host", "path", "wanted"),
    [
        ("foo.example", "/", "root"),
        ("FOO.example:8080", "/", "root"),
        ("foo.example.", "/any/thing?foo", "root"),
        ("foo.example", "/foo", "exact"),
        ("foo.example", "/foo?x=/foo/bar", "exact"),
        ("foo.example", "/foo/", "foo"),
        ("foo.example", "/foo/ba", "foo"),
        ("foo.example", "/foobar", "root"),
        ("foo.example", "/FOO", "root"),
        ("foo.example", "/foo/bar", "foobar"),
        ("foo.example", "/foo/bar/baz", "foobar"),
        ("foo.example", "/foo/barbaz", "foo"),
        ("foo.example", "/only/", "exact"),
        ("foo.example", "/only", "root"),
        ("a.foo.example", "/w/1", "foo"),
        ("a.foo.example", "/v", None),
        ("a.b.foo.example", "/w", None),
        ("x.foo.example", "/x", "root"),
        ("x.foo.example", "/w", None),
        ("other.example", "/", None),
        ("foo.example/foo", "/bar", None),
    ],
)
def test_a_request_goes_to(proxy, host, path, wanted):
    port, _, _ = proxy
    status, body, _ = ask(port, host, path)
    assert (status, body) == ((200, wanted) if wanted else (404, "default backend - 404"))


def test_forwarding_headers_are_not_the_clients(proxy):
    port, _, _ = proxy
    _, _, headers = ask(port, "foo.example", "/", {"X-Forwarded-For": "6.6.6.6", "X-Forwarded-Proto": "https"})
    assert headers["X-Seen"] == "127.0.0.1 http"


def test_changes_lose_no_request(proxy):
    port, change, running = proxy
    statuses, done = [], threading.Event()

    def load():
        while not done.is_set():
            statuses.append(ask(port, "foo.example", "/foo/")[0])

    thread = threading.Thread(target=load)
    thread.start()
    try:
        for number in range(4):
            before = len(statuses)
            assert change(RULES, make.ingress("b", make.rule(f"n{number}.example", make.path("/", "root"))))
            # what the last change brought is served: the new worker has taken over
            fake_api.eventually(lambda number=number: ask(port, f"n{number}.example", "/")[0] == 200)
            fake_api.eventually(lambda before=before: len(statuses) > before)
    finally:
        done.set()
        thread.join()
        change(RULES)
    assert set(statuses) == {200}
    with pytest.raises(process.Refused, match="unknown keyword"):
        running.take({"haproxy.cfg": b"nonsense\n"})
    assert ask(port, "foo.example", "/")[0] == 200


def test_changes_right_after_the_start_and_each_other_are_taken(servers, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as plain, socket.create_server(("127.0.0.1", 0)) as tls:
        settings = haproxy.Settings((plain.fileno(),), (tls.fileno(),), certificates.self_signed())
        running = process.Proxy(add_on.program(), tmp_path, settings.http + settings.https)
        try:
            for number in range(4):
                added = make.ingress("b", make.rule(f"n{number}.example", make.path("/", "root")))
                assert running.take(haproxy.files(servers(added), settings))
                assert not running.ended
            fake_api.eventually(lambda: ask(plain.getsockname()[1], "n3.example", "/")[0] == 200)
        finally:
            running.stop()

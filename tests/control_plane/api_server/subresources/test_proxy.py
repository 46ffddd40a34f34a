"""The proxy subresource: where it leads, what it passes on, how it rewrites what comes back."""

import http.server
import threading

import pytest

from kubeshim.control_plane.api_server.subresources import outgoing, proxy_rewrite, proxy_targets


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("web", ("", "web", "")), ("web:80", ("", "web", "80")), ("https:web:443", ("https", "web", "443")),
        ("https:web:", ("https", "web", "")), ("ftp:web:1", None), (":80", None), ("a:b:c:d", None),
    ],
)  # fmt: skip
def test_names_with_scheme_and_port(text, parts):
    assert proxy_targets.split(text) == parts


@pytest.mark.parametrize(
    ("address", "answer"),
    [
        ("10.244.0.5", True),
        ("127.0.0.1", False),
        ("169.254.169.254", False),
        ("0.0.0.0", False),
        ("", False),
        ("::1", False),
    ],
)
def test_the_proxy_is_no_way_into_the_servers_own_machine(address, answer):
    assert proxy_targets.is_proxyable(address) is answer


def rewritten(text):
    return proxy_rewrite.url(text, source_host="10.0.0.1:80", source_path="/", prefix="/p")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("/a?b#c", "/p/a?b#c"),
        ("a/b", "a/b"),
        ("http://10.0.0.1:80/x", "/p/x"),
        ("http://10.0.0.1:80", "/p/"),
        ("https://example.org/x", "https://example.org/x"),
        ("/p/x", "/p/x"),
        ("mailto:a@b", "mailto:a@b"),
        ("//other/x", "//other/x"),
    ],
)
def test_urls_are_put_below_the_proxy(before, after):
    assert rewritten(before) == after


def test_only_urls_in_html_change():
    page = b"""<!doctype html><a class="/x" href="/a?b=1&amp;c=2">/a</a><img src='/i.png'>"""
    page += b"""<script>"/s"</script><A HREF=/u>"""
    expected = b"""<!doctype html><a class="/x" href="/p/a?b=1&amp;c=2">/a</a><img src="/p/i.png">"""
    assert proxy_rewrite.html(page, rewritten) == expected + b"""<script>"/s"</script><A HREF="/p/u">"""


class Backend(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def _answer(self):
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        if self.path == "/upgrade":
            self.send_response(101)
            self.send_header("Connection", "Upgrade")
            self.send_header("Upgrade", self.headers["Upgrade"])
            self.end_headers()
            self.wfile.write(b"hello from " + self.headers["X-Forwarded-Uri"].encode() + b"\n")
            while line := self.rfile.readline():
                self.wfile.write(line.upper())
            self.close_connection = True
            return
        if self.path == "/away":
            self.send_response(302)
            self.send_header("Location", "http://192.0.2.9/secret")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if self.path == "/go":
            self.send_response(302)
            self.send_header("Location", "/there")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        shown = [self.command, self.path, body.decode()[:20], str(len(body))]
        shown += [f"auth={self.headers.get('Authorization')}", f"uri={self.headers.get('X-Forwarded-Uri')}"]
        text = " ".join(shown)
        kind = "text/plain"
        if self.path == "/page":
            text, kind = '<a href="/next">', "text/html; charset=utf-8"
        self.send_response(201 if self.command == "POST" else 200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(text.encode())

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = _answer


@pytest.fixture
def backend(secure, shop, monkeypatch):
    """A Service with one ready endpoint, whose address is led to a server on loopback."""
    connect = outgoing.connect
    monkeypatch.setattr(outgoing, "connect", lambda host, *rest: connect("127.0.0.10", *rest))
    listening = http.server.ThreadingHTTPServer(("127.0.0.10", 0), Backend)
    listening.daemon_threads = True
    threading.Thread(target=listening.serve_forever, args=(0.05,), daemon=True).start()
    port = listening.server_address[1]
    if secure.ask("GET", "/api/v1/namespaces/shop/pods/web").status == 404:
        status = {"status": {"podIPs": [{"ip": "10.9.9.10"}]}}
        secure.ask("PATCH", f"{shop('web')}/status", status, content_type="application/merge-patch+json")
    target = {"namespace": "shop", "name": "web"}
    own = [{"addresses": ["10.9.9.9"], "conditions": {"ready": False}, "targetRef": target},
           {"addresses": ["10.9.9.10"], "targetRef": target}]  # fmt: skip
    foreign = [{"addresses": ["10.9.9.11"], "targetRef": target}, {"addresses": ["10.9.9.12"]}]
    for name, endpoints in (("web", own), ("bare", foreign)):
        service = {"metadata": {"name": name}, "spec": {"ports": [{"name": "http", "port": 80}], "clusterIP": "None"}}
        secure.ask("POST", "/api/v1/namespaces/shop/services", service)
        part = {
            "metadata": {"name": f"{name}-1", "labels": {"kubernetes.io/service-name": name}}, "addressType": "IPv4",
            "endpoints": endpoints, "ports": [{"name": "http", "port": port, "protocol": "TCP"}],
        }  # fmt: skip
        path = "/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices"
        secure.ask("DELETE", f"{path}/{name}-1")
        assert secure.ask("POST", path, part).status == 201
    yield "/api/v1/namespaces/shop/services/web:http/proxy"
    listening.shutdown()
    listening.server_close()


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_every_method_reaches_the_endpoint(secure, backend, method):
    answer = secure.ask(method, f"{backend}/a/b?d=e", b"body", headers={"Authorization": "Basic x"})
    assert answer.status == (201 if method == "POST" else 200)
    assert answer.raw.decode() == f"{method} /a/b?d=e body 4 auth=None uri={backend}/a/b"


@pytest.mark.parametrize(
    ("sent", "asked_for"),
    [
        ("/a%2fb/c", "/a/b/c"),
        ("/a%20b/%C3%BC", "/a%20b/%C3%BC"),
        ("/a//b/", "/a/b/"),
        ("/a/../b", "/b"),
        ("/../../secrets", "/secrets"),
        ("/%2e%2e/%2e%2e/secrets", "/secrets"),
        ("/a%00b", "/a%00b"),
        ("/%3Fno-query;v=1@x", "/%3Fno-query;v=1@x"),
        ("//", "/"),
    ],
)
def test_paths_are_written_anew(secure, backend, sent, asked_for):
    """And none leads anywhere but to the backend."""
    assert secure.ask("GET", f"{backend}{sent}?d=e%2F").raw.decode().split()[1] == f"{asked_for}?d=e%2F"


def test_large_bodies_pass(secure, backend):
    answer = secure.ask("POST", f"{backend}/big", b"x" * 8_000_000)
    assert " 8000000 " in answer.raw.decode()


def test_pages_and_redirects_stay_below_the_proxy(secure, backend):
    assert secure.ask("GET", f"{backend}/page").raw.decode() == f'<a href="{backend}/next">'
    assert secure.ask("GET", f"{backend}/go").headers["Location"] == f"{backend}/there"
    bare = secure.ask("GET", f"{backend}?q=1")
    assert (bare.status, bare.headers["Location"]) == (301, f"{backend}/?q=1")
    assert secure.ask("GET", backend.replace("web:http", "web:80") + "/x").status == 200


def test_redirects_are_the_clients_to_follow(secure, backend):
    answer = secure.ask("GET", f"{backend}/away")
    assert (answer.status, answer.headers["Location"]) == (302, "http://192.0.2.9/secret")


def test_who_asks_is_not_told_on(secure, backend):
    told = {"X-Remote-User": "admin", "X-Remote-Group": "system:masters", "Authorization": "Basic x"}
    assert " auth=None " in secure.ask("GET", f"{backend}/a", headers=told).raw.decode()


def test_upgrades_pass_both_ways(secure, backend):
    with secure.raw() as client:
        head = f"GET {backend}/upgrade HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: shouting\r\n\r\n"
        client.sendall(head.encode())
        stream = client.makefile("rb")
        assert stream.readline().split()[1] == b"101"
        headers = dict(iter(lambda: stream.readline().strip().lower().partition(b": ")[::2], (b"", b"")))
        assert headers[b"upgrade"] == b"shouting"
        assert stream.readline() == f"hello from {backend}/upgrade\n".encode()
        for number in range(3):
            client.sendall(b"line %d\n" % number)
            assert stream.readline() == b"LINE %d\n" % number
        stream.close()


@pytest.mark.parametrize(
    ("name", "status", "text"),
    [
        ("web:other", 503, 'no endpoints available for service "web"'),
        ("web:81", 503, 'no service port 81 found for service "web"'),
        ("bare:http", 503, 'no endpoints available for service "bare"'),
        ("nothing", 404, 'services "nothing" not found'),
        ("ftp:web:1", 400, 'invalid service request "ftp:web:1"'),
    ],
)
def test_services_that_lead_nowhere(secure, backend, name, status, text):
    answer = secure.ask("GET", f"/api/v1/namespaces/shop/services/{name}/proxy/x")
    assert (answer.status, answer.body["message"]) == (status, text)


def test_a_nodes_proxy_is_its_kubelet(secure, shop, kubelet, monkeypatch):
    monkeypatch.setattr(proxy_targets, "is_proxyable", lambda address: True)
    assert secure.ask("GET", "/api/v1/nodes/n1/proxy/pods?x=1").raw == b"line one\nline two\n"
    assert kubelet.asked[-1][0] == "/pods?x=1"
    assert secure.ask("GET", "/api/v1/nodes/n1/proxy/pods", who="scheduler").status == 403


class Canned:
    """A socket that receives what it was given, a byte at a time, then the end."""

    def __init__(self, data):
        self.data = data

    def recv(self, _size):
        first, self.data = self.data[:1], self.data[1:]
        return first


@pytest.mark.parametrize("end", ["\r\n", "\n"])
def test_a_head_ends_with_or_without_carriage_returns(end):
    lines = ["HTTP/1.1 200 OK", "Content-Type: text/plain", "X-Empty:", "", "body"]
    exchange = outgoing.Exchange(Canned(end.join(lines).encode()))
    exchange.read_head()
    assert (exchange.status, exchange.header("content-type")) == (200, "text/plain")
    assert exchange.head.endswith(b"X-Empty:\r\n\r\n")

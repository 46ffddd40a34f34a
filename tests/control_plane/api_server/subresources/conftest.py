"""A whole API server over TLS with its own identities, a kubelet made of a few lines, and an HTTP backend."""

import base64
import http.client
import http.server
import json
import pathlib
import socket
import ssl
import threading
import time
import types

import gevent
import pytest
import yaml

from kubeshim import pki
from kubeshim.control_plane.api_server import config, server


class Secure:
    """An API server in a thread of its own; ``ask`` speaks with it as one of its users."""

    def __init__(self, directory: pathlib.Path) -> None:
        self.files = pki.create_all(directory, server="https://127.0.0.1", nodes=[pki.Node("n1", (KUBELET_IP,))])
        files = self.files
        certificate, key = files.pair("apiserver")
        kubelet_certificate, kubelet_key = files.pair("apiserver-kubelet-client")
        self.config = config.Config(
            directory, store="memory:", tls_certificate=str(certificate), tls_key=str(key), client_ca=str(files.ca),
            front_proxy_ca=str(files.front_proxy_ca), service_account_key=str(files.service_account_key),
            kubelet_client_certificate=str(kubelet_certificate), kubelet_client_key=str(kubelet_key),
            proxy_client_certificate=str(files.pair("front-proxy-client")[0]),
            proxy_client_key=str(files.pair("front-proxy-client")[1]),
            kubelet_ca=str(files.ca), certificate_authority=str(files.ca), advertise_address="192.0.2.1",
        )  # fmt: skip
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self.listener.getsockname()[1]
        self._stop, self._ready = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._ready.wait(60)
        self._contexts: dict[str, ssl.SSLContext] = {}
        deadline = time.monotonic() + 60
        while self.ask("GET", "/readyz").status != 200:
            assert time.monotonic() < deadline, self.ask("GET", "/readyz?verbose").raw

    def _run(self) -> None:
        made = server.Server(self.config, server.open_store(self.config))
        made.start()
        listening = server.serve(made, [self.listener])
        made.start_background()
        self._ready.set()
        while not self._stop.is_set():
            gevent.sleep(0.01)
        made.stop()
        listening.stop(grace=0.2)
        made.store.close()
        gevent.sleep(0.02)

    def close(self) -> None:
        self._stop.set()
        self._thread.join(60)
        self.listener.close()

    def context(self, who: str) -> ssl.SSLContext:
        """TLS as ``admin``, ``scheduler`` …, or as nobody (``""``)."""
        if who not in self._contexts:
            context = ssl.create_default_context(cafile=str(self.files.ca))
            if who:
                user = yaml.safe_load(self.files.kubeconfig(who).read_bytes())["users"][0]["user"]
                path = self.files.directory / f"{who}.pem"
                path.write_bytes(
                    base64.b64decode(user["client-certificate-data"]) + base64.b64decode(user["client-key-data"])
                )
                context.load_cert_chain(path)
            self._contexts[who] = context
        return self._contexts[who]

    def ask(self, method, path, body=None, *, who="admin", content_type="application/json", headers=None):
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=60, context=self.context(who))
        sent = {"User-Agent": "test/1", **(headers or {})}
        if body is not None:
            sent.setdefault("Content-Type", content_type)
            body = body if isinstance(body, (bytes, str)) else json.dumps(body)
        connection.request(method, path, body, sent)
        answer = connection.getresponse()
        raw = answer.read()
        connection.close()
        kind = answer.headers.get("Content-Type") or ""
        parsed = json.loads(raw) if kind.startswith("application/json") and raw else raw
        return types.SimpleNamespace(status=answer.status, body=parsed, headers=answer.headers, raw=raw)

    def raw(self, who="admin"):
        """A bare TLS connection."""
        sock = socket.create_connection(("127.0.0.1", self.port), timeout=60)
        return self.context(who).wrap_socket(sock, server_hostname="127.0.0.1")


KUBELET_IP = "127.0.0.9"


class Kubelet(http.server.BaseHTTPRequestHandler):
    """Logs, and streams that echo. What it was asked for is in ``server.asked``."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def do_GET(self):
        self.server.asked.append((self.path, self.headers, self.connection.getpeercert()))
        if self.headers.get("Upgrade"):
            self._echo()
        elif self.path.startswith("/containerLogs/shop/missing"):
            self._answer(404, b"container not found")
        elif "follow=true" in self.path:
            self._follow()
        else:
            self._answer(200, b"line one\nline two\n")

    do_POST = do_GET

    def _answer(self, code, body):
        self.send_response(code)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _follow(self):
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.write(b"6\r\nfirst\n\r\n")
        self.wfile.flush()
        # Until the API server hangs up.
        self.server.ended.append(self.connection.recv(1))
        self.server.gone.set()
        self.close_connection = True

    def _echo(self):
        if "refuse" in self.path:
            self._answer(403, b"not this one")
            return
        self.send_response(101)
        self.send_header("Upgrade", self.headers["Upgrade"])
        self.send_header("Connection", "Upgrade")
        self.end_headers()
        self.wfile.flush()
        while data := self.connection.recv(65536):
            self.connection.sendall(data.upper())
            if data.endswith(b"bye"):
                break
        self.close_connection = True


@pytest.fixture(scope="session")
def secure(tmp_path_factory):
    made = Secure(tmp_path_factory.mktemp("secure"))
    yield made
    made.close()


@pytest.fixture(scope="session")
def kubelet(secure):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(secure.files.ca))
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(*secure.files.kubelet_serving("n1"))
    listening = http.server.ThreadingHTTPServer((KUBELET_IP, 0), Kubelet)
    listening.daemon_threads = True
    listening.asked, listening.ended, listening.gone = [], [], threading.Event()
    listening.socket = context.wrap_socket(listening.socket, server_side=True)
    threading.Thread(target=listening.serve_forever, args=(0.05,), daemon=True).start()
    yield listening
    listening.shutdown()
    listening.server_close()


@pytest.fixture(scope="session")
def shop(secure, kubelet):
    """A namespace with a node behind it; gives a function that makes pods on that node."""
    secure.ask("POST", "/api/v1/namespaces", {"metadata": {"name": "shop"}})
    secure.ask("POST", "/api/v1/namespaces/shop/serviceaccounts", {"metadata": {"name": "default"}})
    node = secure.ask(
        "POST", "/api/v1/nodes", {"metadata": {"name": "n1", "labels": {"kubernetes.io/os": "linux"}}}
    ).body
    node["status"] = {
        "allocatable": {"cpu": "4", "memory": "8Gi", "pods": "110"},
        "addresses": [{"type": "Hostname", "address": "n1"}, {"type": "InternalIP", "address": KUBELET_IP}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": kubelet.server_address[1]}},
    }
    assert secure.ask("PUT", "/api/v1/nodes/n1/status", node).status == 200

    def pod(name, *, bound=True, phase="Running", containers=("main",), resources=None):
        made = [{"name": one, "image": "i", "resources": resources or {}} for one in containers]
        spec = {"containers": made, "serviceAccountName": "default"}
        body = {"metadata": {"name": name, "labels": {"app": name}}, "spec": spec}
        answer = secure.ask("POST", "/api/v1/namespaces/shop/pods", body)
        assert answer.status == 201, answer.body
        path = f"/api/v1/namespaces/shop/pods/{name}"
        if bound:
            target = {"metadata": {"name": name}, "target": {"kind": "Node", "name": "n1"}}
            assert secure.ask("POST", f"{path}/binding", target, who="scheduler").status == 201
        if phase:
            status = {"status": {"phase": phase}}
            answer = secure.ask("PATCH", f"{path}/status", status, content_type="application/merge-patch+json")
            assert answer.status == 200, answer.body
        return path

    return pod

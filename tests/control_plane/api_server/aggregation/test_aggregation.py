"""A group-version of another server, over TLS, behind a Service: requests, discovery, OpenAPI, and when it is away."""

import base64
import http.server
import json
import ssl
import threading
import time
import types

import pytest

from kubeshim import pki
from kubeshim.control_plane.api_server.aggregation import aggregator, availability, backend, endpoints
from kubeshim.control_plane.api_server.aggregation import registration as registrations
from kubeshim.control_plane.api_server.subresources import outgoing
from tests.control_plane.api_server.subresources import conftest as kit

secure = kit.secure
ADDRESS = "10.9.9.20"
NAME = "v1.stars.example.com"
APIS = "/apis/apiregistration.k8s.io/v1/apiservices"
BASE = "/apis/stars.example.com/v1"
RESOURCES = [
    {"name": "stars", "singularName": "star", "namespaced": True, "kind": "Star", "verbs": ["get", "list", "watch"],
     "shortNames": ["st"]},
    {"name": "stars/shine", "singularName": "", "namespaced": True, "kind": "Shine", "verbs": ["create"],
     "group": "other.example.com", "version": "v2"},
]  # fmt: skip
DOCUMENTS = {
    BASE: {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "stars.example.com/v1",
           "resources": RESOURCES},
    "/openapi/v3": {"paths": {"apis/stars.example.com/v1": {
        "serverRelativeURL": "/openapi/v3/apis/stars.example.com/v1?hash=1"}}},
    "/openapi/v3/apis/stars.example.com/v1": {"openapi": "3.0.0", "info": {"title": "stars"}},
    "/openapi/v2": {
        "swagger": "2.0",
        "paths": {f"{BASE}/stars": {"get": {"schema": {"$ref": "#/definitions/Star"}}}, "/apis/apps/v1/x": {}},
        "definitions": {"Star": {"type": "object"}, "Unused": {}},
    },
}  # fmt: skip


class Extension(http.server.BaseHTTPRequestHandler):
    """Tells who asked and for what; shines, watches and upgrades."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def _answer(self):
        path = self.path.partition("?")[0]
        if path in DOCUMENTS:
            self._send(200 if self.server.well else 500, DOCUMENTS[path])
        elif self.headers.get("Upgrade"):
            self.send_response(101)
            self.send_header("Upgrade", "echo")
            self.send_header("Connection", "Upgrade")
            self.end_headers()
            self.connection.sendall(self.connection.recv(100).upper())
            self.close_connection = True
        elif "watch=true" in self.path:
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for event in (b'{"type":"ADDED"}\n', b'{"type":"DELETED"}\n'):
                self.wfile.write(b"%x\r\n%b\r\n" % (len(event), event))
                assert self.server.go_on.wait(60)
            self.wfile.write(b"0\r\n\r\n")
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            headers = [[name.lower(), value] for name, value in self.headers.items()]
            subject = dict(part[0] for part in self.connection.getpeercert()["subject"])
            told = {"path": self.path, "method": self.command, "body": body, "headers": headers, "peer": subject}
            self._send(201 if self.command == "POST" else 200, told)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _answer

    def _send(self, code, document):
        body = json.dumps(document).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture(scope="module")
def extension(secure, tmp_path_factory):
    directory = tmp_path_factory.mktemp("extension")
    authority = pki.Authority.create("stars")
    certificate, key = authority.issue("star-server", dns=["stars.default.svc"], usages=pki.SERVER)
    (directory / "crt").write_bytes(certificate)
    (directory / "key").write_bytes(key)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(secure.files.front_proxy_ca))
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(directory / "crt", directory / "key")
    listening = http.server.ThreadingHTTPServer(("127.0.0.21", 0), Extension)
    listening.daemon_threads = True
    listening.well, listening.go_on = True, threading.Event()
    listening.authority = authority.certificate_pem
    listening.socket = context.wrap_socket(listening.socket, server_side=True)
    threading.Thread(target=listening.serve_forever, args=(0.05,), daemon=True).start()
    connect = outgoing.connect
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(outgoing, "connect", lambda host, *rest: connect("127.0.0.21", *rest))
        yield listening
    listening.shutdown()
    listening.server_close()


def registration(extension, **spec):
    bundle = base64.b64encode(extension.authority).decode()
    service = {"namespace": "default", "name": "stars", "port": 443}
    made = {"group": "stars.example.com", "version": "v1", "groupPriorityMinimum": 2000, "versionPriority": 20}
    return {"metadata": {"name": NAME}, "spec": {**made, "service": service, "caBundle": bundle, **spec}}


@pytest.fixture
def registered(secure, extension):
    """Registered, with its Service and an endpoint, and found available."""
    service = {"metadata": {"name": "stars"}, "spec": {"ports": [{"name": "https", "port": 443}], "clusterIP": "None"}}
    part = {
        "metadata": {"name": "stars-1", "labels": {"kubernetes.io/service-name": "stars"}}, "addressType": "IPv4",
        "endpoints": [{"addresses": [ADDRESS]}],
        "ports": [{"name": "https", "port": extension.server_address[1]}],
    }  # fmt: skip
    assert secure.ask("POST", "/api/v1/namespaces/default/services", service).status == 201
    assert secure.ask("POST", SLICES, part).status == 201
    assert secure.ask("POST", APIS, registration(extension)).status == 201
    wait_for(secure, "Passed")
    yield
    secure.ask("DELETE", f"{APIS}/{NAME}")
    secure.ask("DELETE", "/api/v1/namespaces/default/services/stars")
    secure.ask("DELETE", f"{SLICES}/stars-1")
    extension.well = True


SLICES = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"


def wait_for(secure, reason):
    """The Available condition, once it has that reason."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        conditions = secure.ask("GET", f"{APIS}/{NAME}").body.get("status", {}).get("conditions") or [{}]
        if conditions[0].get("reason") == reason:
            return conditions[0]
        time.sleep(0.02)
    raise AssertionError(conditions)


def test_requests_are_passed_on_in_the_users_name(secure, registered):
    forged = {"X-Remote-User": "root", "X-Remote-Group": "system:masters", "X-Remote-Extra-a": "b",
              "Impersonate-User": "jane", "Impersonate-Group": "stargazers",
              "Impersonate-Extra-Some%2fkey": "x"}  # fmt: skip
    role = {"metadata": {"name": "jane"}, "rules": [
        {"apiGroups": ["stars.example.com"], "resources": ["stars"], "verbs": ["create"]}]}  # fmt: skip
    binding = {"metadata": {"name": "jane"}, "subjects": [
        {"kind": "User", "name": "jane", "apiGroup": "rbac.authorization.k8s.io"}],
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "jane"}}  # fmt: skip
    rbac = "/apis/rbac.authorization.k8s.io/v1"
    secure.ask("POST", f"{rbac}/clusterroles", role)
    secure.ask("POST", f"{rbac}/clusterrolebindings", binding)
    answer = secure.ask("POST", f"{BASE}/namespaces/a/stars?x=a%20b", b"sirius", headers=forged)
    assert answer.status == 201, answer.raw
    headers = [(name, value) for name, value in answer.body["headers"] if name.startswith("x-remote-")]
    assert sorted(headers) == [
        ("x-remote-extra-some%2fkey", "x"), ("x-remote-group", "stargazers"),
        ("x-remote-group", "system:authenticated"), ("x-remote-user", "jane"),
    ]  # fmt: skip
    assert answer.body["path"] == f"{BASE}/namespaces/a/stars?x=a%20b"
    assert answer.body["body"] == "sirius"
    assert answer.body["peer"]["commonName"] == "front-proxy-client"
    assert not any(name.startswith("impersonate-") for name, _ in answer.body["headers"])


def test_rights_are_judged_before_anything_is_passed_on(secure, registered):
    answer = secure.ask("GET", f"{BASE}/stars", who="scheduler")
    assert answer.status == 403
    assert (
        'cannot list resource "stars" in API group "stars.example.com" at the cluster scope' in answer.body["message"]
    )


def test_it_is_in_discovery(secure, registered):
    groups = [group["name"] for group in secure.ask("GET", "/apis").body["groups"]]
    assert groups.index("apps") < groups.index("stars.example.com")
    preferred = {"groupVersion": "stars.example.com/v1", "version": "v1"}
    group = secure.ask("GET", "/apis/stars.example.com").body
    assert (group["kind"], group["preferredVersion"]) == ("APIGroup", preferred)
    assert secure.ask("GET", BASE).body["resources"] == RESOURCES
    assert aggregated(secure) == {
        "version": "v1", "freshness": "Current",
        "resources": [{
            "resource": "stars", "singularResource": "star", "scope": "Namespaced", "shortNames": ["st"],
            "responseKind": {"group": "stars.example.com", "version": "v1", "kind": "Star"},
            "verbs": ["get", "list", "watch"],
            "subresources": [{"subresource": "shine", "verbs": ["create"], "responseKind": {
                "group": "other.example.com", "version": "v2", "kind": "Shine"}}],
        }],
    }  # fmt: skip


def aggregated(secure):
    accept = {"Accept": "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"}
    items = secure.ask("GET", "/apis", headers=accept).raw
    return next(i for i in json.loads(items)["items"] if i["metadata"]["name"] == "stars.example.com")["versions"][0]


def test_it_is_in_openapi(secure, registered):
    listed = secure.ask("GET", "/openapi/v3").body["paths"]["apis/stars.example.com/v1"]["serverRelativeURL"]
    assert secure.ask("GET", listed).body["info"] == {"title": "stars"}
    swagger = secure.ask("GET", "/openapi/v2").body
    assert f"{BASE}/stars" in swagger["paths"] and "/apis/apps/v1/x" not in swagger["paths"]
    assert "Star" in swagger["definitions"] and "Unused" not in swagger["definitions"]


def test_watches_stream(secure, registered, extension):
    extension.go_on.clear()
    connection = secure.raw()
    connection.sendall(f"GET {BASE}/stars?watch=true HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    seen = b""
    while b"ADDED" not in seen:
        seen += connection.recv(1000)
    assert b"DELETED" not in seen
    extension.go_on.set()
    while b"0\r\n\r\n" not in seen:
        seen += connection.recv(1000)
    assert b"DELETED" in seen
    connection.close()


def test_upgrades_pass_through(secure, registered):
    connection = secure.raw()
    lines = f"GET {BASE}/namespaces/a/stars/s/shine HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"
    connection.sendall(lines.encode())
    seen = connection.recv(1000)
    assert b" 101 " in seen
    connection.sendall(b"hello")
    seen = seen.partition(b"\r\n\r\n")[2]
    while len(seen) < 5:
        seen += connection.recv(100)
    assert seen == b"HELLO"
    connection.close()


def test_one_that_is_not_there_is_refused_and_told_as_stale(secure, registered, extension):
    extension.well = False
    secure.ask("PATCH", f"{APIS}/{NAME}", {"spec": {"versionPriority": 21}},
               content_type="application/merge-patch+json")  # fmt: skip
    touch(secure)
    failed = wait_for(secure, "FailedDiscoveryCheck")
    url = f"https://{ADDRESS}:{extension.server_address[1]}{BASE}"
    assert failed["message"] == f"failing or missing response from {url}: bad status from {url}: 500"
    answer = secure.ask("GET", f"{BASE}/stars")
    assert (answer.status, answer.raw) == (503, b"service unavailable\n")
    assert aggregated(secure)["freshness"] == "Stale"
    assert "apis/stars.example.com/v1" not in secure.ask("GET", "/openapi/v3").body["paths"]
    extension.well = True
    assert wait_for(secure, "Passed")["message"] == "all checks passed"
    assert aggregated(secure)["freshness"] == "Current"


def touch(secure):
    """Has the endpoints looked at again."""
    change = {"metadata": {"annotations": {"touched": str(time.monotonic())}}}
    secure.ask("PATCH", f"{SLICES}/stars-1", change, content_type="application/merge-patch+json")


def test_the_condition_keeps_its_place_among_others(secure, registered):
    held = secure.ask("GET", f"{APIS}/{NAME}").body
    held["status"]["conditions"].append({"type": "StatusUpdated", "status": "True", "reason": "E2E", "message": "it"})
    assert secure.ask("PUT", f"{APIS}/{NAME}/status", held).status == 200
    secure.ask("DELETE", f"{SLICES}/stars-1")
    wait_for(secure, "EndpointsNotFound")
    found = secure.ask("GET", f"{APIS}/{NAME}").body["status"]["conditions"]
    assert [condition["type"] for condition in found] == ["Available", "StatusUpdated"]


def test_a_condition_that_somebody_removes_comes_back_at_once(secure, registered, monkeypatch):
    monkeypatch.setattr(availability, "PERIOD", 3600.0)
    wait_for(secure, "Passed")
    path, merge = f"{APIS}/{NAME}/status", "application/merge-patch+json"
    for _ in range(2):  # the first look may have been due by the clock
        assert secure.ask("PATCH", path, {"status": {"conditions": []}}, content_type=merge).status == 200
        wait_for(secure, "Passed")


def test_reasons_why_there_is_no_endpoint(secure, registered):
    part = secure.ask("GET", f"{SLICES}/stars-1").body
    part["endpoints"][0]["conditions"] = {"ready": False}
    assert secure.ask("PUT", f"{SLICES}/stars-1", part).status == 200
    text = 'endpointslices for service/stars in "default" have no addresses with port name "https"'
    assert wait_for(secure, "MissingEndpoints")["message"] == text
    secure.ask("DELETE", f"{SLICES}/stars-1")
    text = 'cannot find endpointslices for service/stars in "default"'
    assert wait_for(secure, "EndpointsNotFound")["message"] == text
    secure.ask("DELETE", "/api/v1/namespaces/default/services/stars")
    assert wait_for(secure, "ServiceNotFound")["message"] == 'service/stars in "default" is not present'


def test_certificates_are_checked_unless_told_otherwise(secure, registered, extension):
    other = base64.b64encode(pki.Authority.create("other").certificate_pem).decode()
    merge = "application/merge-patch+json"
    secure.ask("PATCH", f"{APIS}/{NAME}", {"spec": {"caBundle": other}}, content_type=merge)
    assert (
        "tls: failed to verify certificate: x509: certificate signed by unknown authority"
        in wait_for(secure, "FailedDiscoveryCheck")["message"]
    )
    loose = {"spec": {"caBundle": None, "insecureSkipTLSVerify": True}}
    secure.ask("PATCH", f"{APIS}/{NAME}", loose, content_type=merge)
    wait_for(secure, "Passed")


def test_gone_with_its_registration(secure, registered):
    secure.ask("DELETE", f"{APIS}/{NAME}")
    assert secure.ask("GET", f"{BASE}/stars").status == 404
    assert "stars.example.com" not in [group["name"] for group in secure.ask("GET", "/apis").body["groups"]]


def test_documents_that_could_not_be_had_are_asked_for_again(monkeypatch):
    """A server that has just begun serves its types before it can tell of them, or is too slow for once."""
    one = registrations.of(
        {"metadata": {"name": NAME}, "spec": {"group": "stars.example.com", "version": "v1", "service": {"name": "s"}}}
    )
    known = aggregator.Aggregator(None)
    known.remote[one.key] = one
    server = types.SimpleNamespace(aggregation=known)
    answers = [backend.Unreachable("timed out"), (404, b""), (200, json.dumps(DOCUMENTS["/openapi/v3"]).encode())]
    asked = []

    def fetch(server, registration, address, path):
        asked.append(path)
        if path == BASE:
            return 200, json.dumps(DOCUMENTS[BASE]).encode()
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(backend, "fetch", fetch)
    monkeypatch.setattr(endpoints, "find", lambda *_: (ADDRESS, 443))
    for number in range(4):
        assert availability.look(server, one).status == "True"
        assert bool(known.told[one.key].openapi) == (number >= 2)
    assert asked.count("/openapi/v3") == 3

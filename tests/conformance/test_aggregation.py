"""A group-version that another server serves: one of the test's own, with flunders as upstream's sample has them."""

import base64
import http.server
import json
import re
import uuid

import pytest

from tests.conformance import own_servers
from tests.conformance.kube import MERGE, STRATEGIC, condition, meta
from tests.conformance.names import answers

GROUP = "wardle.example.com"
BASE = f"/apis/{GROUP}/v1alpha1"
NAME = f"v1alpha1.{GROUP}"
LISTING = {
    "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": f"{GROUP}/v1alpha1",
    "resources": [{"name": "flunders", "singularName": "flunder", "namespaced": True, "kind": "Flunder",
                   "verbs": ["create", "delete", "deletecollection", "get", "list"]}],
}  # fmt: skip
FLUNDERS = re.compile(rf"{BASE}/namespaces/([^/]+)/flunders(?:/([^/?]+))?").fullmatch


class Sample(http.server.BaseHTTPRequestHandler):
    """Keeps flunders in memory, for whom the front proxy vouches."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def _answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = self.path.partition("?")[0]
        self.server.users.add(self.headers.get("X-Remote-User"))
        found = FLUNDERS(path)
        if path == BASE:
            self._send(200, LISTING)
        elif found is None:
            self._send(404, {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 404})
        else:
            self._flunders(*found.groups(), json.loads(body or "{}"))

    do_GET = do_POST = do_DELETE = _answer

    def _flunders(self, space, name, body):
        held = self.server.flunders
        if self.command == "POST":
            body["metadata"] |= {"namespace": space, "uid": str(uuid.uuid4()), "resourceVersion": "1"}
            held[space, body["metadata"]["name"]] = body
            self._send(201, body)
        elif name and (space, name) not in held:
            self._send(
                404, {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404}
            )
        elif self.command == "DELETE":
            for key in [key for key in held if key[0] == space and name in (None, key[1])]:
                del held[key]
            self._send(200, {"kind": "Status", "apiVersion": "v1", "status": "Success"})
        elif name:
            self._send(200, held[space, name])
        else:
            items = [flunder for key, flunder in held.items() if key[0] == space]
            self._send(200, {"kind": "FlunderList", "apiVersion": f"{GROUP}/v1alpha1", "metadata": {}, "items": items})

    def _send(self, code, document):
        body = json.dumps(document).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def sample(everywhere, kube, tmp_path):
    """The server, trusting whom the cluster's own ConfigMap says is its front proxy, and its APIService."""
    told = everywhere.get("v1 ConfigMap", "extension-apiserver-authentication", namespace="kube-system")["data"]
    ca = told["requestheader-client-ca-file"]
    with own_servers.serving(everywhere, Sample, tmp_path, client_ca=ca) as listening:
        listening.flunders, listening.users = {}, set()
        own_servers.publish(kube, listening, "sample-api", 7443)
        everywhere.create(
            {
                "kind": "APIService",
                "metadata": meta(NAME),
                "spec": {
                    "group": GROUP,
                    "version": "v1alpha1",
                    "groupPriorityMinimum": 2000,
                    "versionPriority": 200,
                    "service": {"name": "sample-api", "namespace": kube.namespace, "port": 7443},
                    "caBundle": base64.b64encode(listening.authority.certificate_pem).decode(),
                },
            }
        )
        yield listening
        if everywhere.find("APIService", NAME):
            everywhere.delete("APIService", NAME)


@answers(
    "[sig-api-machinery] Aggregator Should be able to support the 1.17 Sample API Server using the current Aggregator [LinuxOnly]"
)
def test_another_server(kube, everywhere, cluster, sample, tmp_path):
    ready = everywhere.wait("APIService", NAME, lambda a: condition(a, "Available").get("status") == "True")
    assert ready["status"]["conditions"][0]["message"] == "all checks passed"
    flunders = f"{BASE}/namespaces/{kube.namespace}/flunders"
    body = {"apiVersion": f"{GROUP}/v1alpha1", "kind": "Flunder", "metadata": meta("one", labels={"sample": "yes"})}
    done = cluster.kubectl(
        "--cache-dir", str(tmp_path / "cache"), "-n", kube.namespace, "create", "--validate=false", "-f", "-",
        stdin=json.dumps(body),
    )  # fmt: skip
    assert "flunder.wardle.example.com/one created" in done.stdout
    assert [f["metadata"]["name"] for f in kube.call("get", flunders)["items"]] == ["one"]
    kube.call("post", flunders, {**body, "metadata": meta("two")})
    assert kube.call("get", f"{flunders}/two")["metadata"]["uid"]
    kube.call("delete", f"{flunders}/two")
    assert "kubernetes-admin" in sample.users
    groups = {item["metadata"]["name"]: item for item in everywhere.call(
        "get", "/apis", headers={"Accept": "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"}
    )["items"]}  # fmt: skip
    assert groups[GROUP]["versions"][0]["resources"][0]["resource"] == "flunders"
    # the object itself: its status by hand, its labels, and its end
    extra = {"type": "StatusUpdated", "status": "True", "reason": "E2E", "message": "Set by an e2e test"}
    everywhere.change("APIService", NAME, lambda a: a["status"]["conditions"].append(extra), subresource="status")
    assert condition(everywhere.get("APIService", NAME, subresource="status"), "StatusUpdated")["reason"] == "E2E"
    change = {"metadata": {"labels": {"apiservice": "patched"}}, "spec": {"versionPriority": 400}}
    patched = everywhere.patch("APIService", NAME, change, how=STRATEGIC)
    assert (patched["metadata"]["labels"]["apiservice"], patched["spec"]["versionPriority"]) == ("patched", 400)
    extra = {"type": "StatusPatched", "status": "True", "reason": "E2E", "message": "Set by an e2e test"}
    more = {"status": {"conditions": [*patched["status"]["conditions"], extra]}}
    patched = everywhere.patch("APIService", NAME, more, how=MERGE, subresource="status")
    assert condition(patched, "StatusPatched")["reason"] == "E2E"
    updated = everywhere.change("APIService", NAME, lambda a: a["metadata"]["labels"].update({NAME: "updated"}))
    assert updated["metadata"]["labels"][NAME] == "updated"
    assert [a["metadata"]["name"] for a in everywhere.items("APIService", labelSelector=f"{NAME}=updated")] == [NAME]
    kube.call("delete", flunders)
    assert sample.flunders == {}
    everywhere.delete_all("APIService", labelSelector=f"{NAME}=updated")
    everywhere.gone("APIService", NAME)

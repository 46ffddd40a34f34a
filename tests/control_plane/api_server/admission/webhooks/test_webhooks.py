"""Webhooks of a real server over TLS: what they are asked, what answers do, what happens without an answer."""

import base64
import http.server
import json
import ssl
import threading

import pytest

from kubeshim import pki
from tests.control_plane.api_server.subresources import conftest as kit

secure = kit.secure
HOST = "127.0.0.31"
GROUP = "/apis/admissionregistration.k8s.io/v1"
MAPS = "/api/v1/namespaces/hooked/configmaps"
ANYTHING = {"operations": ["*"], "apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*/*"]}


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers with what the test has put under the path."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def do_POST(self):
        review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        path = self.path.partition("?")[0]
        self.server.asked.append((self.path, review))
        response = self.server.answers[path](review["request"])
        if response is None:
            self.server.go_on.wait(60)
            response = {"allowed": True}
        body = json.dumps(
            {"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1",
             "response": {"uid": review["request"]["uid"], **response}}
        ).encode()  # fmt: skip
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture(scope="module")
def backend(secure, tmp_path_factory):
    directory = tmp_path_factory.mktemp("hooks")
    authority = pki.Authority.create("hooks")
    certificate, key = authority.issue("hook-server", dns=["hooks.hooked.svc"], ips=[HOST], usages=pki.SERVER)
    (directory / "crt").write_bytes(certificate)
    (directory / "key").write_bytes(key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / "crt", directory / "key")
    listening = http.server.ThreadingHTTPServer((HOST, 0), Handler)
    listening.daemon_threads = True
    listening.answers, listening.asked, listening.go_on = {}, [], threading.Event()
    listening.bundle = base64.b64encode(authority.certificate_pem).decode()
    listening.socket = context.wrap_socket(listening.socket, server_side=True)
    threading.Thread(target=listening.serve_forever, args=(0.05,), daemon=True).start()
    secure.ask("POST", "/api/v1/namespaces", {"metadata": {"name": "hooked", "labels": {"hooked": "yes"}}})
    secure.ask("POST", "/api/v1/namespaces/hooked/serviceaccounts", {"metadata": {"name": "default"}})
    yield listening
    listening.go_on.set()
    listening.shutdown()
    listening.server_close()


@pytest.fixture
def hook(secure, backend):
    """Registers a webhook that answers by a function of the AdmissionRequest."""
    made = []
    backend.asked.clear()

    def register(name, answer, *, mutating=False, resources=("configmaps",), operations=("*",), **spec):
        kind = "mutating" if mutating else "validating"
        backend.answers[f"/{name}"] = answer
        client = {"url": f"https://{HOST}:{backend.server_address[1]}/{name}", "caBundle": backend.bundle}
        rule = {"operations": list(operations), "apiGroups": [""], "apiVersions": ["v1"], "resources": list(resources)}
        webhook = {
            "name": f"{name}.k8s.io", "clientConfig": client, "rules": [rule], "sideEffects": "None",
            "admissionReviewVersions": ["v1"], "namespaceSelector": {"matchLabels": {"hooked": "yes"}}, **spec,
        }  # fmt: skip
        path = f"{GROUP}/{kind}webhookconfigurations"
        answer = secure.ask("POST", path, {"metadata": {"name": name}, "webhooks": [webhook]})
        assert answer.status == 201, answer.body
        made.append(f"{path}/{name}")

    yield register
    for path in made:
        secure.ask("DELETE", path)
    for item in secure.ask("GET", MAPS).body["items"]:
        secure.ask("DELETE", f"{MAPS}/{item['metadata']['name']}")


def patch(*operations):
    text = base64.b64encode(json.dumps(operations).encode()).decode()
    return {"allowed": True, "patchType": "JSONPatch", "patch": text}


def config(name, **data):
    return {"metadata": {"name": name}, "data": data}


def test_what_is_asked(secure, backend, hook):
    hook("look", lambda request: {"allowed": True, "warnings": ["mind the gap"]})
    answer = secure.ask("POST", f"{MAPS}?fieldManager=me", config("asked", a="b"))
    assert answer.status == 201
    [(path, review)] = backend.asked
    assert path == "/look?timeout=10s"
    assert (review["apiVersion"], review["kind"]) == ("admission.k8s.io/v1", "AdmissionReview")
    request = review["request"]
    shown = {key: request[key] for key in ("kind", "resource", "operation", "name", "namespace", "dryRun", "oldObject")}
    assert shown == {
        "kind": {"group": "", "version": "v1", "kind": "ConfigMap"},
        "resource": {"group": "", "version": "v1", "resource": "configmaps"},
        "operation": "CREATE", "name": "asked", "namespace": "hooked", "dryRun": False, "oldObject": None,
    }  # fmt: skip
    assert request["object"]["data"] == {"a": "b"}
    assert request["options"]["fieldManager"] == "me"
    assert request["userInfo"]["username"]


@pytest.mark.parametrize(
    ("response", "status", "message", "reason"),
    [
        ({"allowed": False}, 400, 'admission webhook "no.k8s.io" denied the request without explanation', ""),
        (
            {"allowed": False, "status": {"message": "it is bad", "code": 403, "reason": "Forbidden"}}, 403,
            'admission webhook "no.k8s.io" denied the request: it is bad', "Forbidden",
        ),
        (
            {"allowed": False, "status": {"reason": "x", "code": 200}}, 400,
            'admission webhook "no.k8s.io" denied the request: x', "x",
        ),
    ],
)  # fmt: skip
def test_refusals(secure, hook, response, status, message, reason):
    hook("no", lambda request: response)
    answer = secure.ask("POST", MAPS, config("refused"))
    assert (answer.status, answer.body["message"], answer.body.get("reason", "")) == (status, message, reason)
    assert secure.ask("GET", f"{MAPS}/refused").status == 404


def test_changes_come_one_after_another_and_are_defaulted(secure, hook):
    container = {"name": "added", "image": "x"}
    hook(
        "a-first", lambda request: patch({"op": "add", "path": "/spec/initContainers", "value": [container]}),
        mutating=True, resources=("pods",), operations=("CREATE",),
    )  # fmt: skip

    def second(request):
        seen = {"seen": str(len(request["object"]["spec"]["initContainers"]))}
        return patch(
            {"op": "add", "path": "/metadata/labels", "value": seen},
            {"op": "add", "path": "/spec/unknown", "value": 1},
        )

    hook("b-second", second, mutating=True, resources=("pods",), operations=("CREATE",))
    pod = {"metadata": {"name": "changed"}, "spec": {"containers": [{"name": "c", "image": "y"}]}}
    made = secure.ask("POST", "/api/v1/namespaces/hooked/pods?dryRun=All", pod)
    assert made.status == 201, made.body
    assert made.body["metadata"]["labels"] == {"seen": "1"}
    assert made.body["spec"]["initContainers"][0]["terminationMessagePolicy"] == "File"
    assert "unknown" not in made.body["spec"]


def test_a_changed_object_keeps_what_the_server_says(secure, hook):
    """The patch brings new metadata, as patches of whole parts do."""
    new = {"name": "own", "namespace": "hooked", "uid": "not-mine", "creationTimestamp": "2001-01-01T00:00:00Z"}
    hook("renews", lambda request: patch({"op": "replace", "path": "/metadata", "value": new}), mutating=True)
    made = secure.ask("POST", MAPS, config("own")).body["metadata"]
    assert made["uid"] != "not-mine"
    assert made["creationTimestamp"] > "2020"
    answer = secure.ask("PATCH", f"{MAPS}/own", {"data": {"a": "1"}}, content_type="application/merge-patch+json")
    assert (answer.status, answer.body["details"]["causes"][0]["field"]) == (422, "metadata.uid")


def test_one_that_saw_too_little_is_asked_again(secure, backend, hook):
    hook("a-again", lambda request: {"allowed": True}, mutating=True, reinvocationPolicy="IfNeeded")
    hook("b-once", lambda request: {"allowed": True}, mutating=True)
    hook("c-adds", lambda request: patch({"op": "add", "path": "/data/c", "value": "1"}), mutating=True)
    assert secure.ask("POST", MAPS, config("again", a="1")).body["data"] == {"a": "1", "c": "1"}
    assert [path.partition("?")[0] for path, _ in backend.asked] == ["/a-again", "/b-once", "/c-adds", "/a-again"]
    assert backend.asked[-1][1]["request"]["object"]["data"] == {"a": "1", "c": "1"}


def test_updates_and_deletions(secure, backend, hook):
    secure.ask("POST", MAPS, config("kept", a="1"))
    hook("guard", lambda request: {"allowed": request["operation"] == "UPDATE"})
    change = secure.ask("PATCH", f"{MAPS}/kept", {"data": {"a": "2"}}, content_type="application/merge-patch+json")
    assert change.status == 200
    request = backend.asked[-1][1]["request"]
    assert (request["oldObject"]["data"], request["object"]["data"]) == ({"a": "1"}, {"a": "2"})
    assert secure.ask("DELETE", f"{MAPS}/kept").status == 400
    request = backend.asked[-1][1]["request"]
    assert (request["operation"], request["object"], request["oldObject"]["data"]) == ("DELETE", None, {"a": "2"})
    backend.answers["/guard"] = lambda request: {"allowed": True}


@pytest.mark.parametrize(
    ("spec", "data", "asked"),
    [
        ({"objectSelector": {"matchLabels": {"no": "such"}}}, {}, 0),
        ({"namespaceSelector": {"matchLabels": {"no": "such"}}}, {}, 0),
        ({"matchConditions": [{"name": "skip", "expression": "object.metadata.name != 'skip-me'"}]}, {}, 0),
        ({"matchConditions": [{"name": "data", "expression": "object.data.a == '1'"}]}, {"a": "1"}, 1),
        ({"matchConditions": [{"name": "who", "expression": "request.userInfo.username != ''"}]}, {}, 1),
        (
            {"matchConditions": [
                {"name": "may", "expression": "authorizer.requestResource.check('delete').allowed()"},
            ]}, {}, 1,
        ),
        ({"rules": [{**ANYTHING, "scope": "Cluster"}]}, {}, 0),
        ({"rules": [{**ANYTHING, "operations": ["UPDATE"]}]}, {}, 0),
        ({"rules": [ANYTHING]}, {}, 1),
    ],
)  # fmt: skip
def test_whom_it_concerns(secure, backend, hook, spec, data, asked):
    hook("some", lambda request: {"allowed": True}, **spec)
    assert secure.ask("POST", MAPS, config("skip-me", **data)).status == 201
    assert len(backend.asked) == asked


def test_another_version_of_a_type_is_shown_in_the_version_named(secure, backend, hook):
    rule = {"operations": ["*"], "apiGroups": ["autoscaling"], "apiVersions": ["v1"],
            "resources": ["horizontalpodautoscalers"]}  # fmt: skip
    hook("older", lambda request: {"allowed": True}, rules=[rule])
    scaler = {
        "metadata": {"name": "hpa"},
        "spec": {"maxReplicas": 2, "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "x"}},
    }
    path = "/apis/autoscaling/v2/namespaces/hooked/horizontalpodautoscalers"
    assert secure.ask("POST", path, scaler).status == 201
    request = backend.asked[0][1]["request"]
    assert (request["kind"]["version"], request["requestKind"]["version"]) == ("v1", "v2")
    assert (request["object"]["apiVersion"], request["object"]["spec"]["maxReplicas"]) == ("autoscaling/v1", 2)


@pytest.mark.parametrize("policy", ["Fail", "Ignore"])
def test_nobody_answers(secure, hook, policy):
    hook("away", lambda request: None, failurePolicy=policy, clientConfig={"url": "https://127.0.0.1:1/away"})
    answer = secure.ask("POST", MAPS, config("unanswered"))
    if policy == "Ignore":
        assert answer.status == 201
        return
    said = (
        'failed calling webhook "away.k8s.io": failed to call webhook: Post "https://127.0.0.1:1/away?timeout=10s": '
        "dial tcp 127.0.0.1:1: connect: connection refused"
    )
    assert (answer.status, answer.body["reason"]) == (500, "InternalError")
    assert answer.body["message"] == f"Internal error occurred: {said}"
    assert answer.body["details"]["causes"] == [{"message": said}]


def test_time_runs_out(secure, hook):
    hook("slow", lambda request: None, timeoutSeconds=1)
    answer = secure.ask("POST", MAPS, config("slow"))
    assert answer.status == 500
    assert '?timeout=1s": context deadline exceeded' in answer.body["message"]


def test_a_certificate_nobody_vouches_for(secure, backend, hook):
    other = base64.b64encode(pki.Authority.create("other").certificate_pem).decode()
    client = {"url": f"https://{HOST}:{backend.server_address[1]}/x", "caBundle": other}
    hook("unknown", lambda request: {"allowed": True}, clientConfig=client)
    assert (
        "tls: failed to verify certificate: x509: certificate signed by unknown authority"
        in secure.ask("POST", MAPS, config("tls")).body["message"]
    )
    assert backend.asked == []


def test_a_service(secure, backend, hook):
    service = {"metadata": {"name": "hooks"}, "spec": {"ports": [{"port": 8443}], "clusterIP": "None"}}
    part = {
        "metadata": {"name": "hooks-1", "labels": {"kubernetes.io/service-name": "hooks"}}, "addressType": "IPv4",
        "endpoints": [{"addresses": [HOST]}], "ports": [{"name": "", "port": backend.server_address[1]}],
    }  # fmt: skip
    reference = {"namespace": "hooked", "name": "hooks", "port": 8443, "path": "/deny"}
    hook("deny", lambda request: {"allowed": False}, clientConfig={"service": reference, "caBundle": backend.bundle})
    missing = secure.ask("POST", MAPS, config("served"))
    assert 'Post "https://hooks.hooked.svc:8443/deny?timeout=10s": service "hooks" not found' in missing.body["message"]
    secure.ask("POST", "/api/v1/namespaces/hooked/services", service)
    # an address of the loopback is no endpoint that validation lets through; the slice is written past it
    made = secure.ask("POST", "/apis/discovery.k8s.io/v1/namespaces/hooked/endpointslices", part)
    assert made.status == 422
    away = secure.ask("POST", MAPS, config("served"))
    assert 'no endpoints available for service "hooks"' in away.body["message"]


def test_dry_runs_spare_hooks_with_side_effects(secure, backend, hook):
    hook("harmless", lambda request: {"allowed": True}, sideEffects="NoneOnDryRun")
    assert secure.ask("POST", f"{MAPS}?dryRun=All", config("dry")).status == 201
    assert backend.asked[0][1]["request"]["dryRun"] is True


def test_configurations_are_never_asked_about(secure, backend, hook):
    hook("all", lambda request: {"allowed": False}, rules=[ANYTHING])
    path = f"{GROUP}/validatingwebhookconfigurations"
    assert secure.ask("POST", path, {"metadata": {"name": "other"}}).status == 201
    assert secure.ask("DELETE", f"{path}/other").status == 200
    assert backend.asked == []


def test_conditions_that_do_not_compile_are_refused(secure):
    webhook = {
        "name": "bad.k8s.io", "clientConfig": {"url": "https://127.0.0.1:1/"}, "sideEffects": "None",
        "admissionReviewVersions": ["v1"], "matchConditions": [{"name": "bad", "expression": "... [}"}],
    }  # fmt: skip
    for kind in ("validating", "mutating"):
        answer = secure.ask(
            "POST", f"{GROUP}/{kind}webhookconfigurations", {"metadata": {"name": "bad"}, "webhooks": [webhook]}
        )
        assert answer.status == 422
        [cause] = answer.body["details"]["causes"]
        assert cause["field"] == "webhooks[0].matchConditions[0].expression"
        assert "compilation failed" in cause["message"]


def test_a_hook_that_writes_the_same_object_before_it_answers(secure, hook):
    secure.ask("POST", MAPS, config("twice", a="1"))

    def write(request):
        if request["object"]["data"].get("by") != "hook":
            secure.ask("PATCH", f"{MAPS}/twice", {"data": {"by": "hook"}}, content_type="application/merge-patch+json")
        return {"allowed": True}

    hook("writes", write, operations=("UPDATE",), timeoutSeconds=5)
    change = secure.ask("PATCH", f"{MAPS}/twice", {"data": {"a": "2"}}, content_type="application/merge-patch+json")
    assert change.status == 200, change.body
    assert change.body["data"] == {"a": "2", "by": "hook"}


@pytest.mark.parametrize("mutating", [False, True])
def test_questions_about_rights_are_never_asked_about(secure, backend, hook, mutating):
    hook("all", lambda request: {"allowed": False}, mutating=mutating, rules=[ANYTHING], namespaceSelector={})
    spec = {"resourceAttributes": {"verb": "get", "resource": "pods"}}
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    assert secure.ask("POST", path, {"spec": spec}).status == 201
    assert backend.asked == []

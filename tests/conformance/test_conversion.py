"""Custom resources whose versions differ: a webhook of the test's own converts ``hostPort`` to ``host`` and ``port``."""

import base64
import http.server
import json

import pytest

from tests.conformance import own_servers
from tests.conformance.kube import JSON_PATCH, meta
from tests.conformance.names import answers
from tests.conformance.test_custom_resources import CRD, definition, established, paths

TEXT = {"type": "string"}
OLD = {"type": "object", "properties": {"hostPort": TEXT}}
NEW = {"type": "object", "properties": {"host": TEXT, "port": TEXT}}


def converted(obj, version):
    made = {**obj, "apiVersion": version}
    if version.endswith("/v2"):
        made["host"], _, made["port"] = made.pop("hostPort", "").partition(":")
    else:
        made["hostPort"] = f"{made.pop('host', '')}:{made.pop('port', '')}"
    return made


class Converter(http.server.BaseHTTPRequestHandler):
    def log_message(self, *arguments):
        pass

    def do_POST(self):
        review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        request = review["request"]
        made = [converted(obj, request["desiredAPIVersion"]) for obj in request["objects"]]
        response = {"uid": request["uid"], "convertedObjects": made, "result": {"status": "Success"}}
        body = json.dumps({**review, "response": response}).encode()
        self.server.asked += 1
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def crd(kube, everywhere, tmp_path):
    """Served in both versions, stored in the first."""
    with own_servers.serving(everywhere, Converter, tmp_path) as listening:
        listening.asked = 0
        own_servers.publish(kube, listening, "conversion", 9443)
        body = definition(f"{kube.namespace}.example.com", versions=("v1", "v2"))
        for version, schema, fields in zip(
            body["spec"]["versions"], (OLD, NEW), (("hostPort",), ("host", "port")), strict=True
        ):
            version["schema"] = {"openAPIV3Schema": schema}
            version["selectableFields"] = [{"jsonPath": f".{field}"} for field in fields]
        service = {"name": "conversion", "namespace": kube.namespace, "port": 9443, "path": "/crdconvert"}
        bundle = base64.b64encode(listening.authority.certificate_pem).decode()
        body["spec"]["conversion"] = {
            "strategy": "Webhook",
            "webhook": {
                "clientConfig": {"service": service, "caBundle": bundle},
                "conversionReviewVersions": ["v1", "v1beta1"],
            },
        }
        made = everywhere.create(body)
        name = made["metadata"]["name"]
        made = everywhere.wait(CRD, name, established)
        made["converter"] = listening
        yield made
        everywhere.delete(CRD, name)
        everywhere.gone(CRD, name)


def old(crd, name, host_port):
    group = crd["spec"]["group"]
    return {"apiVersion": f"{group}/v1", "kind": "Foo", "metadata": meta(name), "hostPort": host_port}


def new(crd, name, host, port):
    group = crd["spec"]["group"]
    return {"apiVersion": f"{group}/v2", "kind": "Foo", "metadata": meta(name), "host": host, "port": port}


@answers(
    "[sig-api-machinery] CustomResourceConversionWebhook [Privileged:ClusterAdmin] should be able to convert from CR v1 to CR v2"
)
def test_one_version_to_the_other(kube, crd):
    first, second = (paths(crd, kube.namespace, version) for version in ("v1", "v2"))
    kube.call("post", first, old(crd, "one", "localhost:8080"))
    seen = kube.call("get", f"{second}/one")
    assert (seen["apiVersion"].rpartition("/")[2], seen["host"], seen["port"]) == ("v2", "localhost", "8080")
    assert "hostPort" not in seen
    assert seen["metadata"]["uid"]
    seen["port"] = "9090"
    assert kube.call("put", f"{second}/one", seen)["port"] == "9090"
    assert kube.call("get", f"{first}/one")["hostPort"] == "localhost:9090"
    patch = {"metadata": {"labels": {"a": "b"}}, "host": "elsewhere"}
    patched = kube.call("patch", f"{second}/one", patch, headers={"Content-Type": "application/merge-patch+json"})
    assert patched["metadata"]["labels"] == {"a": "b"}
    assert kube.call("get", f"{first}/one")["hostPort"] == "elsewhere:9090"


@answers(
    "[sig-api-machinery] CustomResourceConversionWebhook [Privileged:ClusterAdmin] should be able to convert a non homogeneous list of CRs"
)
def test_a_list_of_both(kube, everywhere, crd):
    first, second = (paths(crd, kube.namespace, version) for version in ("v1", "v2"))
    kube.call("post", first, old(crd, "one", "a:1"))
    place = "/spec/versions"
    swap = [
        {"op": "replace", "path": f"{place}/0/storage", "value": False},
        {"op": "replace", "path": f"{place}/1/storage", "value": True},
    ]
    everywhere.patch(CRD, crd["metadata"]["name"], swap, how=JSON_PATCH)
    kube.call("post", second, new(crd, "two", "b", "2"))
    assert [item["hostPort"] for item in kube.call("get", first)["items"]] == ["a:1", "b:2"]
    assert [(item["host"], item["port"]) for item in kube.call("get", second)["items"]] == [("a", "1"), ("b", "2")]
    asked = crd["converter"].asked
    assert len(kube.call("get", first)["items"]) == len(kube.call("get", second)["items"]) == 2
    assert crd["converter"].asked == asked, "what is converted already is not asked for again"


@answers(
    "[sig-api-machinery] CustomResourceFieldSelectors [Privileged:ClusterAdmin] CustomResourceFieldSelectors MUST list and watch custom resources matching the field selector"
)
def test_field_selectors(kube, crd):
    first, second = (paths(crd, kube.namespace, version) for version in ("v1", "v2"))
    watcher = kube.within(kube.namespace)
    group = crd["spec"]["group"]
    kinds = {f"Foo {version}": (f"/apis/{group}/{version}", "", "foos", True) for version in ("v1", "v2")}
    watcher.kinds = {**kube.kinds, **kinds}
    with (
        watcher.watch("Foo v1", fieldSelector="hostPort=host1:80") as of_old,
        watcher.watch("Foo v2", fieldSelector="host=host1") as of_new,
        watcher.watch("Foo v2", fieldSelector="host=host1,port=80") as of_both,
    ):
        for name, host_port in (("one", "host1:80"), ("two", "host1:8080"), ("three", "host2:80")):
            kube.call("post", first, old(crd, name, host_port))
        kube.call("post", second, new(crd, "four", "host1", "80"))

        def seen(events, count):
            return [(event, obj["metadata"]["name"]) for event, obj in (next(events) for _ in range(count))]

        assert seen(of_old, 2) == [("ADDED", "one"), ("ADDED", "four")]
        assert seen(of_new, 3) == [("ADDED", "one"), ("ADDED", "two"), ("ADDED", "four")]
        assert seen(of_both, 2) == [("ADDED", "one"), ("ADDED", "four")]

        def listed(path, selector):
            return sorted(i["metadata"]["name"] for i in kube.call("get", path, fieldSelector=selector)["items"])

        assert listed(first, "hostPort=host1:80") == ["four", "one"]
        assert listed(second, "host=host1") == ["four", "one", "two"]
        assert listed(second, "host=host1,port=80") == ["four", "one"]
        kube.call("delete", first, fieldSelector="hostPort=host1:80")
        assert seen(of_old, 2) == [("DELETED", "four"), ("DELETED", "one")]
        assert seen(of_both, 2) == [("DELETED", "four"), ("DELETED", "one")]
        assert listed(second, "host!=nowhere") == ["three", "two"]

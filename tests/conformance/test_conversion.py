"""Custom resources whose versions differ: the test image's webhook converts ``hostPort`` to ``host`` and ``port``."""

import contextlib
import itertools
import os

import pytest

from tests.conformance import pod_servers
from tests.conformance.kube import JSON_PATCH, meta
from tests.conformance.names import answers
from tests.conformance.test_custom_resources import CRD, definition, established, paths

TEXT = {"type": "string"}
OLD = {"type": "object", "properties": {"hostPort": TEXT}}
NEW = {"type": "object", "properties": {"host": TEXT, "port": TEXT}}


@pytest.fixture(scope="module")
def converter(everywhere, testhost):
    """The official suite's conversion webhook behind a Service, in a namespace of its own."""
    space = f"crd-webhook-{os.getpid()}"
    everywhere.create({"kind": "Namespace", "metadata": meta(space)})
    everywhere.wait("ServiceAccount", "default", bool, namespace=space)
    within = everywhere.within(space)
    yield pod_servers.start(within, testhost, "e2e-test-crd-conversion-webhook", "crd-conversion-webhook")
    everywhere.delete("Namespace", space)


@pytest.fixture
def crd(kube, everywhere, converter):
    """Served in both versions, stored in the first."""
    body = definition(f"{kube.namespace}.example.com", versions=("v1", "v2"))
    for version, schema, fields in zip(
        body["spec"]["versions"], (OLD, NEW), (("hostPort",), ("host", "port")), strict=True
    ):
        version["schema"] = {"openAPIV3Schema": schema}
        version["selectableFields"] = [{"jsonPath": f".{field}"} for field in fields]
    client = {**converter, "service": {**converter["service"], "path": "/crdconvert"}}
    body["spec"]["conversion"] = {
        "strategy": "Webhook",
        "webhook": {"clientConfig": client, "conversionReviewVersions": ["v1", "v1beta1"]},
    }
    name = everywhere.create(body)["metadata"]["name"]
    yield everywhere.wait(CRD, name, established)
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


@answers(
    "[sig-api-machinery] CustomResourceFieldSelectors [Privileged:ClusterAdmin] CustomResourceFieldSelectors MUST list and watch custom resources matching the field selector"
)
def test_field_selectors(kube, crd):
    first, second = (paths(crd, kube.namespace, version) for version in ("v1", "v2"))
    watcher = kube.within(kube.namespace)
    group = crd["spec"]["group"]
    kinds = {f"Foo {version}": (f"/apis/{group}/{version}", "", "foos", True) for version in ("v1", "v2")}
    watcher.kinds = {**kube.kinds, **kinds}
    # its events are the objects there are, a bookmark, and what happens from then on
    begun = {"sendInitialEvents": "true", "allowWatchBookmarks": "true", "resourceVersionMatch": "NotOlderThan"}
    selectors = {"host": "host=host1", "both": "host=host1,port=80"}
    with contextlib.ExitStack() as later:

        def watched(version, selector, **more):
            return later.enter_context(watcher.watch(f"Foo {version}", fieldSelector=selector, **more))

        watches = {"old": watched("v1", "hostPort=host1:80")}
        for name, selector in selectors.items():
            watches[name] = watched("v2", selector)
            watches[f"initial {name}"] = watched("v2", selector, **begun)
        for name, host, port in (("one", "host1", "80"), ("two", "host1", "8080"), ("three", "host2", "80")):
            kube.call("post", second, new(crd, name, host, port))

        def seen(watch, count):
            events = (event for event in watches[watch] if event[0] != "BOOKMARK")
            return [(event, obj["metadata"]["name"]) for event, obj in itertools.islice(events, count)]

        def listed(path, selector):
            return sorted(i["metadata"]["name"] for i in kube.call("get", path, fieldSelector=selector)["items"])

        assert listed(second, "host=host1") == ["one", "two"]
        assert listed(second, "host=host1,port=80") == ["one"]
        assert listed(first, "hostPort=host1:80") == ["one"]
        assert listed(first, "hostPort=host1:8080") == ["two"]
        assert listed(second, "host!=host1") == ["three"]
        options = {"kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": 0}
        kube.call("delete", second, options, fieldSelector="host=host1,port=80")
        moved = kube.call("get", f"{second}/two")
        kube.call("put", f"{second}/two", {**moved, "host": "host2"})
        assert listed(second, "host=host1") == listed(second, "host=host1,port=80") == []
        for watch in ("host", "initial host"):
            assert seen(watch, 4) == [("ADDED", "one"), ("ADDED", "two"), ("DELETED", "one"), ("DELETED", "two")]
        for watch in ("old", "both", "initial both"):
            assert seen(watch, 2) == [("ADDED", "one"), ("DELETED", "one")]

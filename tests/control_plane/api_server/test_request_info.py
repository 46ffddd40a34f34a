import pytest

from kubeshim.control_plane.api_server import request_info


@pytest.mark.parametrize(
    ("method", "target", "expected"),
    [
        ("GET", "/api/v1/namespaces/a/pods", "list  v1 a pods  "),
        ("GET", "/api/v1/namespaces/a/pods?watch=1", "watch  v1 a pods  "),
        ("GET", "/api/v1/namespaces/a/pods?watch=false", "list  v1 a pods  "),
        ("GET", "/api/v1/pods?fieldSelector=metadata.name%3Dx", "list  v1  pods  x"),
        ("GET", "/api/v1/namespaces/a/pods/x", "get  v1 a pods  x"),
        ("HEAD", "/api/v1/namespaces/a/pods/x", "get  v1 a pods  x"),
        ("POST", "/apis/apps/v1/namespaces/a/deployments", "create apps v1 a deployments  "),
        ("PUT", "/apis/apps/v1/namespaces/a/deployments/x/scale", "update apps v1 a deployments scale x"),
        ("PATCH", "/api/v1/nodes/x/status", "patch  v1  nodes status x"),
        ("DELETE", "/api/v1/namespaces/a/pods", "deletecollection  v1 a pods  "),
        ("DELETE", "/api/v1/namespaces/a", "delete  v1 a namespaces  a"),
        ("GET", "/api/v1/namespaces", "list  v1  namespaces  "),
        ("PUT", "/api/v1/namespaces/a/finalize", "update  v1 a namespaces finalize a"),
        ("GET", "/api/v1/namespaces/a/status", "get  v1 a namespaces status a"),
        ("GET", "/api/v1/watch/namespaces/a/pods", "watch  v1 a pods  "),
        ("GET", "/apis/apps/v1/watch/deployments", "watch apps v1  deployments  "),
        ("GET", "/api/v1/namespaces/a/services/x/proxy/b/c", "get  v1 a services proxy x"),
    ],
)
def test_resource_requests(method, target, expected):
    path, _, text = target.partition("?")
    query = {"fieldSelector": ["metadata.name=x"]} if "fieldSelector" in text else {}
    if text.startswith("watch="):
        query = {"watch": [text.removeprefix("watch=")]}
    info = request_info.parse(method, path, query)
    assert info.is_resource
    told = (info.verb, info.group, info.version, info.namespace, info.resource, info.subresource, info.name)
    assert " ".join(told) == expected


@pytest.mark.parametrize("path", ["/", "/api", "/api/v1", "/apis", "/apis/apps", "/apis/apps/v1", "/healthz"])
def test_other_requests(path):
    info = request_info.parse("GET", path, {})
    assert (info.is_resource, info.verb) == (False, "get")


def test_a_proxied_path_is_kept():
    info = request_info.parse("GET", "/api/v1/namespaces/a/services/x/proxy/b/c", {})
    assert info.parts == ("services", "x", "proxy", "b", "c")


def test_a_watch_of_nothing():
    info = request_info.parse("GET", "/api/v1/watch", {})
    assert info.malformed == "unable to determine kind and namespace from url, /api/v1/watch"

"""Requests made to hurt: each is refused by a 4xx (or answered), quickly, and the server goes on."""

import json
import socket
import time

import pytest

_WORK = 3.0
"""Seconds of the processor an answer may cost; time on the clock depends on what else goes on."""


def nested(depth):
    return '{"a":' * depth + "1" + "}" * depth


def bomb():
    """Nine aliases of nine aliases of …: 9⁹ values."""
    lines = ["a: &a [x,x,x,x,x,x,x,x,x]"]
    for index in range(1, 10):
        name, before = chr(97 + index), chr(96 + index)
        lines.append(f"{name}: &{name} [{','.join(['*' + before] * 9)}]")
    return "\n".join(lines)


JSON, YAML = "application/json", "application/yaml"
MERGE, STRATEGIC = "application/merge-patch+json", "application/strategic-merge-patch+json"
PATCH, APPLY = "application/json-patch+json", "application/apply-patch+yaml"
LARGE = json.dumps({"metadata": {"name": "b"}, "data": {"k": "x" * (3 << 20)}})
OPERATIONS = json.dumps([{"op": "test", "path": "/metadata/name", "value": "c"}] * 10_001)
COPIES = json.dumps(
    [{"op": "add", "path": "/data", "value": {"a": "x" * 1000}}]
    + [{"op": "copy", "from": "/data", "path": f"/data/{number}"} for number in range(40)]
)


@pytest.mark.parametrize(
    ("media_type", "body", "statuses"),
    [
        (JSON, LARGE, [413]),
        (YAML, LARGE, [413]),
        (MERGE, LARGE, [413]),
        (APPLY, LARGE, [413]),
        *[(media_type, nested(depth), [400]) for media_type in (JSON, MERGE, STRATEGIC) for depth in (10_000, 200_000)],
        *[(media_type, "a: " + "[" * 300_000, [400]) for media_type in (YAML, APPLY)],
        *[(media_type, "a: " + "{b: " * 100_000 + "1" + "}" * 100_000, [400]) for media_type in (YAML, APPLY)],
        (JSON, '{"metadata":{"name":"x"},"data":' + "[" * 100_000, [400]),
        (YAML, bomb(), [400]),
        (APPLY, bomb(), [400]),
        (PATCH, OPERATIONS, [413]),
        (PATCH, COPIES, [413, 422]),
        (JSON, '{"metadata":{"name":"n","generation":' + "9" * 100_000 + "}}", [400]),
        (JSON, b"\xff\xfe\x00", [400]),
        (JSON, "NaN", [400]),
        ("application/vnd.kubernetes.protobuf", b"k8s\0" + b"\xff" * 1000, [400]),
        ("application/vnd.kubernetes.protobuf", b"k8s\0\x0a\xff\xff\xff\xff\x0f", [400]),
        ("application/cbor", b"\xd9\xd9\xf7\xa0", [415]),
        (JSON, json.dumps({"metadata": {"name": "n", "finalizers": ["a"] * 50_000}}), [422]),
    ],
)  # fmt: skip
def test_bodies(running, configmaps, media_type, body, statuses):
    running.ask("POST", configmaps, {"metadata": {"name": "c"}})
    began = time.process_time()
    if "patch" in media_type:
        answer = running.ask("PATCH", f"{configmaps}/c?fieldManager=me", body, media_type)
    else:
        answer = running.ask("POST", configmaps, body, media_type)
    assert answer.status in statuses, answer.body
    assert time.process_time() - began < _WORK
    assert running.ask("GET", f"{configmaps}/c").status == 200


@pytest.mark.parametrize(
    ("query", "statuses"),
    [
        ("labelSelector=" + "(" * 30_000, [400]),
        ("labelSelector=a+in+(" + ",".join(f"x{number}" for number in range(8000)) + ")", [200]),
        ("labelSelector=" + ",".join(f"a{number}%3Db" for number in range(5000)), [200]),
        ("labelSelector=" + "!" * 30_000, [400]),
        ("labelSelector=a%00b", [400]),
        ("fieldSelector=" + ",".join(f"metadata.name%3Db{number}" for number in range(2000)), [200]),
        ("fieldSelector=" + "%5C" * 10_001, [400]),
        ("limit=" + "9" * 5000, [400]),
        ("limit=9223372036854775808", [400]),
        ("resourceVersion=" + "9" * 30_000, [400]),
        ("continue=" + "A" * 30_000, [400]),
        ("timeoutSeconds=" + "9" * 5000 + "&watch=1", [400]),
    ],
)
def test_queries(running, configmaps, query, statuses):
    began = time.process_time()
    answer = running.ask("GET", f"{configmaps}?{query}")
    assert answer.status in statuses, answer.body
    assert time.process_time() - began < _WORK


def raw(running, path):
    """Status and body of a path sent as it is."""
    with socket.create_connection(("127.0.0.1", running.port), timeout=60) as connection:
        connection.sendall(b"GET " + path + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answer = b"".join(iter(lambda: connection.recv(1 << 16), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), body


@pytest.mark.parametrize(
    "path",
    [
        b"/api/v1/namespaces/../nodes",
        b"/api/v1/namespaces/a/configmaps/..",
        b"/api/v1/namespaces/a/configmaps/%2e%2e%2f%2e%2e",
        b"/api/v1/namespaces/a/configmaps/a%00b",
        b"/api/v1/namespaces/a/configmaps/a%2fb",
        b"/api/v1//namespaces/",
        b"/apis/../api/v1/nodes",
        b"/logs/../../etc/passwd",
        b"/logs/%2e%2e/%2e%2e/etc/passwd",
        b"/openapi/v3/../../etc/passwd",
        b"/openapi/v3/apis/%2e%2e%2f%2e%2e",
        b"/api/v1/namespaces/a/pods/x/log?container=../../x",
        b"/api/v1/nodes/../proxy/logs/",
        b"/api/v1/namespaces/\xff\xfe/configmaps",
        b"/" + b"a" * 100_000,
        b"/api/v1/namespaces/a/configmaps/" + b"a/" * 10_000,
    ],
)
def test_paths_that_want_out(running, path):
    status, body = raw(running, path)
    assert 400 <= status < 500, body
    assert b"root:" not in body


@pytest.mark.parametrize("name", ["..", ".", "a/b", "a%2fb", "../../etc/passwd", "a/../b"])
@pytest.mark.parametrize(
    "path", ["/apis/rbac.authorization.k8s.io/v1/clusterroles", "/apis/certificates.k8s.io/v1/clustertrustbundles"]
)
def test_names_that_would_be_paths(running, path, name):
    answer = running.ask("POST", path, {"metadata": {"name": name}})
    assert (answer.status, answer.body["reason"]) == (422, "Invalid")


def test_numbers_too_long_to_be_worked_through(running, namespace):
    amounts = {"cpu": "9" * 100_000, "memory": "1e" + "9" * 5000, "example.com/x": "0." + "0" * 100_000 + "1"}
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": amounts["cpu"]}}}
    path = f"/api/v1/namespaces/{namespace}"
    made = running.ask("POST", f"{path}/persistentvolumeclaims", {"metadata": {"name": "c"}, "spec": claim})
    assert made.status == 201
    answer = running.ask("POST", f"{path}/resourcequotas", {"metadata": {"name": "q"}, "spec": {"hard": amounts}})
    assert answer.status in (201, 422), answer.body

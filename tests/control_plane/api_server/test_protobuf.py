"""Answers in protobuf: what JSON says, in the other form, wherever a client asks for it."""

import gzip
import json
import struct
import zlib

import pytest
import yaml

from kubeshim.machinery.codecs import protobuf, protobuf_reader
from tests.control_plane.api_server.operations import catalogue

PROTOBUF = "application/vnd.kubernetes.protobuf"
STREAM = f"{PROTOBUF};stream=watch"
PARTIAL = f"{PROTOBUF};as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
PARTIALS = f"{PROTOBUF};as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
WATCH_EVENT = "k8s.io.apimachinery.pkg.apis.meta.v1.WatchEvent"
POD = {"metadata": {"name": "p", "labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}


@pytest.fixture
def pods(running, namespace):
    path = f"/api/v1/namespaces/{namespace}/pods"
    assert running.ask("POST", f"/api/v1/namespaces/{namespace}/serviceaccounts", {"metadata": {"name": "default"}})
    assert running.ask("POST", path, POD).status == 201
    return path


def decoded(answer, status=200):
    assert (answer.status, answer.headers["Content-Type"]) == (status, PROTOBUF), answer.raw
    return protobuf.decode(answer.raw)


def frames(raw):
    """``(type, object)`` of each frame."""
    found, at = [], 0
    while at < len(raw):
        (size,) = struct.unpack(">I", raw[at : at + 4])
        fields = _delimited(raw[at + 4 : at + 4 + size])
        found.append((fields[1].decode(), protobuf.decode(_delimited(fields[2])[1])))
        at += 4 + size
    return found


def _delimited(message):
    found, at = {}, 0
    while at < len(message):
        tag, at = protobuf_reader.varint(message, at)
        length, at = protobuf_reader.varint(message, at)
        found[tag >> 3] = message[at : at + length]
        at += length
    return found


def streamed(running, path, **headers):
    """``(headers, body)`` of a watch that ends."""
    connection = running.connection()
    connection.request("GET", path, headers={"User-Agent": "test/1", **headers})
    answer = connection.getresponse()
    raw = answer.read()
    connection.close()
    return answer.headers, raw


def said(value):
    """Without nulls, which protobuf does not have: an unset time, a list of nothing."""
    if isinstance(value, dict):
        return {key: said(child) for key, child in value.items() if child is not None and child != []}
    return [said(child) for child in value] if isinstance(value, list) else value


def without_types(obj):
    return {key: value for key, value in obj.items() if key not in ("kind", "apiVersion")}


def test_every_verb(running, pods):
    one = f"{pods}/p"
    assert decoded(running.ask("GET", one, Accept=PROTOBUF)) == running.ask("GET", one).body
    listed = decoded(running.ask("GET", pods, Accept=PROTOBUF))
    assert listed == running.ask("GET", pods).body
    made = decoded(running.ask("POST", pods, {**POD, "metadata": {"name": "q"}}, Accept=PROTOBUF), 201)
    assert made == running.ask("GET", f"{pods}/q").body
    made["metadata"]["labels"] = {"x": "y"}
    put = decoded(running.ask("PUT", f"{pods}/q", protobuf.encode(made), PROTOBUF, Accept=PROTOBUF))
    assert put == running.ask("GET", f"{pods}/q").body
    assert put["metadata"]["labels"] == {"x": "y"}
    merge = "application/merge-patch+json"
    patch = {"metadata": {"labels": {"x": "z"}}}
    assert decoded(running.ask("PATCH", f"{pods}/q", patch, merge, Accept=PROTOBUF))["metadata"]["labels"] == {"x": "z"}
    options = protobuf.encode({"apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": 0})
    assert decoded(running.ask("DELETE", f"{pods}/q", options, PROTOBUF, Accept=PROTOBUF))["metadata"]["name"] == "q"
    many = decoded(running.ask("DELETE", pods, Accept=PROTOBUF))
    assert (many["kind"], [item["metadata"]["name"] for item in many["items"]]) == ("PodList", ["p"])


def test_subresources(running, pods):
    status = running.ask("GET", f"{pods}/p/status", Accept=PROTOBUF)
    assert decoded(status) == running.ask("GET", f"{pods}/p").body
    binding = {
        "apiVersion": "v1",
        "kind": "Binding",
        "metadata": {"name": "p"},
        "target": {"name": "n", "kind": "Node"},
    }
    bound = decoded(running.ask("POST", f"{pods}/p/binding", protobuf.encode(binding), PROTOBUF, Accept=PROTOBUF), 201)
    assert (bound["kind"], bound["status"], bound["code"]) == ("Status", "Success", 201)
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "p"}}
    evicted = decoded(
        running.ask("POST", f"{pods}/p/eviction", protobuf.encode(eviction), PROTOBUF, Accept=PROTOBUF), 201
    )
    assert evicted["status"] == "Success"
    apps = pods.replace("/api/v1", "/apis/apps/v1").replace("pods", "deployments")
    template = {"metadata": {"labels": {"a": "b"}}, "spec": POD["spec"]}
    web = {"metadata": {"name": "w"}, "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": template}}
    assert running.ask("POST", apps, web).status == 201
    scale = decoded(running.ask("GET", f"{apps}/w/scale", Accept=PROTOBUF))
    assert (scale["kind"], scale["apiVersion"], scale["spec"]) == ("Scale", "autoscaling/v1", {"replicas": 1})
    scale["spec"]["replicas"] = 0
    scaled = decoded(running.ask("PUT", f"{apps}/w/scale", protobuf.encode(scale), PROTOBUF, Accept=PROTOBUF))
    assert scaled["spec"] == {}
    assert running.ask("GET", f"{apps}/w").body["spec"]["replicas"] == 0
    review = {
        "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": {"verb": "get", "resource": "pods"}},
    }  # fmt: skip
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    answer = decoded(running.ask("POST", path, protobuf.encode(review), PROTOBUF, Accept=PROTOBUF), 201)
    assert answer["status"] == {"allowed": True}


def test_errors(running, pods):
    missing = decoded(running.ask("GET", f"{pods}/none", Accept=PROTOBUF), 404)
    assert missing == running.ask("GET", f"{pods}/none").body
    wrong = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "UPPER"}, "spec": {}}
    invalid = decoded(running.ask("POST", pods, wrong, Accept=f"{PROTOBUF},application/json"), 422)
    assert {cause["field"] for cause in invalid["details"]["causes"]} >= {"metadata.name", "spec.containers"}
    # What cannot be told in any form asked for is told in JSON.
    refused = running.ask("GET", f"{pods}/none", Accept="image/png")
    assert (refused.status, refused.body["reason"]) == (406, "NotAcceptable")
    assert refused.raw.startswith(b'{\n  "kind": "Status"')


def test_metadata_alone(running, pods):
    as_json = "application/json;as=PartialObjectMetadata{};g=meta.k8s.io;v=v1"
    one = decoded(running.ask("GET", f"{pods}/p", Accept=f"{PARTIAL},application/json"))
    assert one == running.ask("GET", f"{pods}/p", Accept=as_json.format("")).body
    listed = decoded(running.ask("GET", pods, Accept=PARTIALS))
    expected = running.ask("GET", pods, Accept=as_json.format("List")).body
    assert [without_types(item) for item in expected["items"]] == listed.pop("items")
    assert {key: value for key, value in expected.items() if key != "items"} == listed
    # Tables are not written in protobuf.
    table = f"{PROTOBUF};as=Table;g=meta.k8s.io;v=v1"
    assert running.ask("GET", pods, Accept=table).status == 406
    assert running.ask("GET", pods, Accept=f"{table},application/json").body["kind"] == "PodList"


def test_watches(running, pods):
    start = running.ask("GET", pods).body["metadata"]["resourceVersion"]
    changed = running.ask(
        "PATCH", f"{pods}/p", {"metadata": {"labels": {"a": "c"}}}, "application/merge-patch+json"
    ).body
    gone = running.ask("DELETE", f"{pods}/p", {"gracePeriodSeconds": 0}).body
    query = f"{pods}?watch=1&timeoutSeconds=1&resourceVersion={start}"
    plain = [(event["type"], event["object"]) for event in running.watch(query)]
    answer = running.ask("GET", query, Accept=STREAM)
    assert answer.headers["Content-Type"] == STREAM
    assert frames(answer.raw) == plain
    assert [kind for kind, _ in plain] == ["MODIFIED", "MODIFIED", "DELETED"]  # changed, marked, gone
    assert (plain[0][1], plain[2][1]["metadata"]["uid"]) == (changed, gone["metadata"]["uid"])
    partial = frames(running.ask("GET", query, Accept=f"{PARTIAL};stream=watch").raw)
    assert [obj["kind"] for _, obj in partial] == ["PartialObjectMetadata"] * 3
    assert partial[0][1]["metadata"] == changed["metadata"]
    refused = running.ask("GET", f"{pods}?watch=1&resourceVersion=99999999&timeoutSeconds=1", Accept=PROTOBUF)
    for kind, obj in frames(refused.raw):
        assert (kind, obj["kind"], obj["status"]) == ("ERROR", "Status", "Failure")


def test_the_initial_events_of_a_watch(running, pods):
    answer = running.ask("GET", f"{pods}?watch=1&timeoutSeconds=1&allowWatchBookmarks=true", Accept=PROTOBUF)
    (kind, obj), (last, bookmark) = frames(answer.raw)
    assert (kind, obj) == ("ADDED", running.ask("GET", f"{pods}/p").body)
    assert (last, bookmark["kind"]) == ("BOOKMARK", "Pod")
    assert bookmark["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}


@pytest.mark.parametrize("accept", ["application/json", PROTOBUF])
def test_watches_that_begin_with_a_list_are_compressed(running, pods, accept):
    query = f"{pods}?watch=1&timeoutSeconds=1&resourceVersion=0"
    listing = f"{query}&allowWatchBookmarks=true"
    headers, packed = streamed(running, listing, **{"Accept": accept, "Accept-Encoding": "deflate, gzip"})
    assert (headers["Content-Encoding"], headers["Vary"]) == ("gzip", "Accept-Encoding")
    headers, plain = streamed(running, listing, Accept=accept)
    assert "Content-Encoding" not in headers
    assert gzip.decompress(packed) == plain
    for other in (query, listing.replace("resourceVersion=0", "resourceVersion=1")):
        headers, _ = streamed(running, other, **{"Accept": accept, "Accept-Encoding": "gzip"})
        assert "Content-Encoding" not in headers


def test_compressed_events_arrive_one_by_one(running, configmaps):
    connection = running.connection()
    path = f"{configmaps}?watch=1&timeoutSeconds=20&allowWatchBookmarks=true"
    connection.request("GET", path, headers={"Accept-Encoding": "gzip", "User-Agent": "test/1"})
    answer = connection.getresponse()
    reader = zlib.decompressobj(16 + zlib.MAX_WBITS)

    def event():
        text = b""
        while not text.endswith(b"\n"):
            text += reader.decompress(answer.read1())
        return json.loads(text)

    assert event()["type"] == "BOOKMARK"
    for name in ("a", "b"):
        running.ask("POST", configmaps, {"metadata": {"name": name}})
        assert event()["object"]["metadata"]["name"] == name
    connection.close()


def test_large_answers_are_compressed(running, configmaps):
    for name, size in (("big", 140_000), ("small", 100_000)):
        body = {"metadata": {"name": name}, "data": {"k": "x" * size}}
        for path, method in ((configmaps, "POST"), (f"{configmaps}/{name}", "GET")):
            answer = running.ask(method, path, body, Accept=PROTOBUF, Accept_Encoding="gzip")
            assert answer.headers.get("Content-Encoding") == ("gzip" if name == "big" else None)
            raw = gzip.decompress(answer.raw) if name == "big" else answer.raw
            assert protobuf.decode(raw)["data"] == body["data"]
        assert "Content-Encoding" not in running.ask("GET", path, Accept_Encoding="gzip;q=0.5").headers


COLLECTIONS = sorted(
    {
        one.path
        for family in catalogue.families().values()
        for one in family
        if one.method == "GET" and "{" not in one.path and len(one.place) == 1
    }
)


@pytest.mark.parametrize("path", COLLECTIONS)
def test_every_built_in_list(running, path):
    found = decoded(running.ask("GET", path, Accept=PROTOBUF))
    assert said(found) == said(running.ask("GET", path).body)


DOCUMENTS = ["/api", "/apis", "/apis/apps", "/api/v1", "/apis/apps/v1"]


@pytest.mark.parametrize("path", DOCUMENTS)
def test_discovery(running, path):
    plain = running.ask("GET", path).body
    assert without_types(decoded(running.ask("GET", path, Accept=PROTOBUF))) == without_types(plain)
    assert yaml.safe_load(running.ask("GET", path, Accept="application/yaml").raw) == plain
    assert running.ask("GET", path, Accept="image/png").status == 406
    aggregated = "{};g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    if path.count("/") == 1:
        answer = running.ask("GET", path, Accept=aggregated.format(PROTOBUF))
        assert answer.headers["Content-Type"] == aggregated.format(PROTOBUF)
        expected = running.ask("GET", path, Accept=aggregated.format("application/json")).body
        assert without_types(protobuf.decode(answer.raw)) == without_types(expected)


def test_what_is_always_json(running):
    for path in ("/version", "/openapi/v3", "/"):
        assert running.ask("GET", path, Accept=f"{PROTOBUF},*/*").headers["Content-Type"] == "application/json"

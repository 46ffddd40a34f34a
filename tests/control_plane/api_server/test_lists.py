"""LIST: order, selectors, pages, resourceVersion, forms."""

import base64
import gzip
import json
from urllib import parse

import pytest


@pytest.fixture
def pods(running, namespace):
    """Ten config maps ``p0`` … ``p9`` and their path; the even ones are labelled."""
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    for number in (3, 1, 0, 2, 9, 8, 7, 5, 4, 6):
        labels = {"app": "even"} if number % 2 == 0 else {}
        answer = running.ask("POST", path, {"metadata": {"name": f"p{number}", "labels": labels}, "data": {"k": "v"}})
        assert answer.status == 201
    return path


def names(answer):
    assert answer.status == 200, answer.body
    return [item["metadata"]["name"] for item in answer.body["items"]]


def test_lists_are_in_key_order_and_items_of_built_in_kinds_carry_no_kind(running, pods):
    answer = running.ask("GET", pods)
    assert names(answer) == [f"p{number}" for number in range(10)]
    assert (answer.body["kind"], answer.body["apiVersion"]) == ("ConfigMapList", "v1")
    assert "kind" not in answer.body["items"][0]
    single = running.ask("GET", f"{pods}/p0").body
    assert {"kind": "ConfigMap", "apiVersion": "v1", **answer.body["items"][0]} == single


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("labelSelector=app%3Deven", "02468"),
        ("labelSelector=app!%3Deven", "13579"),
        ("labelSelector=app+in+(even,odd)", "02468"),
        ("fieldSelector=metadata.name%3Dp3", "3"),
        ("fieldSelector=metadata.name!%3Dp3", "012456789"),
        ("labelSelector=app%3Deven&fieldSelector=metadata.name%3Dp3", ""),
        ("labelSelector=app%3Deven&limit=2", "02"),
    ],
)
def test_selectors(running, pods, query, expected):
    assert names(running.ask("GET", f"{pods}?{query}")) == [f"p{number}" for number in expected]


@pytest.mark.parametrize(
    ("query", "status", "text"),
    [
        ("labelSelector=a%3D%3D%3Db", 400, "unable to parse requirement"),
        ("fieldSelector=spec.x%3Da", 400, '"spec.x" is not a known field selector: only "metadata.name"'),
        ("limit=many", 400, "invalid syntax"),
        ("limit=", 400, 'strconv.ParseInt: parsing "": invalid syntax'),
        ("continue=nonsense", 400, "continue key is not valid"),
        ("resourceVersion=abc", 400, 'Invalid value: "abc"'),
        ("resourceVersionMatch=Exact", 422, "resourceVersionMatch is forbidden unless resourceVersion is provided"),
        ("resourceVersion=0&resourceVersionMatch=Exact", 422, "is forbidden for resourceVersion"),
        ("resourceVersion=1&resourceVersionMatch=Near", 422, "Unsupported value"),
        ("sendInitialEvents=true", 422, "sendInitialEvents is forbidden for list"),
    ],
)  # fmt: skip
def test_queries_that_are_refused(running, pods, query, status, text):
    answer = running.ask("GET", f"{pods}?{query}")
    assert (answer.status, text in answer.body["message"]) == (status, True), answer.body


@pytest.mark.parametrize(
    ("path", "selector", "told"),
    [
        ("/api/v1/pods", "spec.host=nowhere,status.podIPs=", None),
        ("/api/v1/nodes", "metadata.namespace=", "field label not supported: metadata.namespace"),
        ("/apis/batch/v1/jobs", "status.active=1", 'field label "status.active" not supported for batchv1.Job'),
        (
            "/apis/resource.k8s.io/v1/resourceslices",
            "spec.pool=p",
            "field label not supported for resource.k8s.io/v1, Kind=ResourceSlice: spec.pool",
        ),
        (
            "/apis/apps/v1/replicasets",
            "status.replicas=0",
            '"status.replicas" is not a known field selector: only "metadata.name", "metadata.namespace"',
        ),
    ],
)
def test_fields_that_select(running, path, selector, told):
    answer = running.ask("GET", f"{path}?fieldSelector={parse.quote(selector)}")
    assert (answer.status, answer.body.get("message")) == (400 if told else 200, told)


def test_pages_show_one_revision_whatever_happens_between(running, pods):
    first = running.ask("GET", f"{pods}?limit=4").body
    metadata = first["metadata"]
    assert (len(first["items"]), metadata["remainingItemCount"]) == (4, 6)
    running.ask("DELETE", f"{pods}/p5")
    running.ask("POST", pods, {"metadata": {"name": "p55"}})
    running.ask("PATCH", f"{pods}/p6", {"data": {"k": "new"}}, "application/merge-patch+json")
    second = running.ask("GET", f"{pods}?limit=4&continue={metadata['continue']}").body
    assert [item["metadata"]["name"] for item in second["items"]] == ["p4", "p5", "p6", "p7"]
    assert second["items"][2]["data"] == {"k": "v"}
    assert second["metadata"]["resourceVersion"] == metadata["resourceVersion"]
    last = running.ask("GET", f"{pods}?limit=4&continue={second['metadata']['continue']}").body
    assert [item["metadata"]["name"] for item in last["items"]] == ["p8", "p9"]
    assert "continue" not in last["metadata"]
    exact = running.ask("GET", f"{pods}?resourceVersion={metadata['resourceVersion']}&resourceVersionMatch=Exact")
    assert names(exact) == [f"p{number}" for number in range(10)]


def test_resource_versions_of_lists(running, pods):
    now = running.ask("GET", pods).body["metadata"]["resourceVersion"]
    for query in (
        "resourceVersion=0",
        f"resourceVersion={now}",
        f"resourceVersion={now}&resourceVersionMatch=NotOlderThan",
    ):
        assert len(names(running.ask("GET", f"{pods}?{query}"))) == 10
    assert len(names(running.ask("GET", f"{pods}?resourceVersion=0&limit=3"))) == 10
    assert len(names(running.ask("GET", f"{pods}?resourceVersion={now}&limit=3"))) == 3


def test_a_version_from_the_future_is_waited_for_and_refused(running, pods):
    answer = running.ask("GET", f"{pods}?resourceVersion=99999999")
    assert (answer.status, answer.body["reason"]) == (504, "Timeout")
    assert "Too large resource version: 99999999, current:" in answer.body["message"]
    assert answer.body["details"]["causes"][0]["reason"] == "ResourceVersionTooLarge"
    assert answer.headers["Retry-After"] == "1"


def test_compacted_pages_expire_and_tell_how_to_go_on(running, pods):
    first = running.ask("GET", f"{pods}?limit=4").body["metadata"]
    # More changes than the cache remembers, so that the store is asked.
    for number in range(1100):
        running.ask("PATCH", f"{pods}/p0", {"data": {"k": str(number)}}, "application/merge-patch+json")
    still = running.ask("GET", f"{pods}?limit=4&continue={first['continue']}")
    assert names(still) == ["p4", "p5", "p6", "p7"]
    running.call(lambda: running.server.in_thread(running.server.store.compact, running.server.store.revision()))
    gone = running.ask("GET", f"{pods}?limit=4&continue={first['continue']}")
    assert (gone.status, gone.body["reason"]) == (410, "Expired")
    rest = gone.body["metadata"]["continue"]
    assert json.loads(base64.urlsafe_b64decode(rest + "=="))["rv"] == -1
    assert names(running.ask("GET", f"{pods}?limit=4&continue={rest}")) == ["p4", "p5", "p6", "p7"]
    exact = running.ask("GET", f"{pods}?resourceVersion={first['resourceVersion']}&resourceVersionMatch=Exact")
    assert exact.status == 410


def test_across_namespaces(running, pods):
    answer = running.ask("GET", "/api/v1/configmaps?labelSelector=app%3Deven")
    assert {item["metadata"]["namespace"] for item in answer.body["items"]} >= {pods.split("/")[4]}


def test_tables_and_bare_metadata(running, pods):
    table = running.ask("GET", pods, Accept="application/json;as=Table;v=v1;g=meta.k8s.io").body
    assert (table["kind"], table["apiVersion"], len(table["rows"])) == ("Table", "meta.k8s.io/v1", 10)
    assert table["columnDefinitions"][0]["name"] == "Name"
    assert table["rows"][0]["object"]["kind"] == "PartialObjectMetadata"
    accept = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io,application/json"
    partial = running.ask("GET", pods, Accept=accept).body
    assert (partial["kind"], set(partial["items"][0])) == (
        "PartialObjectMetadataList",
        {"kind", "apiVersion", "metadata"},
    )
    accept = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"
    assert running.ask("GET", f"{pods}/p1", Accept=accept).body["kind"] == "PartialObjectMetadata"


@pytest.mark.parametrize("place", ["", "/p1", "?watch=1"])
def test_tables_of_what_there_is_not(running, pods, place):
    path = f"{pods}{place}{'&' if '?' in place else '?'}includeObject=All"
    answer = running.ask("GET", path, Accept="application/json;as=Table;v=v1;g=meta.k8s.io")
    text = "includeObject: Invalid value: \"All\": must be 'Metadata', 'Object', 'None', or empty"
    assert (answer.status, answer.body["message"]) == (400, f"Unable to convert to Table as requested: {text}")


def test_media_types(running, pods):
    assert running.ask("GET", f"{pods}/p1", Accept="application/yaml").raw.startswith(b"apiVersion: v1\n")
    assert running.ask("GET", f"{pods}/p1", Accept="application/vnd.kubernetes.protobuf").raw.startswith(b"k8s\0")
    assert running.ask("GET", pods, Accept="application/vnd.kubernetes.protobuf").raw.startswith(b"k8s\0")
    both = running.ask("GET", f"{pods}/p1", Accept="application/vnd.kubernetes.protobuf, application/json")
    assert both.headers["Content-Type"] == "application/vnd.kubernetes.protobuf"
    refused = running.ask("GET", f"{pods}/p1", Accept="image/png")
    assert (refused.status, refused.body["reason"]) == (406, "NotAcceptable")


def test_large_answers_are_compressed_for_who_accepts_it(running, configmaps):
    running.ask("POST", configmaps, {"metadata": {"name": "big"}, "data": {"k": "x" * 200_000}})
    plain = running.ask("GET", configmaps)
    packed = running.ask("GET", configmaps, Accept_Encoding="gzip")
    assert packed.headers["Content-Encoding"] == "gzip"
    connection = running.connection()
    connection.request("GET", configmaps, headers={"Accept-Encoding": "gzip", "User-Agent": "test/1"})
    raw = connection.getresponse().read()
    connection.close()
    assert gzip.decompress(raw) == plain.raw


def test_resource_versions_of_gets(running, pods):
    made = running.ask("GET", f"{pods}/p1").body
    now = made["metadata"]["resourceVersion"]
    for version in ("0", "1", now):
        assert running.ask("GET", f"{pods}/p1?resourceVersion={version}").body == made
    assert running.ask("GET", f"{pods}/p1?resourceVersion=x").status == 500
    assert running.ask("GET", f"{pods}/p1?resourceVersion=99999999").status == 504

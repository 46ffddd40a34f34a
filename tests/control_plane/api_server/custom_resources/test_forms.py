"""Custom objects have no protobuf form of their own; their metadata, their scale and what refuses them do."""

import pytest

from kubeshim.machinery.codecs import protobuf
from tests.control_plane.api_server import test_protobuf

PROTOBUF = test_protobuf.PROTOBUF


@pytest.fixture(scope="module")
def group(running, types):
    scale = {"specReplicasPath": ".spec.size", "statusReplicasPath": ".status.replicas"}
    return types.define(subresources={"status": {}, "scale": scale})


@pytest.fixture
def widgets(running, group, namespace):
    """The path of a namespace's widgets, of which there is one."""
    path = f"/apis/{group}/v1/namespaces/{namespace}/widgets"
    body = {"apiVersion": f"{group}/v1", "kind": "Widget", "metadata": {"name": "a", "labels": {"x": "y"}}}
    assert running.ask("POST", path, {**body, "spec": {"size": 2}}).status == 201
    return path


def test_json_where_it_is_accepted_as_well(running, widgets):
    for path in (f"{widgets}/a", widgets):
        answer = running.ask("GET", path, Accept=f"{PROTOBUF},application/json")
        assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json")


def test_protobuf_alone_is_not_acceptable(running, widgets):
    text = (
        "only the following media types are accepted: application/json, application/yaml, "
        "application/vnd.kubernetes.protobuf"
    )
    for path in (f"{widgets}/a", widgets, f"{widgets}?watch=1"):
        refused = test_protobuf.decoded(running.ask("GET", path, Accept=PROTOBUF), 406)
        assert (refused["reason"], refused["message"]) == ("NotAcceptable", text)


def test_metadata_in_protobuf(running, widgets):
    one = running.ask("GET", f"{widgets}/a").body
    partial = test_protobuf.decoded(running.ask("GET", f"{widgets}/a", Accept=test_protobuf.PARTIAL))
    assert (partial["kind"], partial["metadata"]) == ("PartialObjectMetadata", one["metadata"])
    listed = test_protobuf.decoded(running.ask("GET", widgets, Accept=f"{test_protobuf.PARTIALS},application/json"))
    assert [item["metadata"] for item in listed["items"]] == [one["metadata"]]
    accept = f"{test_protobuf.PARTIAL};stream=watch"
    told = test_protobuf.frames(running.ask("GET", f"{widgets}?watch=1&timeoutSeconds=1", Accept=accept).raw)
    assert [(kind, obj["metadata"]) for kind, obj in told] == [("ADDED", one["metadata"])]
    bookmarks = f"{widgets}?watch=1&timeoutSeconds=1&allowWatchBookmarks=true"
    told = test_protobuf.frames(running.ask("GET", bookmarks, Accept=accept).raw)
    assert [kind for kind, _ in told] == ["ADDED", "BOOKMARK"]


def test_a_scale_and_a_deletion_in_protobuf(running, widgets):
    scale = test_protobuf.decoded(running.ask("GET", f"{widgets}/a/scale", Accept=PROTOBUF))
    scale["spec"]["replicas"] = 3
    body = protobuf.encode(scale)
    assert test_protobuf.decoded(running.ask("PUT", f"{widgets}/a/scale", body, PROTOBUF, Accept=PROTOBUF))
    assert running.ask("GET", f"{widgets}/a").body["spec"]["size"] == 3
    options = protobuf.encode({"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"})
    accept = f"{PROTOBUF},application/json"
    gone = running.ask("DELETE", f"{widgets}/a", options, PROTOBUF, Accept=accept)
    assert (gone.status, gone.body["status"]) == (200, "Success")


def test_a_body_in_protobuf(running, widgets):
    pod = protobuf.encode({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "b"}})
    refused = running.ask("POST", widgets, pod, PROTOBUF)
    assert (refused.status, refused.body["reason"]) == (400, "BadRequest")
    assert "does not implement the protobuf marshalling interface" in refused.body["message"]

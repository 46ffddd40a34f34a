"""What counts as an answer of a conversion webhook, and what it may change."""

import json

import pytest

from kubeshim.control_plane.api_server.custom_resources import conversion
from tests.control_plane.api_server.custom_resources.conftest import CRDS
from tests.control_plane.api_server.custom_resources.test_definitions import version

OLD = {
    "apiVersion": "e.com/v1", "kind": "Foo",
    "metadata": {"name": "a", "uid": "u", "resourceVersion": "7", "labels": {"a": "b"}, "annotations": {"c": "d"}},
}  # fmt: skip
NEW = {**OLD, "apiVersion": "e.com/v2", "x": 1}


def body(**response):
    good = {"uid": "id", "convertedObjects": [NEW], "result": {"status": "Success"}}
    return json.dumps({"kind": "ConversionReview", "response": {**good, **response}}).encode()


def other(**metadata):
    return {**NEW, "metadata": {**NEW["metadata"], **metadata}}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"{", "couldn't get version/kind; json parse error"),
        (b"{}", "no response provided"),
        (body(uid="x"), 'expected response.uid="id", got "x"'),
        (body(result={"status": "Failure", "message": "no way"}), "no way"),
        (body(result={}), "response.result.status was '', not 'Success'"),
        (body(convertedObjects=[]), "returned 0 objects, expected 1"),
        (body(convertedObjects=[OLD]), "invalid groupVersion (expected e.com/v2, received e.com/v1)"),
        (body(convertedObjects=[{**NEW, "kind": "Bar"}]), "invalid kind (expected Foo, received Bar)"),
        (body(convertedObjects=[{**NEW, "metadata": None}]), "must have the same name: a != "),
        (
            body(convertedObjects=[other(labels={"a": 1})]),
            "returned invalid metadata in object at index 1: metadata.labels[a] must be a string, but is int64",
        ),
        (body(convertedObjects=[other(labels={"a": "/"})]), 'index 1: metadata.labels: Invalid value: "/": a valid'),
        (body(convertedObjects=[other(name="b")]), "must have the same name: a != b"),
        (body(convertedObjects=[other(uid="")]), "must have the same UID: u != "),
    ],
)
def test_bad_answers(text, why):
    with pytest.raises(conversion.BadAnswer) as caught:
        conversion.check([OLD], conversion.answer(text, "v1", "id"), "e.com/v2")
    assert why in str(caught.value)


def test_only_labels_and_annotations_of_metadata_change():
    [made] = conversion.answer(
        body(convertedObjects=[other(labels={"n": "1"}, annotations={}, finalizers=["f"], resourceVersion="9")]),
        "v1", "id",
    )  # fmt: skip
    conversion.check([OLD], [made], "e.com/v2")
    merged = conversion.with_metadata_of(OLD, made)
    assert merged["metadata"] == {"name": "a", "uid": "u", "resourceVersion": "7", "labels": {"n": "1"}}
    assert (merged["apiVersion"], merged["x"]) == ("e.com/v2", 1)


def test_what_is_done_in_the_stored_version_needs_no_conversion(types, namespace):
    """Whoever asks for another version gets none, and who follows it is left alone."""
    ask = types.running.ask
    group = types.define(versions=[version("v1"), version("v2", storage=True)])
    one, two = (f"/apis/{group}/{number}/namespaces/{namespace}/widgets" for number in ("v1", "v2"))
    made = {"apiVersion": f"{group}/v2", "kind": "Widget", "metadata": {"name": "a"}, "spec": {"x": 1}}
    at = ask("POST", two, made).body["metadata"]["resourceVersion"]
    webhook = {"clientConfig": {"url": "https://127.0.0.1:1/"}, "conversionReviewVersions": ["v1"]}
    change = {"spec": {"conversion": {"strategy": "Webhook", "webhook": webhook}}}
    merge = "application/merge-patch+json"
    assert ask("PATCH", f"{CRDS}/widgets.{group}", change, merge).status == 200
    followed = [types.running.watch(f"{path}?watch=1&resourceVersion={at}&timeoutSeconds=60") for path in (one, two)]
    assert ask("PATCH", f"{two}/a", {"spec": {"x": 2}}, merge).body["spec"] == {"x": 2}
    put = {**made, "apiVersion": f"{group}/v1"}
    for method, path, body in (("GET", f"{one}/a", None), ("GET", one, None), ("PUT", f"{one}/a", put)):
        assert ask(method, path, body).status == 500, path
    patched = ask("PATCH", f"{one}/a", {"spec": {"x": 3}}, merge)
    start = f"conversion for {group}/v2, Kind=Widget failed: conversion webhook for {group}/v2, Kind=Widget failed: "
    assert (patched.status, patched.body["message"].startswith(start)) == (500, True), patched.body
    assert ask("DELETE", f"{two}/a").status == 200
    assert list(followed[0]) == []
    told = [next(followed[1]) for _ in range(2)]
    assert [(event["type"], event["object"]["spec"]) for event in told] == [
        ("MODIFIED", {"x": 2}), ("DELETED", {"x": 2}),
    ]  # fmt: skip
    followed[1].close()

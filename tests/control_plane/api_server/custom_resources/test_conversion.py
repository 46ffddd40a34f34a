"""What counts as an answer of a conversion webhook, and what it may change."""

import json

import pytest

from kubeshim.control_plane.api_server.custom_resources import conversion

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

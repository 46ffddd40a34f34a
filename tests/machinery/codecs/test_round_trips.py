"""Every kind through JSON, YAML and protobuf and back: unchanged, whatever is in it."""

import json as stdlib_json

import hypothesis
import pytest
from hypothesis import strategies

from kubeshim.machinery import builtin, resources, schemas
from kubeshim.machinery.codecs import (
    descriptors,
    frames,
    json,
    protobuf,
    protobuf_reader,
    protobuf_writer,
    strict,
    yaml,
)
from kubeshim.machinery.validation import decoding
from tests.machinery import random_objects
from tests.machinery.codecs import protobuf_witness

KINDS = sorted({resource.gvk for resource in builtin.load()} | {
    resources.GroupVersionKind("", "v1", "Binding"),
    resources.GroupVersionKind("policy", "v1", "Eviction"),
    resources.GroupVersionKind("autoscaling", "v1", "Scale"),
    resources.GroupVersionKind("authentication.k8s.io", "v1", "TokenRequest"),
    resources.GroupVersionKind("", "v1", "Status"),
})  # fmt: skip
WATCH_EVENT = "k8s.io.apimachinery.pkg.apis.meta.v1.WatchEvent"
few = hypothesis.settings(max_examples=12, derandomize=True)
seeds = strategies.tuples(strategies.integers(0, 2**32), strategies.sampled_from([0.15, 0.5, 0.9]))


def made(gvk, seed):
    """An object as the server would keep it, and its schema."""
    schema = schemas.definitions().schema(gvk)
    obj = {"apiVersion": gvk.group_version, "kind": gvk.kind, **random_objects.of(schema, *seed)}
    return canonical(obj, schema, gvk), schema


def canonical(obj, schema, gvk):
    decoding.decode(obj, schema, gvk)
    strict.prune(obj, schema)
    return obj


def said(value, schema, *, root=True):
    """What protobuf can say of an object.

    It has no nulls, no empty lists and maps, no kind and apiVersion inside an object, and the zero of an
    ``IntOrString`` that is no pointer is as good as nothing to everybody who reads it.
    """
    if schema.kind == "object":
        presence = descriptors.presence_of(schema.definition)
        return {
            key: said(child, schema.properties[key], root=False)
            for key, child in value.items()
            if child is not None
            and not (child in ([], {}) and schema.properties[key].kind in ("array", "map"))
            and (root or key not in ("kind", "apiVersion") or key in presence)
            and not (child in (0, "") and schema.properties[key].kind == "int-or-string" and presence[key] == "struct")
        }
    if schema.kind == "map":
        return {key: said(child, schema.values, root=False) for key, child in value.items()}
    return [said(child, schema.items, root=False) for child in value] if schema.kind == "array" else value


@pytest.mark.parametrize("gvk", KINDS, ids=lambda gvk: f"{gvk.group_version} {gvk.kind}")
@few
@hypothesis.given(seed=seeds)
def test_a_kind(gvk, seed):
    obj, schema = made(gvk, seed)
    text = json.encode(obj)
    assert json.decode(text, strict=True) == (obj, [])
    assert json.decode(json.encode_pretty(obj), strict=True) == (obj, [])
    assert stdlib_json.loads(text) == obj
    lines = yaml.encode(obj)
    assert yaml.decode(lines, strict=True) == (obj, [])
    message = protobuf.encode_item(obj, gvk)
    name = descriptors.message_for_kind(*gvk).name
    assert protobuf_witness.unknown_fields(name, message) == 0
    assert protobuf_witness.canonical(name, message) == message
    back = canonical(protobuf.decode(protobuf.wrap(message, gvk)), schema, gvk)
    assert said(back, schema) == said(obj, schema)


@pytest.mark.parametrize("gvk", KINDS, ids=lambda gvk: f"{gvk.group_version} {gvk.kind}")
def test_lists_and_watch_events_of_a_kind(gvk):
    listing = gvk._replace(kind=f"{gvk.kind}List")
    items = [made(gvk, (seed, 0.5))[0] for seed in range(3)]
    messages = [protobuf.encode_item(item, gvk) for item in items]
    for item, message in zip(items, messages, strict=True):
        frame = frames.protobuf_frame("MODIFIED", protobuf.wrap(message, gvk))
        assert int.from_bytes(frame[:4], "big") == len(frame) - 4
        assert protobuf_witness.canonical(WATCH_EVENT, frame[4:]) == frame[4:]
        event = protobuf_witness.read(WATCH_EVENT, frame[4:])
        assert (event.type, event.object.raw) == ("MODIFIED", protobuf.encode(item))
        line = frames.json_frame("ADDED", json.encode(item))
        assert json.decode(line, strict=True)[0] == {"type": "ADDED", "object": item}
    if descriptors.message_for_kind(*listing) is None:
        return
    body = protobuf.encode_list({"metadata": {"resourceVersion": "7", "continue": "x"}}, messages, listing)
    whole = {"metadata": {"resourceVersion": "7", "continue": "x"}, "items": items}
    assert body == protobuf.encode(whole, listing)
    found = protobuf.decode(body)
    assert (found["kind"], found["metadata"]) == (listing.kind, whole["metadata"])
    assert [protobuf.encode_item(item, gvk) for item in found["items"]] == messages


@pytest.mark.parametrize("gvk", KINDS, ids=lambda gvk: f"{gvk.group_version} {gvk.kind}")
def test_the_metadata_of_a_kind_alone(gvk):
    partial = resources.GroupVersionKind("meta.k8s.io", "v1", "PartialObjectMetadata")
    for seed in range(3):
        obj, _ = made(gvk, (seed, 0.9))
        if gvk.kind == "Status":
            continue
        alone = protobuf.metadata_alone(protobuf.encode_item(obj, gvk))
        assert alone == protobuf.encode_item({"metadata": obj.get("metadata")}, partial)


@pytest.mark.parametrize(
    ("definition", "value", "message"),
    [
        ("apimachinery.pkg.api.resource.Quantity", "1500m", "0a05 3135 3030 6d"),
        ("apimachinery.pkg.util.intstr.IntOrString", 80, "0800 1050 1a00"),
        ("apimachinery.pkg.util.intstr.IntOrString", "http", "0801 1000 1a04 6874 7470"),
        ("apimachinery.pkg.apis.meta.v1.Time", "1970-01-01T00:00:01Z", "0801 1000"),
        ("apimachinery.pkg.apis.meta.v1.MicroTime", "1970-01-01T00:00:01.000002Z", "0801 10d0 0f"),
        ("apimachinery.pkg.apis.meta.v1.FieldsV1", {"f:a": {}}, "0a0a 7b22 663a 6122 3a7b 7d7d"),
        ("apimachinery.pkg.runtime.RawExtension", {"a": 1}, "0a07 7b22 6122 3a31 7d"),
        ("apimachinery.pkg.runtime.RawExtension", {"a": "<"}, "0a0e 7b22 6122 3a22 5c75 3030 3363 227d"),
        ("api.core.v1.Secret", {"data": {"b": "AA==", "a": ""}}, "1205 0a01 6112 00 1206 0a01 6212 0100"),
        ("api.core.v1.PodSpec", {"priority": -1}, "c801 ffff ffff ffff ffff ff01"),
        ("api.apps.v1.DeploymentSpec", {"replicas": 0}, "0800"),
    ],
)
def test_bytes_that_go_writes(definition, value, message):
    """As they stand in what kubectl sends, part by part."""
    written = protobuf_writer.write(f"k8s.io.{definition}", value)
    assert written.hex() == message.replace(" ", "")
    assert protobuf_reader.read(f"k8s.io.{definition}", written) == value


def test_what_stays_apart_in_protobuf():
    """An empty struct behind a pointer is there; a nil one is not. The same for a pointer's zero."""
    pod = resources.GroupVersionKind("", "v1", "Pod")
    spec = {"volumes": [{"name": "v", "emptyDir": {}}], "securityContext": {}, "terminationGracePeriodSeconds": 0}
    assert protobuf.decode(protobuf.encode({"spec": spec}, pod))["spec"] == spec

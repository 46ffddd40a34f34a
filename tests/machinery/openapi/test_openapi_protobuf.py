"""The encoder against a decoder that knows the wire format and the fields' numbers, and nothing else."""

import importlib.resources
import struct

import orjson
import pytest

from kubeshim.machinery import builtin, openapi, resources


def layout(version):
    file = importlib.resources.files("kubeshim.schemas") / "facts" / f"openapi-{version}-protobuf-fields.tsv"
    messages = {}
    for line in file.read_text().splitlines()[1:]:
        message, number, name, label, kind = line.split("\t")
        messages.setdefault(message, {})[int(number)] = (name, label, kind)
    return messages


LAYOUTS = {version: layout(version) for version in ("v2", "v3")}


def varint(data, position):
    value = shift = 0
    while True:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7


def decode(message, data, version="v2"):
    found, position = {}, 0
    while position < len(data):
        key, position = varint(data, position)
        name, label, kind = LAYOUTS[version][message][key >> 3]
        if key & 7 == 2:
            size, position = varint(data, position)
            chunk, position = data[position : position + size], position + size
            value = chunk.decode() if kind == "string" else decode(kind, chunk, version)
        elif key & 7 == 1:
            value, position = struct.unpack("<d", data[position : position + 8])[0], position + 8
        else:
            value, position = varint(data, position)
            value = bool(value) if kind == "bool" else value
        if label == "repeated":
            found.setdefault(name, []).append(value)
        else:
            found[name] = value
    return found


def by_name(entries):
    return {entry["name"]: entry["value"] for entry in entries}


def plain(extensions):
    return {name: orjson.loads(value["yaml"]) for name, value in by_name(extensions).items()}


@pytest.fixture(scope="module")
def document():
    core = [resource for resource in builtin.load() if resource.plural in ("pods", "customresourcedefinitions")]
    return decode("Document", openapi.v2_protobuf(openapi.v2(resources.Registry(core), {})))


def test_head(document):
    assert (document["swagger"], document["info"]) == ("2.0", {"title": "Kubernetes", "version": "v1.37.0"})
    assert by_name(document["security"][0]["additional_properties"]) == {"BearerToken": {}}
    scheme = by_name(document["security_definitions"]["additional_properties"])["BearerToken"]
    assert scheme["api_key_security"]["type"] == "apiKey"


def test_operations(document):
    item = by_name(document["paths"]["path"])["/api/v1/namespaces/{namespace}/pods/{name}"]
    patch = item["patch"]
    assert patch["operation_id"] == "patchCoreV1NamespacedPod"
    body, *others = (entry["parameter"] for entry in patch["parameters"])
    assert body["body_parameter"]["schema"]["_ref"].endswith("meta.v1.Patch")
    named = {entry["non_body_parameter"]["query_parameter_sub_schema"]["name"] for entry in others}
    assert named == {"dryRun", "fieldManager", "fieldValidation", "force"}
    extensions = plain(patch["vendor_extension"])
    assert extensions["x-kubernetes-group-version-kind"] == {"group": "", "version": "v1", "kind": "Pod"}
    shared = item["parameters"][0]["json_reference"]["_ref"].rpartition("/")[2]
    parameter = by_name(document["parameters"]["additional_properties"])[shared]
    assert parameter["non_body_parameter"]["path_parameter_sub_schema"]["required"] is True
    answers = by_name(patch["responses"]["response_code"])
    assert answers["200"]["response"]["schema"]["schema"]["_ref"] == "#/definitions/io.k8s.api.core.v1.Pod"
    assert answers["401"]["response"]["description"] == "Unauthorized"


def test_definitions(document):
    definitions = by_name(document["definitions"]["additional_properties"])
    spec = definitions["io.k8s.api.core.v1.PodSpec"]
    assert spec["required"] == ["containers"]
    fields = by_name(spec["properties"]["additional_properties"])
    assert fields["containers"]["type"] == {"value": ["array"]}
    assert fields["containers"]["items"]["schema"] == [{"_ref": "#/definitions/io.k8s.api.core.v1.Container"}]
    assert plain(fields["containers"]["vendor_extension"])["x-kubernetes-list-map-keys"] == ["name"]
    assert fields["nodeSelector"]["additional_properties"]["schema"]["type"] == {"value": ["string"]}
    kinds = plain(definitions["io.k8s.api.core.v1.Pod"]["vendor_extension"])["x-kubernetes-group-version-kind"]
    assert kinds == [{"group": "", "kind": "Pod", "version": "v1"}]


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"minimum": 1.5, "maxLength": 300}, {"minimum": 1.5, "max_length": 300}),
        ({"additionalProperties": False}, {"additional_properties": {"boolean": False}}),
        ({"additionalProperties": True}, {"additional_properties": {"boolean": True}}),
        ({"enum": ["a", 1]}, {"enum": [{"yaml": '"a"\n'}, {"yaml": "1\n"}]}),
        ({"default": {"a": 1}}, {"default": {"yaml": '{"a":1}\n'}}),
    ],
)
def test_schema_members(schema, expected):
    made = decode("Document", openapi.v2_protobuf({"definitions": {"x": schema}}))
    assert by_name(made["definitions"]["additional_properties"])["x"] == expected


def test_members_without_a_place_are_refused():
    with pytest.raises(ValueError, match="oneOf"):
        openapi.v2_protobuf({"definitions": {"x": {"oneOf": []}}})


def test_v3():
    pods = resources.Registry([resource for resource in builtin.load() if resource.plural == "pods"])
    whole = openapi.v3_document(pods, "api/v1", {})
    made = decode("Document", openapi.v3_protobuf(whole), "v3")
    assert (made["openapi"], made["info"]) == ("3.0.0", {"title": "Kubernetes", "version": "v1.37.0"})
    assert set(by_name(made["paths"]["path"])) == set(whole["paths"])
    post = by_name(made["paths"]["path"])["/api/v1/namespaces/{namespace}/pods"]["post"]
    body = by_name(post["request_body"]["request_body"]["content"]["additional_properties"])["*/*"]
    assert body["schema"] == {"reference": {"_ref": "#/components/schemas/io.k8s.api.core.v1.Pod"}}
    assert post["parameters"][0]["parameter"]["in"] == "query"
    assert set(by_name(post["responses"]["response_or_reference"])) == {"200", "201", "202", "401"}
    schemas = by_name(made["components"]["schemas"]["additional_properties"])
    assert set(schemas) == set(whole["components"]["schemas"])
    fields = by_name(schemas["io.k8s.api.core.v1.PodSpec"]["schema"]["properties"]["additional_properties"])
    assert (
        fields["nodeSelector"]["schema"]["additional_properties"]["schema_or_reference"]["schema"]["type"] == "string"
    )
    schemes = by_name(made["components"]["security_schemes"]["additional_properties"])
    assert schemes["BearerToken"]["security_scheme"]["type"] == "apiKey"


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"default": "a"}, {"default": {"string": "a"}}),
        ({"default": False}, {"default": {"boolean": False}}),
        ({"default": 2}, {"default": {"number": 2.0}}),
        ({"default": {}}, {"default": {}}),
        ({"additionalProperties": True}, {"additional_properties": {"boolean": True}}),
        ({"oneOf": [{"type": "string"}]}, {"one_of": [{"schema": {"type": "string"}}]}),
        ({"items": {"type": "string"}}, {"items": {"schema_or_reference": [{"schema": {"type": "string"}}]}}),
        ({"x-kubernetes-int-or-string": True}, {"specification_extension": [
            {"name": "x-kubernetes-int-or-string", "value": {"yaml": "true\n"}}]}),
    ],
)  # fmt: skip
def test_v3_schema_members(schema, expected):
    made = decode("Document", openapi.v3_protobuf({"components": {"schemas": {"x": schema}}}), "v3")
    assert by_name(made["components"]["schemas"]["additional_properties"])["x"] == {"schema": expected}

import csv
import importlib.resources
import re

import orjson
import pytest

from kubeshim.machinery import builtin, openapi, resources
from kubeshim.machinery.openapi import names, operations

WIDGET = resources.GroupVersionKind("example.com", "v1", "Widget")
STATUS = resources.Subresource("status", WIDGET, builtin.SUBRESOURCE_VERBS)
WIDGETS = resources.Resource(
    "example.com", "v1", "widgets", "Widget", True, builtin.VERBS, singular="widget", list_kind="WidgetList",
    subresources={"status": STATUS}, selectable_fields=("spec.color",), strategy="custom",
)  # fmt: skip
SCHEMA = {
    "type": "object",
    "description": "A widget.",
    "properties": {
        "spec": {
            "type": "object",
            "properties": {
                "color": {"type": "string", "nullable": True},
                "size": {"x-kubernetes-int-or-string": True, "anyOf": [{"type": "integer"}, {"type": "string"}]},
                "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True, "properties": {"a": {}}},
                "count": {"type": "integer", "default": 1},
            },
        }
    },
}


@pytest.fixture(scope="module")
def registry():
    return resources.Registry(builtin.load())


@pytest.fixture(scope="module")
def extended():
    return resources.Registry([*builtin.load(), WIDGETS])


@pytest.fixture(scope="module")
def core(registry):
    return openapi.v3(registry, "", "v1", {})


@pytest.fixture(scope="module")
def swagger(registry):
    return openapi.v2(registry, {})


def references(node):
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "$ref" and isinstance(value, str):
                yield value
            else:
                yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def upstream_operations():
    file = importlib.resources.files("kubeshim.schemas") / "facts" / "operations.tsv"
    for row in csv.DictReader(file.read_text().splitlines(), delimiter="\t"):
        # custom objects have their own test; groups of alpha versions only are off; a node's log files are not served
        left_out = ("/apis/{group}/", "/logs/", "/apis/lifecycle.k8s.io/", "/apis/internal.apiserver.k8s.io/")
        if row["level"] == "ga" and not row["path"].startswith(left_out):
            yield row


def every_operation(registry):
    found = operations.of_server({resource.group for resource in registry} - {""})
    for group, version in {(resource.group, resource.version) for resource in registry}:
        found += operations.of_group_version(registry, group, version)
    return found


def snake(operation_id, operation):
    """``listCoreV1NamespacedPod`` → ``list_namespaced_pod``, the form the facts have."""
    if operation.gvk or "APIResources" in operation_id:
        group, version = operation.tag.split("_")
        operation_id = operation_id.replace(group[:1].upper() + group[1:] + version.capitalize(), "", 1)
    else:
        operation_id = re.sub(r"^get\w*APIGroup$", "getAPIGroup", operation_id)
        operation_id = operation_id.replace("getCore", "get").replace("getCodeVersion", "getCode")
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", operation_id).lower()


def test_operations_are_upstreams(registry):
    made = {(operation.path, operation.method.upper()): operation for operation in every_operation(registry)}
    expected = {(row["path"], row["method"]): row for row in upstream_operations()}
    watches = {key for key in made if "/watch/" in key[0]}
    assert set(made) - watches == set(expected)
    for key, row in expected.items():
        wanted = set(row["query parameters"].split(",")) - {"-"}
        assert set(made[key].query) | set(made[key].shared) == wanted, key
        if row["request media types"] != "-":
            assert set(made[key].consumes) == set(row["request media types"].split(",")) - {
                "application/apply-patch+cbor"
            }


def test_operation_ids(registry):
    made = {(operation.path, operation.method.upper()): operation for operation in every_operation(registry)}
    ids = [operation.operation_id for operation in made.values()]
    assert len(ids) == len(set(ids))
    for row in upstream_operations():
        operation = made[row["path"], row["method"]]
        ours, theirs = snake(operation.operation_id, operation), row["operation"]
        assert ours.replace("_", "") == theirs.replace("_", ""), operation.operation_id


@pytest.mark.parametrize(
    ("path", "method", "expected", "action"),
    [
        ("/api/v1/namespaces/{namespace}/pods", "post", "createCoreV1NamespacedPod", "post"),
        ("/api/v1/namespaces/{namespace}/pods", "delete", "deleteCoreV1CollectionNamespacedPod", "deletecollection"),
        ("/api/v1/pods", "get", "listCoreV1PodForAllNamespaces", "list"),
        ("/api/v1/namespaces/{namespace}/pods/{name}/exec", "get", "connectCoreV1GetNamespacedPodExec", "connect"),
        ("/api/v1/nodes/{name}/proxy/{path}", "put", "connectCoreV1PutNodeProxyWithPath", "connect"),
        ("/api/v1/watch/pods", "get", "watchCoreV1PodListForAllNamespaces", "watchlist"),
        ("/api/v1/watch/namespaces/{namespace}/pods/{name}", "get", "watchCoreV1NamespacedPod", "watch"),
        ("/api/v1/namespaces/{name}/finalize", "put", "replaceCoreV1NamespaceFinalize", "put"),
    ],
)
def test_paths(core, path, method, expected, action):
    operation = core["paths"][path][method]
    assert (operation["operationId"], operation["x-kubernetes-action"]) == (expected, action)


@pytest.mark.parametrize(
    ("group", "path", "expected"),
    [
        ("", "/api/v1/namespaces/{namespace}/pods/{name}", ("", "v1", "Pod")),
        ("apps", "/apis/apps/v1/namespaces/{namespace}/deployments/{name}/scale", ("autoscaling", "v1", "Scale")),
    ],
)
def test_what_kubectl_looks_for(registry, group, path, expected):
    patch = openapi.v3(registry, group, "v1", {})["paths"][path]["patch"]
    assert tuple(patch["x-kubernetes-group-version-kind"][key] for key in ("group", "version", "kind")) == expected
    assert {p["name"] for p in patch["parameters"]} == {"dryRun", "fieldManager", "fieldValidation", "force"}
    assert "application/strategic-merge-patch+json" in patch["requestBody"]["content"]


def test_references_of_v3_resolve(registry):
    for resource in registry:
        if resource.plural not in ("pods", "deployments", "customresourcedefinitions", "flowschemas", "apiservices"):
            continue
        document = openapi.v3(registry, resource.group, resource.version, {})
        schemas = document["components"]["schemas"]
        for target in references(document):
            assert target.removeprefix("#/components/schemas/") in schemas
        kinds = schemas[names.definition(resource.gvk)]["x-kubernetes-group-version-kind"]
        assert resource.gvk._asdict() in kinds


def test_v2_is_whole(swagger):
    for target in references(swagger):
        _, section, name = target.split("/", 2)
        assert name in swagger[section]
    patch = swagger["paths"]["/api/v1/namespaces/{namespace}/pods/{name}"]["patch"]
    assert "fieldValidation" in {parameter.get("name") for parameter in patch["parameters"]}
    assert swagger["info"]["version"].startswith("v1.37.")


def test_no_document_has_a_validators_type_array(swagger, core):
    for document in (swagger, core):
        assert b'"type":[' not in orjson.dumps(document)
        assert b'"null"' not in orjson.dumps(document)


def test_index(extended):
    hashes = openapi.v3_hashes(extended, {})
    index = openapi.v3_index(hashes)["paths"]
    assert {"api", "apis", "api/v1", "apis/apps", "apis/apps/v1", "version", "apis/example.com/v1"} <= set(index)
    assert index["api/v1"]["serverRelativeURL"] == f"/openapi/v3/api/v1?hash={hashes['api/v1']}"
    for path in index:
        document = openapi.v3_document(extended, path, {})
        assert document is not None
        assert document["paths"], path
    assert openapi.v3_document(extended, "apis/nothing/v1", {}) is None


def test_hashes_follow_changes(registry, extended):
    plain, changed = openapi.v3_hashes(registry, {}), openapi.v3_hashes(extended, {})
    assert plain == openapi.v3_hashes(registry, {})
    assert {path for path in changed if changed[path] != plain.get(path)} == {"apis/example.com", "apis/example.com/v1"}
    assert openapi.v3_hashes(extended, {WIDGET: SCHEMA})["apis/example.com/v1"] != changed["apis/example.com/v1"]


def test_custom_types_in_v3(extended):
    document = openapi.v3(extended, "example.com", "v1", {WIDGET: SCHEMA})
    patch = document["paths"]["/apis/example.com/v1/namespaces/{namespace}/widgets/{name}"]["patch"]
    assert patch["operationId"] == "patchExampleComV1NamespacedWidget"
    assert set(patch["requestBody"]["content"]) == {
        "application/json-patch+json", "application/merge-patch+json", "application/apply-patch+yaml",
    }  # fmt: skip
    assert "/apis/example.com/v1/namespaces/{namespace}/widgets/{name}/status" in document["paths"]
    schemas = document["components"]["schemas"]
    widget = schemas["com.example.v1.Widget"]
    assert widget["x-kubernetes-group-version-kind"] == [WIDGET._asdict()]
    assert widget["x-kubernetes-selectable-fields"] == [{"fieldPath": "spec.color"}]
    assert widget["properties"]["spec"] == SCHEMA["properties"]["spec"]
    assert set(widget["properties"]) == {"apiVersion", "kind", "metadata", "spec"}
    assert schemas["com.example.v1.WidgetList"]["properties"]["items"]["items"] == {
        "$ref": "#/components/schemas/com.example.v1.Widget"
    }
    for target in references(document):
        assert target.removeprefix("#/components/schemas/") in schemas
    assert "metadata" not in SCHEMA["properties"]


def test_custom_types_in_v2(extended):
    definitions = openapi.v2(extended, {WIDGET: SCHEMA})["definitions"]
    spec = definitions["com.example.v1.Widget"]["properties"]["spec"]["properties"]
    assert spec == {
        "color": {},
        "size": {"x-kubernetes-int-or-string": True},
        "free": {"x-kubernetes-preserve-unknown-fields": True},
        "count": {"type": "integer"},
    }


def test_custom_type_without_a_schema(extended):
    document = openapi.v3(extended, "example.com", "v1", {})
    assert document["components"]["schemas"]["com.example.v1.Widget"]["x-kubernetes-preserve-unknown-fields"] is True

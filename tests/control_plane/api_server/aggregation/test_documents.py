"""The order of groups and versions, and the merging of OpenAPI v2: pure functions."""

from kubeshim.control_plane.api_server.aggregation import aggregator, documents, registration, swagger
from kubeshim.machinery import builtin, resources


def remote(group, version, group_priority, version_priority, available=True):
    spec = {
        "group": group, "version": version, "service": {"namespace": "n", "name": "s"},
        "groupPriorityMinimum": group_priority, "versionPriority": version_priority,
    }  # fmt: skip
    conditions = [{"type": "Available", "status": str(available)}]
    return registration.of(
        {"metadata": {"name": f"{version}.{group}"}, "spec": spec, "status": {"conditions": conditions}}
    )


def test_priorities_order_groups_and_versions():
    registry = resources.Registry(builtin.load())
    found = [
        remote("low.example.com", "v1", 10, 1), remote("low.example.com", "v2", 20, 1),
        remote("low.example.com", "v3alpha1", 5, 9), remote("high.example.com", "v1", 17790, 1),
        remote("apps", "v1beta9", 100, 99),
    ]  # fmt: skip
    order = documents.ordered(registry, found)
    names = list(order)
    assert names.index("apps") < names.index("high.example.com") < names.index("events.k8s.io")
    assert names[-1] == "low.example.com" and order["low.example.com"] == ["v3alpha1", "v2", "v1"]
    assert order["apps"] == ["v1beta9", "v1"]
    group = documents.group(registry, found, "apps")
    assert group["preferredVersion"]["groupVersion"] == "apps/v1beta9"


def test_freshness():
    registry = resources.Registry(builtin.load())
    told = {("a", "v1"): aggregator.Told(), ("b", "v1"): aggregator.Told()}
    here = [remote("a", "v1", 1, 1), remote("b", "v1", 1, 1, available=False), remote("c", "v1", 1, 1)]
    items = documents.aggregated(registry, {one.key: one for one in here}, told)["items"]
    fresh = {item["metadata"]["name"]: item["versions"][0]["freshness"] for item in items}
    assert (fresh["apps"], fresh["a"], fresh["b"], fresh["c"]) == ("Current", "Current", "Stale", "Stale")


def test_definitions_that_differ_get_a_name_of_their_own():
    reference = {"$ref": "#/definitions/Meta"}
    ours = {"paths": {"/x": {}}, "definitions": {"Meta": {"type": "object"}, "Same": {"type": "string"}}}
    theirs = {
        "paths": {"/apis/g/v1/things": {"get": {"$ref": "#/definitions/Thing"}}, "/apis/g/v10/x": {}},
        "definitions": {
            "Thing": {"properties": {"m": reference, "s": {"$ref": "#/definitions/Same"}}},
            "Meta": {"type": "array", "items": reference}, "Same": {"type": "string"}, "Other": {},
        },
    }  # fmt: skip
    merged = swagger.merge(ours, theirs, "/apis/g/v1")
    assert list(merged["paths"]) == ["/x", "/apis/g/v1/things"]
    assert merged["definitions"] == {
        **ours["definitions"],
        "Meta_v2": {"type": "array", "items": {"$ref": "#/definitions/Meta_v2"}},
        "Thing": {"properties": {"m": {"$ref": "#/definitions/Meta_v2"}, "s": {"$ref": "#/definitions/Same"}}},
    }

import dataclasses

import pytest

from kubeshim.machinery import builtin, discovery, groups, resources


@pytest.fixture
def registry():
    return resources.Registry(builtin.load())


def widget(version="v1", **changes):
    base = resources.Resource(
        "example.com", version, "widgets", "Widget", True, builtin.VERBS, singular="widget", strategy="custom"
    )
    return dataclasses.replace(base, **changes)


def entries(registry, group="", version="v1"):
    document = discovery.api_resource_list(registry, group, version)
    assert document is not None
    return {entry["name"]: entry for entry in document["resources"]}


def test_api_versions(registry):
    assert discovery.api_versions(registry, "10.0.0.1:6443") == {
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": "10.0.0.1:6443"}],
    }


def test_groups_in_upstreams_order(registry):
    document = discovery.api_group_list(registry)
    assert [group["name"] for group in document["groups"]] == [
        "apiregistration.k8s.io", "apps", "events.k8s.io", "authentication.k8s.io", "authorization.k8s.io",
        "autoscaling", "batch", "certificates.k8s.io", "networking.k8s.io", "policy", "rbac.authorization.k8s.io",
        "storage.k8s.io", "admissionregistration.k8s.io", "apiextensions.k8s.io", "scheduling.k8s.io",
        "coordination.k8s.io", "node.k8s.io", "discovery.k8s.io", "flowcontrol.apiserver.k8s.io", "resource.k8s.io",
        "storagemigration.k8s.io",
    ]  # fmt: skip


def test_preferred_version(registry):
    assert discovery.api_group(registry, "autoscaling") == {
        "kind": "APIGroup",
        "apiVersion": "v1",
        "name": "autoscaling",
        "versions": [
            {"groupVersion": "autoscaling/v2", "version": "v2"},
            {"groupVersion": "autoscaling/v1", "version": "v1"},
        ],
        "preferredVersion": {"groupVersion": "autoscaling/v2", "version": "v2"},
    }
    assert discovery.api_group(registry, "nothing") is None
    assert discovery.api_resource_list(registry, "nothing", "v1") is None


@pytest.mark.parametrize(
    ("group", "version", "name", "expected"),
    [
        ("", "v1", "pods", "xPOwRZ+Yhw8="),
        ("", "v1", "configmaps", "qFsyl6wFWjQ="),
        ("", "v1", "namespaces", "Q3oi5N2YM8M="),
        ("", "v1", "services", "0/CO1lhkEBI="),
        ("", "v1", "events", "r2yiGXH7wu8="),
        ("events.k8s.io", "v1", "events", "r2yiGXH7wu8="),
        ("autoscaling", "v1", "horizontalpodautoscalers", "qwQve8ut294="),
        ("autoscaling", "v2", "horizontalpodautoscalers", "qwQve8ut294="),
    ],
)
def test_storage_version_hash_is_upstreams(registry, group, version, name, expected):
    assert entries(registry, group, version)[name]["storageVersionHash"] == expected


def test_core_list(registry):
    found = entries(registry)
    assert list(found) == sorted(found)
    assert found["pods"]["shortNames"] == ["po"]
    assert found["pods"]["categories"] == ["all"]
    assert found["pods/eviction"] == {
        "name": "pods/eviction", "singularName": "", "namespaced": True, "group": "policy", "version": "v1",
        "kind": "Eviction", "verbs": ["create"],
    }  # fmt: skip
    assert found["pods/exec"]["kind"] == "PodExecOptions"
    assert "group" not in found["pods/exec"]
    assert found["serviceaccounts/token"]["group"] == "authentication.k8s.io"
    assert found["namespaces"]["verbs"] == ["create", "delete", "get", "list", "patch", "update", "watch"]
    assert found["componentstatuses"]["verbs"] == ["get", "list"]
    assert "storageVersionHash" not in found["bindings"]
    document = discovery.api_resource_list(registry, "", "v1")
    assert "apiVersion" not in document
    assert discovery.api_resource_list(registry, "apps", "v1")["apiVersion"] == "v1"


def test_aggregated(registry):
    core = discovery.aggregated(registry, core=True)
    assert (core["kind"], core["apiVersion"]) == ("APIGroupDiscoveryList", "apidiscovery.k8s.io/v2")
    assert [item["metadata"] for item in core["items"]] == [{}]
    pods = next(entry for entry in core["items"][0]["versions"][0]["resources"] if entry["resource"] == "pods")
    assert pods["responseKind"] == {"group": "", "version": "", "kind": "Pod"}
    assert pods["scope"] == "Namespaced"
    kinds = {entry["subresource"]: entry["responseKind"] for entry in pods["subresources"]}
    assert kinds["eviction"] == {"group": "policy", "version": "v1", "kind": "Eviction"}
    named = discovery.aggregated(registry, core=False)
    assert named["items"][0]["metadata"] == {"name": "apiregistration.k8s.io"}
    scaling = next(item for item in named["items"] if item["metadata"]["name"] == "autoscaling")
    assert [version["version"] for version in scaling["versions"]] == ["v2", "v1"]
    assert {version["freshness"] for item in named["items"] for version in item["versions"]} == {"Current"}


def test_types_added_while_serving_come_and_go(registry):
    registry.add(widget("v1"), widget("v2beta1"), widget("v1alpha1"))
    assert discovery.api_group_list(registry)["groups"][-1]["name"] == "example.com"
    group = discovery.api_group(registry, "example.com")
    assert [version["version"] for version in group["versions"]] == ["v1", "v2beta1", "v1alpha1"]
    told = discovery.aggregated(registry, core=False)["items"][-1]["versions"][0]["resources"][0]
    assert told["responseKind"] == {"group": "example.com", "version": "v1", "kind": "Widget"}
    registry.remove(widget("v1").gvr, widget("v2beta1").gvr, widget("v1alpha1").gvr)
    assert discovery.api_group(registry, "example.com") is None


def test_version_order():
    versions = [
        "foo10",
        "v1alpha1",
        "v11beta2",
        "v10",
        "v2",
        "v3beta1",
        "foo1",
        "v11alpha2",
        "v1",
        "v12alpha1",
        "v10beta3",
    ]
    assert sorted(versions, key=groups.version_key) == [
        "v10", "v2", "v1", "v11beta2", "v10beta3", "v3beta1", "v12alpha1", "v11alpha2", "v1alpha1", "foo1", "foo10",
    ]  # fmt: skip

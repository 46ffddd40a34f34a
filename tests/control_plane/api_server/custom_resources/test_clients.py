"""The official Python client, typed and dynamic, with types it has never heard of."""

import kubernetes
import pytest
from kubernetes import dynamic

from tests.control_plane.api_server.custom_resources import conftest


@pytest.fixture
def official(running):
    settings = kubernetes.client.Configuration(host=f"http://127.0.0.1:{running.port}")
    with kubernetes.client.ApiClient(settings) as client:
        yield client


def test_definitions_and_objects(types, official, namespace):
    definitions = kubernetes.client.ApiextensionsV1Api(official)
    group = types.define(subresources={"status": {}})
    crd = definitions.read_custom_resource_definition(f"widgets.{group}")
    assert crd.status.accepted_names.short_names == ["wd"]
    objects = kubernetes.client.CustomObjectsApi(official)
    where = (group, "v1", namespace, "widgets")
    body = {"apiVersion": f"{group}/v1", "kind": "Widget", "metadata": {"name": "a"}, "spec": {"size": 1}}
    assert objects.create_namespaced_custom_object(*where, body)["spec"]["color"] == "red"
    assert objects.patch_namespaced_custom_object(*where, "a", {"spec": {"size": 2}})["spec"]["size"] == 2
    status = objects.patch_namespaced_custom_object_status(*where, "a", {"status": {"replicas": 1}})
    assert status["status"] == {"replicas": 1}
    assert len(objects.list_namespaced_custom_object(*where)["items"]) == 1
    with pytest.raises(kubernetes.client.ApiException) as refused:
        objects.patch_namespaced_custom_object(*where, "a", {"spec": {"size": 99}})
    assert refused.value.status == 422
    assert objects.delete_collection_namespaced_custom_object(*where)["items"][0]["metadata"]["name"] == "a"
    definitions.delete_custom_resource_definition(f"widgets.{group}")


def test_dynamic(types, official, namespace, tmp_path):
    group = types.define()
    client = dynamic.DynamicClient(official, cache_file=str(tmp_path / "discovery.json"))
    widgets = client.resources.get(api_version=f"{group}/v1", kind="Widget")
    assert (widgets.name, widgets.namespaced, widgets.short_names) == ("widgets", True, ["wd"])
    body = {"apiVersion": f"{group}/v1", "kind": "Widget", "metadata": {"name": "a"}, "spec": {"size": 1}}
    assert widgets.create(body, namespace=namespace).spec.color == "red"
    applied = {**body, "spec": {"size": 3}}
    found = widgets.server_side_apply(applied, name="a", namespace=namespace, field_manager="m", force_conflicts=True)
    assert found.spec.size == 3
    events = widgets.watch(namespace=namespace, timeout=60)
    assert next(events)["object"].metadata.name == "a"
    widgets.delete(name="a", namespace=namespace)
    assert next(events)["type"] == "DELETED"
    events.close()
    crds = client.resources.get(api_version="apiextensions.k8s.io/v1", kind="CustomResourceDefinition")
    assert crds.create(conftest.definition("dynamic.example.com")).spec.names.singular == "widget"

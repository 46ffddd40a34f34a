"""The official Python client as an independent witness."""

import threading

import kubernetes
import pytest


@pytest.fixture
def official(running):
    settings = kubernetes.client.Configuration(host=f"http://127.0.0.1:{running.port}")
    with kubernetes.client.ApiClient(settings) as client:
        yield client


def test_objects_round_trip(official, namespace):
    core = kubernetes.client.CoreV1Api(official)
    metadata = kubernetes.client.V1ObjectMeta(name="a", labels={"x": "1"})
    made = core.create_namespaced_config_map(
        namespace, kubernetes.client.V1ConfigMap(metadata=metadata, data={"k": "v"})
    )
    assert core.read_namespaced_config_map("a", namespace) == made
    made.data["k"] = "w"
    assert core.replace_namespaced_config_map("a", namespace, made).data == {"k": "w"}
    with pytest.raises(kubernetes.client.ApiException) as refused:
        core.replace_namespaced_config_map("a", namespace, made)
    assert refused.value.status == 409
    assert core.patch_namespaced_config_map("a", namespace, {"data": {"l": "1"}}).data == {"k": "w", "l": "1"}
    assert len(core.list_namespaced_config_map(namespace, label_selector="x=1").items) == 1
    assert core.delete_namespaced_config_map("a", namespace)["status"] == "Success"


def test_deployments_and_their_scale(official, namespace):
    apps = kubernetes.client.AppsV1Api(official)
    pod = {"metadata": {"labels": {"app": "a"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    body = {"metadata": {"name": "a"}, "spec": {"selector": {"matchLabels": {"app": "a"}}, "template": pod}}
    made = apps.create_namespaced_deployment(namespace, body)
    assert (made.spec.replicas, made.spec.strategy.type) == (1, "RollingUpdate")
    apps.patch_namespaced_deployment_scale("a", namespace, {"spec": {"replicas": 3}})
    assert apps.read_namespaced_deployment_scale("a", namespace).spec.replicas == 3


def test_watching(official, namespace):
    core = kubernetes.client.CoreV1Api(official)
    start = core.list_namespaced_config_map(namespace).metadata.resource_version
    watch = kubernetes.watch.Watch()

    def act():
        core.create_namespaced_config_map(namespace, {"metadata": {"name": "a"}})
        core.delete_namespaced_config_map("a", namespace)

    threading.Timer(0.05, act).start()
    seen = []
    options = {"resource_version": start, "timeout_seconds": 10}
    for event in watch.stream(core.list_namespaced_config_map, namespace, **options):
        seen.append((event["type"], event["object"].metadata.name))
        if event["type"] == "DELETED":
            watch.stop()
    assert seen == [("ADDED", "a"), ("DELETED", "a")]


def test_pages(official, namespace):
    core = kubernetes.client.CoreV1Api(official)
    for number in range(5):
        core.create_namespaced_config_map(namespace, {"metadata": {"name": f"n{number}"}})
    first = core.list_namespaced_config_map(namespace, limit=2)
    assert first.metadata.remaining_item_count == 3
    second = core.list_namespaced_config_map(namespace, limit=2, _continue=first.metadata._continue)
    assert [item.metadata.name for item in first.items + second.items] == ["n0", "n1", "n2", "n3"]

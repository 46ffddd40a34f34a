"""A kubelet whose node runs short, on the fake runtime."""

import kubelet_kit as kit_module
import pytest

from kubeshim.node.container_runtime import fake, runtime
from kubeshim.node.kubelet import eviction, eviction_manager, image_garbage, labels, local_storage

OTHER = "example/other:1"
MI = 1 << 20


@pytest.fixture
def measures(monkeypatch):
    found = {
        "memory.available": eviction.Measure(500 * MI, 1000 * MI),
        "imagefs.available": eviction.Measure(500 * MI, 1000 * MI),
    }
    monkeypatch.setattr(eviction_manager, "measures", lambda shared: dict(found))
    return found


@pytest.fixture
def kit(tmp_path, measures):
    engine = fake.Fake(images=[kit_module.IMAGE], registry=[kit_module.IMAGE, OTHER])
    made = kit_module.make(
        tmp_path, engine=engine, eviction_interval=0.05, image_gc_period=0.05, image_minimum_gc_age=0
    )
    yield made
    made.close()


def pod(kit, name, *containers, **spec):
    return kit.create(kit_module.pod(name, kit.settings.node_name, *containers, **spec))


def condition(kit, kind, status):
    def holds():
        node = kit.api.find(("v1", "nodes"), "", kit.settings.node_name)
        found = {entry["type"]: entry for entry in node["status"]["conditions"]}[kind]
        return found["status"] == status and found

    with kit.api.lock:
        assert kit.api.lock.wait_for(holds, 60)
    return holds()


def test_low_memory_ends_the_pod_of_least_importance_and_keeps_new_ones_away(kit, measures):
    kit.start()
    pod(kit, "critical", priority=2_000_000_000)
    pod(kit, "victim")
    for name in ("critical", "victim"):
        kit.wait(name, kit_module.ready)
    measures["memory.available"] = eviction.Measure(50 * MI, 1000 * MI)
    found = kit.wait("victim", lambda pod: pod["status"]["phase"] == "Failed")
    words = "The node was low on resource: memory. Threshold quantity: 100Mi, available: 50Mi. "
    assert found["status"]["reason"] == "Evicted" and found["status"]["message"].startswith(words)
    assert {"DisruptionTarget": "TerminationByKubelet"}.items() <= {
        entry["type"]: entry.get("reason") for entry in found["status"]["conditions"]
    }.items()
    assert kit.wait_event("victim", "Evicted").startswith(words)
    assert kit.wait_event(kit.settings.node_name, "EvictionThresholdMet") == "Attempting to reclaim memory"
    assert condition(kit, "MemoryPressure", "True")["reason"] == "KubeletHasInsufficientMemory"
    pod(kit, "late")
    found = kit.wait("late", lambda pod: pod["status"]["phase"] == "Failed")
    assert found["status"]["message"] == "Pod was rejected: The node had condition: [MemoryPressure]. "
    pod(kit, "modest", {"resources": {"requests": {"memory": "1Mi"}}})
    kit.wait("modest", lambda pod: pod["status"]["phase"] != "Pending")
    assert kit_module.ready(kit.pod("critical"))


def test_images_go_before_pods_and_only_those_this_node_pulled(kit, measures):
    kit.start()
    pod(kit, "done", {"image": OTHER, "args": ["x"]}, restartPolicy="Never")
    kit.wait("done", kit_module.ready)
    kit.delete("done", 1)
    kit.wait("done", lambda gone: gone is None)
    assert kit.engine.image(OTHER)
    measures["imagefs.available"] = eviction.Measure(100 * MI, 1000 * MI)
    kit.wait_event(kit.settings.node_name, "EvictionThresholdMet")
    with kit.api.lock:
        assert kit.api.lock.wait_for(lambda: kit.engine.image(OTHER) is None, 60)
    assert kit.engine.image(kit_module.IMAGE)
    assert condition(kit, "DiskPressure", "True")["reason"] == "KubeletHasDiskPressure"


@pytest.mark.parametrize(
    ("available", "high", "low", "wanted"),
    [(200, 85, 80, 0), (150, 85, 80, 50), (100, 85, 80, 100), (10, 100, 80, 0), (100, 85, 90, 0)],
)
def test_how_much_of_the_images_must_go(available, high, low, wanted):
    assert image_garbage.wanted_bytes(available, 1000, high, low) == wanted


def test_which_images_go():
    record = image_garbage.Record
    found = [("new", 10, record(95)), ("used", 10, record(0, 90)), ("old", 10, record(1)), ("older", 10, record(0))]
    assert image_garbage.choose(found, 15, 100, 10, 0) == ["older", "old"]
    assert image_garbage.choose(found, 100, 100, 10, 0) == ["older", "old", "used"]
    assert image_garbage.choose(found, 0, 100, 10, 50) == ["older", "old"]


def limited(*containers, **spec):
    made = [
        {"name": name, "resources": {"limits": {"ephemeral-storage": limit}} if limit else {}}
        for name, limit in containers
    ]
    return {"metadata": {"uid": "u"}, "spec": {"containers": made, **spec}}


EMPTY = [{"name": "v", "emptyDir": {"sizeLimit": "1Mi"}}]


WHOLE = "Pod ephemeral local storage usage exceeds the total limit of containers 2Mi. "
ONE = 'Container a exceeded its local ephemeral storage limit "2Mi". '
VOLUME = 'Usage of EmptyDir volume "v" exceeds the limit "1Mi". '


@pytest.mark.parametrize(
    ("pod", "containers", "volumes", "message"),
    [
        (limited(("a", "2Mi")), {"a": MI}, {}, ""),
        (limited(("a", None)), {"a": 900 * MI}, {}, ""),
        (limited(("a", "2Mi")), {"a": 3 * MI}, {}, WHOLE),
        (limited(("a", "2Mi"), ("b", "8Mi")), {"a": 3 * MI}, {}, ONE),
        (limited(("a", "2Mi")), {"a": MI}, {"v": 2 * MI}, WHOLE),
        (limited(("a", "9Mi"), volumes=EMPTY), {}, {"v": 2 * MI}, VOLUME),
    ],
)
def test_limits_of_local_storage(pod, containers, volumes, message):
    assert local_storage.exceeded(pod, local_storage.Usage(containers, volumes)) == message


def test_a_container_beyond_its_storage_limit_evicts_its_pod(kit, monkeypatch):
    monkeypatch.setattr(local_storage, "CHECK_SECONDS", 0.05)
    kit.start()
    pod(kit, "a", {"resources": {"limits": {"ephemeral-storage": "2Mi"}}})
    kit.wait("a", kit_module.ready)
    [container] = kit.engine.containers({labels.POD_NAME: "a"})
    kit.engine.used[container.id] = runtime.Storage(3 * MI, MI)
    found = kit.wait("a", lambda pod: pod["status"]["phase"] == "Failed")
    assert found["status"]["message"] == "Pod ephemeral local storage usage exceeds the total limit of containers 2Mi. "

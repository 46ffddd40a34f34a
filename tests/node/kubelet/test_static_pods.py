"""Pods from a folder of the node."""

import json
import os

import kubelet_kit as kit_module
import pytest

from kubeshim.node.container_runtime import fake
from kubeshim.node.kubelet import labels, static_pods

POD = {
    "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"},
    "spec": {"containers": [{"name": "web", "image": kit_module.IMAGE}], "terminationGracePeriodSeconds": 1},
}  # fmt: skip


def text(**spec):
    return json.dumps({**POD, "spec": {**POD["spec"], **spec}}).encode()


def test_a_file_makes_a_pod_of_this_node():
    pod = static_pods.pod_of(text(), "/d/web.json", "n1")
    assert pod["metadata"]["name"] == "web-n1" and pod["metadata"]["namespace"] == "default"
    assert pod["spec"]["nodeName"] == "n1" and pod["spec"]["restartPolicy"] == "Always"
    assert {"operator": "Exists", "effect": "NoExecute"} in pod["spec"]["tolerations"]
    assert pod["metadata"]["uid"] == static_pods.pod_of(text(), "/d/web.json", "n1")["metadata"]["uid"]
    assert pod["metadata"]["uid"] != static_pods.pod_of(text(hostNetwork=True), "/d/web.json", "n1")["metadata"]["uid"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"kind: [", "did not find expected"),
        (b"kind: ConfigMap\napiVersion: v1\n", "not a v1 Pod"),
        (text(containers=[]), "are needed"),
        (text(containers=[{"name": "UPPER", "image": "x"}]), "lower case|Invalid value"),
        (text(volumes=[{"name": "v", "secret": {"secretName": "s"}}]), "may not reference secrets"),
        (text(serviceAccountName="me"), "may not reference serviceaccounts"),
    ],
)
def test_files_that_make_no_pod_say_why(content, words):
    with pytest.raises(static_pods.BadManifest, match=words):
        static_pods.pod_of(content, "/x", "n")


@pytest.fixture
def kit(tmp_path):
    engine = fake.Fake(images=[kit_module.IMAGE], registry=[])
    made = kit_module.make(tmp_path, engine=engine, static_pod_path=str(tmp_path / "manifests"))
    (tmp_path / "manifests").mkdir()
    yield made
    made.close()


def test_a_static_pod_runs_and_is_shown(kit, tmp_path):
    manifest = tmp_path / "manifests" / "web.json"
    manifest.write_bytes(text())
    kit.start()
    name = f"web-{kit.settings.node_name}"
    found = kit.wait(name, kit_module.ready)
    container = kit.container(name)
    assert found["metadata"]["uid"] != container.labels[labels.POD_UID]
    assert found["metadata"]["annotations"]["kubernetes.io/config.mirror"] == container.labels[labels.POD_UID]
    assert found["metadata"]["ownerReferences"][0]["kind"] == "Node"
    assert kit.running[0][0].container_id("default", name, "web") == container.id

    kit.delete(name)  # shows the same pod again, without a restart
    kit.wait(name, lambda pod: pod["metadata"]["uid"] != found["metadata"]["uid"] and kit_module.ready(pod))
    assert kit.container(name).id == container.id

    manifest.write_bytes(text(hostNetwork=True))
    kit.wait(name, lambda pod: pod["spec"].get("hostNetwork") and kit_module.ready(pod))
    told = kit.events.reasons(name)
    assert told.index("Killing") < told.index("Started", told.index("Started") + 1)  # never both at once
    assert next(each for each in kit.engine.containers({labels.POD_NAME: name}) if each.pid).id != container.id

    manifest.unlink()
    kit.wait(name, lambda pod: pod is None)
    kit.wait_engine(lambda: not kit.engine.sandboxes({}))


def test_a_file_that_is_half_written_leaves_the_pod_alone(tmp_path):
    folder, manifest = static_pods.Folder(str(tmp_path), "n"), tmp_path / "web.json"
    manifest.write_bytes(text())
    before = folder.read()
    manifest.write_bytes(text()[:20])
    assert folder.read() == before
    manifest.write_bytes(text(hostNetwork=True))
    assert folder.read()["default/web-n"]["spec"]["hostNetwork"]
    manifest.unlink()
    assert folder.read() == {}


def test_a_static_pod_survives_a_restart_of_the_kubelet(kit, tmp_path):
    (tmp_path / "manifests" / "web.json").write_bytes(text())
    kit.start()
    name = f"web-{kit.settings.node_name}"
    kit.wait(name, kit_module.ready)
    before = kit.container(name).id
    kit.stop()
    kit.start()
    kit.wait(name, kit_module.ready)
    assert kit.container(name).id == before


def test_a_pod_that_claims_to_be_a_mirror_is_removed(kit):
    kit.start()
    liar = kit_module.pod("liar", kit.settings.node_name)
    liar["metadata"]["annotations"] = {"kubernetes.io/config.mirror": "x"}
    kit.create(liar)
    kit.wait("liar", lambda pod: pod is None)


def test_nobody_is_written_to_in_a_closed_watchs_name(tmp_path):
    watch = static_pods.Watch(str(tmp_path))
    watch.wake()
    watch.wait(60)
    watch.close()
    first = os.dup(0)
    reader, writer = os.pipe2(os.O_NONBLOCK)  # whose numbers were the watch's
    watch.wake()
    with pytest.raises(BlockingIOError):
        os.read(reader, 1)
    for descriptor in (first, reader, writer):
        os.close(descriptor)

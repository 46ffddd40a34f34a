"""A kubelet on the real engine: what only real containers can show."""

import dataclasses
import pathlib
import subprocess
import threading
import uuid

import kubelet_kit as kit_module
import pytest

from kubeshim.node.container_runtime import docker
from kubeshim.node.kubelet import image_trees, labels, mounts
from tests import busybox_image

pytestmark = [pytest.mark.docker, pytest.mark.root]


@pytest.fixture
def kit(tmp_path):
    engine = docker.Docker()
    busybox_image.ensure(engine)
    name = f"kubeshim-test-{uuid.uuid4().hex[:8]}"
    made = kit_module.make(tmp_path, engine=engine, cluster_name=name, node_name=name, cgroup_root="kubeshim-test")
    yield made
    made.stop()
    made.api.stop()
    own = {labels.CLUSTER: name}
    for container in engine.containers(own):
        engine.remove_container(container.id)
    for sandbox in engine.sandboxes(own):
        engine.remove_sandbox(sandbox.id)
    mounts.remove_tree(str(tmp_path / "pods"))
    engine.close()


def pod(kit, name, *containers, **spec):
    made = [{"image": busybox_image.NAME, **each} for each in containers]
    return kit.create(kit_module.pod(name, kit.settings.node_name, *made, **spec))


def run(kit, name, script, container=None, **spec):
    """The log of a pod that runs a script to its end."""
    made = {"command": ["sh", "-c", script], **(container or {})}
    pod(kit, name, made, restartPolicy="Never", **spec)
    found = kit.wait(name, lambda pod: pod["status"]["phase"] in ("Succeeded", "Failed"))
    lines = kit.engine.logs(kit.container(name).id, docker.runtime.LogOptions())
    return found, b"".join(line for _, line in lines).decode()


def test_environment_files_and_identity_inside_a_container(kit):
    kit.start()
    env = [
        {"name": "WHO", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
        {"name": "BOTH", "value": "$(WHO)@$(IP)"},
    ]
    script = (
        "hostname; echo $BOTH; cat /etc/resolv.conf /etc/hosts; id -u; id -g; id -G; echo bye > /dev/termination-log"
    )
    security = {"runAsUser": 1001, "runAsGroup": 1002, "fsGroup": 1003}
    found, text = run(kit, "inside", script, {"env": env}, securityContext=security, subdomain="sub")
    lines = text.splitlines()
    assert lines[:2] == ["inside", "inside@10.244.3.2"]
    assert "nameserver 10.96.0.10" in lines and "options ndots:5" in lines
    assert "10.244.3.2\tinside.sub.default.svc.cluster.local\tinside" in lines
    assert lines[-3:] == ["1001", "1002", "1002 1003"]
    assert found["status"]["containerStatuses"][0]["state"]["terminated"]["message"] == "bye\n"


def test_volumes_as_containers_see_them_and_nothing_left_of_them(kit):
    kit.start()
    kit.put("ConfigMap", "cm", data={"a": "A", "b": "B"})
    kit.put("Secret", "s", data={"p": "c2VjcmV0"})
    volumes = [
        {"name": "cm", "configMap": {"name": "cm", "defaultMode": 0o400, "items": [{"key": "a", "path": "x/y"}]}},
        {"name": "s", "secret": {"secretName": "s"}},
        {"name": "m", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
        {"name": "d", "emptyDir": {}},
    ]
    where = [
        {"name": "cm", "mountPath": "/cm"}, {"name": "s", "mountPath": "/s", "readOnly": True},
        {"name": "m", "mountPath": "/m"}, {"name": "d", "mountPath": "/d"},
        {"name": "s", "mountPath": "/one", "subPath": "p"}, {"name": "d", "mountPath": "/part", "subPath": "deep/er"},
    ]  # fmt: skip
    script = "exec 2>&1; cat /cm/x/y; stat -L -c %a /cm/x/y; cat /s/p /one; echo; stat -c %a /d /m; echo hi > /part/f"
    script += "; cat /d/deep/er/f; echo no > /s/p || echo read-only; stat -f -c %T /m /s"
    _, text = run(kit, "volumes", script, {"volumeMounts": where}, volumes=volumes)
    assert text.splitlines()[0] == "A400", text
    assert text.splitlines()[1:5] == ["secretsecret", "777", "777", "hi"]
    assert "read-only" in text and text.splitlines()[-2:] == ["tmpfs", "tmpfs"]
    directory = kit.settings.data_dir
    kit.delete("volumes")
    kit.wait("volumes", lambda pod: pod is None)
    assert mounts.points(directory + "/pods") == [] and list(pathlib.Path(directory, "pods").iterdir()) == []


def test_limits_exec_probe_and_restart_after_a_kill(kit):
    kit.start()
    probe = {"exec": {"command": ["cat", "/tmp/ok"]}, "periodSeconds": 1, "initialDelaySeconds": 0}
    resources = {"limits": {"memory": "32Mi", "cpu": "500m"}, "requests": {"memory": "16Mi", "cpu": "100m"}}
    script = "touch /tmp/ok; exec sleep 1000"
    pod(kit, "a", {"command": ["sh", "-c", script], "readinessProbe": probe, "resources": resources})
    found = kit.wait("a", kit_module.ready)
    assert found["status"]["qosClass"] == "Burstable"
    running = kit.container("a")
    form = "{{.HostConfig.Memory}} {{.HostConfig.CpuQuota}} {{.HostConfig.CpuShares}}"
    command = ["docker", "inspect", "-f", form, running.id]
    inspected = subprocess.run(command, capture_output=True, text=True, check=True)
    assert inspected.stdout.split() == [str(32 << 20), "50000", "102"]
    stats = kit.engine.stats(running.id)
    assert stats is not None and stats.memory_usage > 0
    subprocess.run(["docker", "kill", running.id], capture_output=True, check=True)
    found = kit.wait("a", lambda pod: pod["status"]["containerStatuses"][0]["restartCount"] == 1)
    last = found["status"]["containerStatuses"][0]["lastState"]["terminated"]
    assert last["exitCode"] == 137 and last["reason"] == "Error"


def test_grace_is_given_and_prestop_runs_first(kit):
    kit.start()
    script = "trap 'echo term >> /out/log; exit 0' TERM; touch /out/up; while :; do sleep 0.05; done"
    hook = {"preStop": {"exec": {"command": ["sh", "-c", "echo hook >> /out/log"]}}}
    directory = pathlib.Path(kit.settings.data_dir, "out")
    volumes = [{"name": "out", "hostPath": {"path": str(directory), "type": "DirectoryOrCreate"}}]
    where = [{"name": "out", "mountPath": "/out"}]
    pod(kit, "a", {"command": ["sh", "-c", script], "lifecycle": hook, "volumeMounts": where}, volumes=volumes)
    kit.wait("a", lambda pod: kit_module.ready(pod) and (directory / "up").exists())
    kit.delete("a", grace=20)
    kit.wait("a", lambda pod: pod is None)
    assert (directory / "log").read_text() == "hook\nterm\n"


def test_a_pod_as_a_whole_is_limited_and_its_cgroup_goes_with_it(tmp_path, kit):
    kit.settings = dataclasses.replace(kit.settings, pod_pids_limit=50)
    kit.start()
    limits = {"cpu": "500m", "memory": "32Mi"}
    each = {"command": ["sleep", "1000"], "resources": {"limits": limits, "requests": limits}}
    found = pod(kit, "a", {"name": "one", **each}, {"name": "two", **each})
    kit.wait("a", kit_module.ready)
    if kit.engine.info().cgroup_version != 1:
        pytest.skip("cgroup version 2 is held by tables")
    where = f"kubeshim-test/{kit.settings.node_name}/pod{found['metadata']['uid']}"

    def value(controller, name):
        return pathlib.Path("/sys/fs/cgroup", controller, where, name).read_text().strip()

    assert value("memory", "memory.limit_in_bytes") == str(64 << 20) and value("pids", "pids.max") == "50"
    assert (value("cpu", "cpu.cfs_quota_us"), value("cpu", "cpu.shares")) == ("100000", "1024")
    more = {"limits": {"cpu": "1", "memory": "64Mi"}, "requests": {"cpu": "1", "memory": "64Mi"}}
    kit.update("a", lambda pod: {**pod, "spec": {**pod["spec"], "containers": [
        {**each, "resources": more} for each in pod["spec"]["containers"]]}})  # fmt: skip
    wait_for(lambda: value("memory", "memory.limit_in_bytes") == str(128 << 20))
    kit.delete("a", 1)
    kit.wait("a", lambda gone: gone is None)
    wait_for(lambda: not pathlib.Path("/sys/fs/cgroup/memory", where).exists())


def wait_for(condition, timeout=60):
    step = threading.Event()
    for _ in range(int(timeout / 0.02)):
        if condition():
            return
        step.wait(0.02)
    raise AssertionError("it never came true")


def test_an_image_as_a_volume_is_read_only_and_shared(kit):
    kit.start()
    volumes = [{"name": "v", "image": {"reference": busybox_image.NAME, "pullPolicy": "IfNotPresent"}}]
    where = [
        {"name": "v", "mountPath": "/v", "readOnly": True},
        {"name": "v", "mountPath": "/part", "subPath": "etc"},
    ]
    script = (
        "head -1 /v/etc/passwd; head -1 /part/passwd; touch /v/x || echo read-only; touch /part/x || echo read-only;"
        "/v/bin/busybox true || echo not run"
    )
    found, text = run(kit, "a", f"({script}) 2>/dev/null", {"volumeMounts": where}, volumes=volumes)
    passwd = "root:x:0:0:root:/:/bin/sh\n"
    assert text == passwd * 2 + "read-only\nread-only\nnot run\n"
    trees = pathlib.Path(kit.settings.data_dir, "image-volumes")
    assert len(list(trees.iterdir())) == 1
    pods = str(pathlib.Path(kit.settings.data_dir, "pods"))
    image_trees.Trees(kit.engine, str(trees), {}).sweep(pods)
    assert len(list(trees.iterdir())) == (1 if image_trees.used(pods) else 0)
    kit.delete("a", 1)
    kit.wait("a", lambda gone: gone is None)
    wait_for(lambda: not image_trees.used(pods))
    image_trees.Trees(kit.engine, str(trees), {}).sweep(pods)
    assert not list(trees.iterdir())
    pod(kit, "none", {}, volumes=[{"name": "v", "image": {"reference": "none:1", "pullPolicy": "Never"}}])
    found = kit.wait("none", lambda pod: "ErrImageNeverPull" in str(pod["status"]))
    assert found["status"]["containerStatuses"][0]["state"]["waiting"]["reason"] == "ErrImageNeverPull"


def test_recursively_read_only_reaches_what_is_mounted_below(kit, tmp_path):
    kit.start()
    below = tmp_path / "host" / "below"
    below.mkdir(parents=True)
    mounts.tmpfs(str(below))
    try:
        where = [
            {"name": "v", "mountPath": "/plain", "readOnly": True},
            {"name": "v", "mountPath": "/all", "readOnly": True, "recursiveReadOnly": "Enabled"},
        ]
        script = "for d in /plain /all; do touch $d/x || echo $d; touch $d/below/x || echo $d/below; done"
        volumes = [{"name": "v", "hostPath": {"path": str(tmp_path / "host")}}]
        found, text = run(kit, "a", f"({script}) 2>/dev/null", {"volumeMounts": where}, volumes=volumes)
    finally:
        mounts.unmount(str(below))
    assert text == "/plain\n/all\n/all/below\n"
    told = found["status"]["containerStatuses"][0]["volumeMounts"]
    assert [mount["recursiveReadOnly"] for mount in told] == ["Disabled", "Enabled"]


def test_a_mount_that_one_container_makes_reaches_the_others(kit):
    kit.start()
    script = "mkdir -p /v/x; /bin/busybox mount -t tmpfs none /v/x && echo hello > /v/x/file; exec sleep 1000"
    maker = {
        "name": "maker", "command": ["sh", "-c", script], "securityContext": {"privileged": True},
        "volumeMounts": [{"name": "v", "mountPath": "/v", "mountPropagation": "Bidirectional"}],
    }  # fmt: skip
    seer = {"name": "seer", "command": ["sleep", "1000"]}
    seer["volumeMounts"] = [{"name": "v", "mountPath": "/v", "mountPropagation": "HostToContainer"}]
    other = {"name": "other", "command": ["sleep", "1000"], "volumeMounts": [{"name": "v", "mountPath": "/v"}]}
    found = pod(kit, "a", seer, other, maker, volumes=[{"name": "v", "emptyDir": {}}], terminationGracePeriodSeconds=0)
    kit.wait("a", kit_module.ready)

    def sees(container):
        return kit.engine.exec_sync(kit.container("a", container).id, ["cat", "/v/x/file"], 10)

    wait_for(lambda: sees("seer") == (0, b"hello\n"))
    assert sees("other")[0] != 0
    kit.delete("a", 1)
    kit.wait("a", lambda gone: gone is None)
    directory = pathlib.Path(kit.settings.data_dir, "pods", found["metadata"]["uid"])
    wait_for(lambda: not directory.exists())
    assert not mounts.points(str(directory))

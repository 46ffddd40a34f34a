"""A whole kubelet on the fake runtime."""

import dataclasses
import http.server
import os
import pathlib
import threading

import kubelet_kit as kit_module
import pytest

from kubeshim.node.container_runtime import fake, runtime
from kubeshim.node.kubelet import labels, local_storage, termination


def execute(command):
    if "absent" in command:
        raise runtime.StartFailure("OCI runtime exec failed: absent: not found", 126)
    return 1 if "false" in command else 0, b"said\n"


@pytest.fixture
def kit(tmp_path):
    made = kit_module.make(
        tmp_path,
        fake.Rule(lambda spec: "exits" in (spec.args or ()), 0.02, 1, [b"bye\n"]),
        fake.Rule(lambda spec: "succeeds" in (spec.args or ()), 0.02, 0),
        fake.Rule(lambda spec: "stubborn" in (spec.args or ()), ignores_stop=True),
        fake.Rule(lambda spec: "broken" in (spec.args or ()), start_error="exec: broken: not found"),
        fake.Rule(lambda spec: True, exec_result=execute),
    )
    yield made
    made.close()


def pod(kit, name, *containers, **spec):
    return kit.create(kit_module.pod(name, kit.settings.node_name, *containers, **spec))


def status_of(found, container="web"):
    fields = ("containerStatuses", "initContainerStatuses")
    return next(entry for field in fields for entry in found["status"].get(field, ()) if entry["name"] == container)


def test_the_node_registers_with_what_it_has_and_keeps_a_lease(kit):
    kit.start()
    node = kit.api.find(("v1", "nodes"), "", kit.settings.node_name)
    assert node["metadata"]["labels"]["kubernetes.io/hostname"] == kit.settings.node_name
    assert node["status"]["capacity"]["pods"] == "110" and node["status"]["capacity"]["memory"].endswith("Ki")
    assert {"type": "InternalIP", "address": "172.30.0.2"} in node["status"]["addresses"]
    assert {entry["type"] for entry in node["status"]["conditions"]} == {
        "MemoryPressure", "DiskPressure", "PIDPressure", "Ready",
    }  # fmt: skip
    assert kit.network.pod_cidr == "10.244.3.0/24"
    with kit.api.lock:
        leases = kit.api.collections["coordination.k8s.io/v1", "leases"]
        assert kit.api.lock.wait_for(lambda: leases, 60)
    [lease] = leases.values()
    assert lease["spec"]["holderIdentity"] == kit.settings.node_name


def test_a_pod_runs_becomes_ready_and_is_deleted_with_everything_it_had(kit):
    kit.start()
    pod(kit, "a", {"ports": [{"containerPort": 80}]})
    found = kit.wait("a", kit_module.ready)
    status = found["status"]
    assert status["phase"] == "Running" and status["podIP"] == "10.244.3.2" and status["hostIP"] == "172.30.0.2"
    assert status["qosClass"] == "BestEffort" and status["startTime"]
    entry = status_of(found)
    assert entry["ready"] and entry["started"] and entry["containerID"].startswith("docker://")
    assert entry["imageID"].startswith("docker-pullable://") and "startedAt" in entry["state"]["running"]
    assert kit.events.reasons("a") == ["Pulled", "Created", "Started"]
    assert ("a", "Started", "Container started", "spec.containers{web}") in kit.events.told
    uid = found["metadata"]["uid"]
    assert os.path.exists(os.path.join(kit.settings.data_dir, "pods", uid, "etc-hosts"))
    kit.delete("a")
    kit.wait("a", lambda gone: gone is None)
    wait_for(lambda: not kit.engine.containers({}) and not kit.engine.sandboxes({}))
    assert not os.path.exists(os.path.join(kit.settings.data_dir, "pods", uid))
    assert ("a", "Killing", "Stopping container web", "spec.containers{web}") in kit.events.told


def test_a_deletion_hurries_a_container_that_was_being_stopped_for_another(kit, monkeypatch):
    monkeypatch.setattr(termination, "_SHORTEST", 0.01)
    kit.start()
    pod(kit, "a", {"args": ["stubborn"]}, terminationGracePeriodSeconds=3600)
    kit.wait("a", kit_module.ready)
    other = {"name": "web", "image": "example/web:2"}
    kit.update("a", lambda found: {**found, "spec": {**found["spec"], "containers": [other]}})
    assert kit.wait_event("a", "Killing") == "Container web definition changed, will be restarted"
    kit.delete("a", grace=0)
    kit.wait("a", lambda gone: gone is None)


def test_what_others_say_of_a_running_pod_is_put_right_at_once(kit):
    """As node lifecycle does to the pods of a node that does not answer for a while."""
    kit.start()
    pod(kit, "a")
    kit.wait("a", kit_module.ready)

    def call_unready(found):
        conditions = [
            {**entry, "status": "False"} if entry["type"] == "Ready" else entry
            for entry in found["status"]["conditions"]
        ]
        return {**found, "status": {**found["status"], "conditions": conditions}}

    kit.update("a", call_unready)
    kit.wait("a", kit_module.ready)


def test_a_container_that_ends_is_restarted_with_back_off_and_keeps_its_last_state(kit):
    kit.start()
    pod(kit, "a", {"args": ["exits"]})
    found = kit.wait("a", lambda pod: status_of(pod)["restartCount"] >= 2)
    assert status_of(found)["lastState"]["terminated"]["exitCode"] == 1
    found = kit.wait("a", lambda pod: status_of(pod)["state"].get("waiting", {}).get("reason") == "CrashLoopBackOff")
    message = status_of(found)["state"]["waiting"]["message"]
    assert message.startswith("back-off ") and "restarting failed container=web pod=a_default(" in message
    assert kit.wait_event("a", "BackOff").startswith("Back-off restarting failed container web in pod a_default(")
    assert len(kit.engine.containers({labels.POD_NAME: "a"})) <= 3
    assert found["status"]["phase"] == "Running"


def test_a_new_image_takes_over_in_one_round_whatever_the_policy_says(kit):
    """Nobody who looks in between may find the pod unready."""
    kit.start()
    pod(kit, "a", restartPolicy="Never")
    kit.wait("a", kit_module.ready)
    seen = len(kit.api.history)

    def renew(found):
        [web] = found["spec"]["containers"]
        return {**found, "spec": {**found["spec"], "containers": [{**web, "image": kit_module.NEWER_IMAGE}]}}

    kit.update("a", renew)
    found = kit.wait("a", lambda pod: status_of(pod)["restartCount"] == 1 and "running" in status_of(pod)["state"])
    assert status_of(found)["image"] == kit_module.NEWER_IMAGE and status_of(found)["resources"] == {}
    written = [obj for _, where, _, obj in kit.api.history[seen:] if where == ("v1", "pods")]
    assert len(written) > 1 and all(kit_module.ready(obj) for obj in written)


def test_a_job_pod_succeeds_and_frees_its_address(kit):
    kit.start()
    pod(kit, "a", {"args": ["succeeds"]}, restartPolicy="Never")
    found = kit.wait("a", lambda pod: pod["status"]["phase"] == "Succeeded")
    assert status_of(found)["state"]["terminated"]["reason"] == "Completed"
    assert {entry["type"]: entry.get("reason") for entry in found["status"]["conditions"]}["Ready"] == "PodCompleted"
    assert found["status"]["podIP"] == "10.244.3.2"
    [left] = kit.engine.containers({labels.POD_NAME: "a"})
    assert left.state is runtime.State.EXITED


def test_init_containers_run_in_order_before_the_others(kit):
    kit.start()
    init = [{"name": name, "image": kit_module.IMAGE, "args": ["succeeds"]} for name in ("one", "two")]
    pod(kit, "a", initContainers=init)
    found = kit.wait("a", kit_module.ready)
    assert [entry["state"]["terminated"]["reason"] for entry in found["status"]["initContainerStatuses"]] == [
        "Completed", "Completed",
    ]  # fmt: skip
    order = [path for _, reason, _, path in kit.events.told if reason == "Started"]
    assert order == ["spec.initContainers{one}", "spec.initContainers{two}", "spec.containers{web}"]


def test_a_sidecar_is_stopped_when_the_others_are_done_and_only_then_is_the_pod_over(kit):
    kit.start()
    sidecar = [{"name": "side", "image": kit_module.IMAGE, "restartPolicy": "Always"}]
    pod(kit, "a", {"args": ["succeeds"]}, initContainers=sidecar, restartPolicy="Never")
    found = kit.wait("a", lambda pod: pod["status"]["phase"] == "Succeeded")
    assert "terminated" in status_of(found, "side")["state"] and "terminated" in status_of(found)["state"]
    assert ("a", "Killing", "Stopping container side", "spec.initContainers{side}") in kit.events.told


def test_a_failing_init_container_of_a_pod_that_never_restarts_fails_it(kit):
    kit.start()
    init = [{"name": "one", "image": kit_module.IMAGE, "args": ["exits"]}]
    pod(kit, "a", initContainers=init, restartPolicy="Never")
    found = kit.wait("a", lambda pod: pod["status"]["phase"] == "Failed")
    assert status_of(found, "one")["state"]["terminated"]["exitCode"] == 1


def test_what_cannot_start_says_why(kit):
    kit.start()
    pod(kit, "missing", {"image": "example/none:1"})
    pod(kit, "broken", {"args": ["broken"]})
    pod(kit, "config", {"env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "cm", "key": "k"}}}]})
    kit.wait("missing", lambda pod: status_of(pod)["state"]["waiting"]["reason"] == "ErrImagePull")
    kit.wait("missing", lambda pod: status_of(pod)["state"]["waiting"]["reason"] == "ImagePullBackOff")
    assert kit.wait_event("missing", "Failed").startswith('Failed to pull image "example/none:1": ')
    found = kit.wait("broken", lambda pod: status_of(pod)["lastState"]["terminated"]["reason"] == "StartError")
    assert found["status"]["containerStatuses"][0]["lastState"]["terminated"]["exitCode"] == 128
    found = kit.wait("config", lambda pod: "waiting" in status_of(pod)["state"] and
                     status_of(pod)["state"]["waiting"]["reason"] == "CreateContainerConfigError")  # fmt: skip
    assert status_of(found)["state"]["waiting"]["message"] == 'configmap "cm" not found'
    kit.put("ConfigMap", "cm", data={"k": "v"})
    kit.wait("config", kit_module.ready)
    assert ("A", "v") in kit.engine.specs[kit.container("config").id].env


def test_a_mounted_config_map_follows_changes(kit):
    kit.start()
    kit.put("ConfigMap", "cm", data={"k": "one"})
    mounted = {"volumeMounts": [{"name": "v", "mountPath": "/config"}]}
    found = pod(kit, "a", mounted, volumes=[{"name": "v", "configMap": {"name": "cm"}}])
    kit.wait("a", kit_module.ready)
    path = os.path.join(
        kit.settings.data_dir, "pods", found["metadata"]["uid"], "volumes", "kubernetes.io~configmap", "v", "k"
    )
    [mount] = [each for each in kit.engine.specs[kit.container("a").id].mounts if each.container_path == "/config"]
    assert mount.host_path == os.path.dirname(path) and pathlib.Path(path).read_text() == "one"
    kit.put("ConfigMap", "cm", data={"k": "two"})
    wait_for(lambda: pathlib.Path(path).read_text() == "two")


def wait_for(condition, timeout=60):

    step = threading.Event()
    for _ in range(int(timeout / 0.02)):
        if condition():
            return
        step.wait(0.02)
    raise AssertionError("it never came true")


def test_liveness_restarts_and_readiness_unreadies(kit):
    kit.start()
    probe = {"exec": {"command": ["false"]}, "periodSeconds": 1, "failureThreshold": 1, "timeoutSeconds": 1}
    pod(kit, "live", {"livenessProbe": probe})
    pod(kit, "unready", {"readinessProbe": probe})
    found = kit.wait("live", lambda pod: status_of(pod)["restartCount"] == 1)
    assert status_of(found)["lastState"]["terminated"]["exitCode"] == 143
    assert kit.wait_event("live", "Killing") == "Container web failed liveness probe, will be restarted"
    assert kit.wait_event("live", "Unhealthy") == "Liveness probe failed: said\n"
    found = kit.wait("unready", lambda pod: "running" in status_of(pod)["state"])
    assert not kit_module.ready(found) and status_of(found)["started"]


def test_a_new_kubelet_takes_over_without_restarting_anything(kit):
    first = kit.start()
    probe = {"exec": {"command": ["true"]}, "periodSeconds": 1}
    pod(kit, "a", {"readinessProbe": probe})
    found = kit.wait("a", kit_module.ready)
    before = kit.container("a")
    kit.stop()
    del first
    versions = found["metadata"]["resourceVersion"]
    kit.start()
    pod(kit, "b")
    other = kit.wait("b", kit_module.ready)
    node = kit.api.find(("v1", "nodes"), "", kit.settings.node_name)
    states = [event[3] for event in kit.api.history if event[1] == ("v1", "nodes")][2:]
    for state in [*states, node]:
        assert {"Ready": "True"}.items() <= {
            each["type"]: each["status"] for each in state["status"]["conditions"]
        }.items()
    assert other["status"]["podIP"] == "10.244.3.3"
    assert kit.container("a").id == before.id and kit.pod("a")["metadata"]["resourceVersion"] == versions
    kit.engine.finish(before.id, 1)
    kit.wait("a", lambda pod: status_of(pod)["restartCount"] == 1)


def test_pods_deleted_while_no_kubelet_ran_are_cleaned_up(kit):
    kit.start()
    pod(kit, "a")
    found = kit.wait("a", kit_module.ready)
    kit.stop()
    kit.api.put(("v1", "pods"), "DELETED", found)
    kit.start()
    wait_for(lambda: not kit.engine.containers({}) and not kit.engine.sandboxes({}))


def test_a_pod_the_node_cannot_take_is_refused(kit):
    kit.start()
    pod(kit, "big", {"resources": {"requests": {"cpu": "1000"}}})
    pod(kit, "elsewhere", nodeSelector={"disk": "ssd"})
    found = kit.wait("big", lambda pod: pod["status"]["phase"] == "Failed")
    assert found["status"]["reason"] == "OutOfcpu"
    assert found["status"]["message"].startswith("Pod was rejected: Node didn't have enough resource: cpu, requested")
    found = kit.wait("elsewhere", lambda pod: pod["status"]["phase"] == "Failed")
    assert found["status"]["reason"] == "NodeAffinity"


def cpu(amount):
    return {"resources": {"requests": {"cpu": amount}}}


def resized(amount):
    def change(pod):
        metadata = {**pod["metadata"], "generation": pod["metadata"].get("generation", 1) + 1}
        container = {**pod["spec"]["containers"][0], **cpu(amount)}
        return {**pod, "metadata": metadata, "spec": {**pod["spec"], "containers": [container]}}

    return change


def resize_pending(found):
    return next((c["reason"] for c in found["status"]["conditions"] if c["type"] == "PodResizePending"), None)


def test_a_resize_waits_for_room_also_across_a_restart(kit):
    kit.settings = dataclasses.replace(kit.settings, system_reserved={"cpu": f"{(os.cpu_count() or 1) - 1}"})
    kit.start()
    pod(kit, "grows", cpu("300m"))
    pod(kit, "other", cpu("600m"))
    kit.wait("other", kit_module.ready)
    kit.wait("grows", kit_module.ready)
    kit.update("grows", resized("9k"))
    found = kit.wait("grows", lambda pod: resize_pending(pod) == "Infeasible")
    capacity = "Node didn't have enough capacity: cpu, requested: 9000000, capacity: 1000"
    assert capacity in kit.wait_event("grows", "ResizeInfeasible")

    kit.update("grows", resized("500m"))
    found = kit.wait("grows", lambda pod: resize_pending(pod) == "Deferred")
    assert status_of(found)["resources"] == {"requests": {"cpu": "300m"}}
    assert kit.wait_event("grows", "ResizeDeferred") == (
        'Pod resize Deferred: {"containers":[{"name":"web","resources":{"requests":{"cpu":"500m"}}}],"generation":3,'
        '"error":"Node didn\'t have enough resource: cpu, requested: 500, used: 600, capacity: 1000"}'
    )
    kit.stop()
    kit.start()
    found = kit.wait("grows", lambda pod: resize_pending(pod) == "Deferred")
    assert status_of(found)["resources"] == {"requests": {"cpu": "300m"}}

    kit.delete("other", 0)
    found = kit.wait("grows", lambda pod: status_of(pod)["resources"] == {"requests": {"cpu": "500m"}})
    assert resize_pending(found) is None and status_of(found)["restartCount"] == 0
    assert kit.wait_event("grows", "ResizeCompleted") == (
        'Pod resize completed: {"containers":[{"name":"web","resources":{"requests":{"cpu":"500m"}}}],"generation":3}'
    )
    assert kit.engine.resources(kit.container("grows").id).cpu_shares == 512


def test_what_a_pod_held_is_free_once_the_api_has_it_no_more(kit):
    kit.start()
    port = {"ports": [{"containerPort": 80, "hostPort": 80}]}
    pod(kit, "a", port)
    found = kit.wait("a", kit_module.ready)
    stopped, stop = threading.Event(), kit.engine.stop_container

    def slowly(*arguments):
        assert stopped.wait(60)
        stop(*arguments)

    kit.engine.stop_container = slowly
    pod(kit, "early", port)
    kit.wait("early", lambda pod: pod["status"]["reason"] == "NodePorts")
    kit.api.put(("v1", "pods"), "DELETED", found)
    pod(kit, "b", port)
    kit.wait("b", kit_module.ready)
    assert kit.engine.containers({labels.POD_NAME: "a"})
    stopped.set()
    wait_for(lambda: not kit.engine.containers({labels.POD_NAME: "a"}))


def test_the_deadline_ends_a_pod(kit):
    kit.start()
    pod(kit, "a", activeDeadlineSeconds=1)
    found = kit.wait("a", lambda pod: pod["status"]["phase"] == "Failed")
    assert found["status"]["reason"] == "DeadlineExceeded"


def test_a_dead_sandbox_is_replaced_and_its_containers_restarted(kit):
    kit.start()
    pod(kit, "a")
    kit.wait("a", kit_module.ready)
    [sandbox] = kit.engine.sandboxes({labels.POD_NAME: "a"})
    kit.engine.stop_sandbox(sandbox.id)
    kit.wait("a", lambda pod: kit_module.ready(pod) and status_of(pod)["restartCount"] == 1)
    [fresh] = [each for each in kit.engine.sandboxes({labels.POD_NAME: "a"}) if each.pid]
    assert fresh.id != sandbox.id
    assert "SandboxChanged" in kit.events.reasons("a")


def test_a_volume_beyond_its_limit_evicts_the_pod(kit, monkeypatch):
    monkeypatch.setattr(local_storage, "CHECK_SECONDS", 0.05)
    kit.start()
    volumes = [{"name": "v", "emptyDir": {"sizeLimit": "64Ki"}}]
    made = pod(kit, "a", {"volumeMounts": [{"name": "v", "mountPath": "/v"}]}, volumes=volumes)
    kit.wait("a", kit_module.ready)
    directory = pathlib.Path(kit.settings.data_dir, "pods", made["metadata"]["uid"])
    (directory / "volumes/kubernetes.io~empty-dir/v/big").write_bytes(b"x" * 200_000)
    found = kit.wait("a", lambda pod: pod["status"]["phase"] == "Failed")
    assert found["status"]["reason"] == "Evicted"
    assert found["status"]["message"] == 'Usage of EmptyDir volume "v" exceeds the limit "64Ki". '


class Away(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(302)
        self.send_header("Location", "http://192.0.2.1/")
        self.end_headers()

    def log_message(self, *_):
        pass


def test_a_probe_that_is_sent_elsewhere_counts_as_passed_and_is_warned_of(kit):
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Away) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,)).start()
        kit.start()
        action = {"host": "127.0.0.1", "port": server.server_address[1], "path": "/"}
        pod(kit, "a", {"readinessProbe": {"httpGet": action}})
        kit.wait("a", kit_module.ready)
        message = kit.wait_event("a", "ProbeWarning")
        assert message == "Readiness probe warning: Probe terminated redirects, Response body: "
        server.shutdown()


def test_a_probe_that_cannot_be_carried_out_counts_neither_way(kit):
    kit.start()
    probe = {"exec": {"command": ["absent"]}, "periodSeconds": 1, "failureThreshold": 1, "timeoutSeconds": 1}
    pod(kit, "a", {"livenessProbe": probe, "readinessProbe": probe})
    message = kit.wait_event("a", "Unhealthy")
    assert " probe errored and resulted in unknown state: error executing command in container: " in message
    found = kit.wait("a", lambda pod: "running" in status_of(pod)["state"])
    assert not kit_module.ready(found) and status_of(found)["restartCount"] == 0


def test_resource_claims_are_refused_by_name(kit):
    kit.start()
    pod(kit, "a", resourceClaims=[{"name": "gpu", "resourceClaimName": "mine"}])
    found = kit.wait("a", lambda pod: status_of(pod)["state"]["waiting"]["reason"] == "FailedPrepareDynamicResources")
    assert status_of(found)["state"]["waiting"]["message"].endswith("not supported by this node: claims gpu")
    assert kit.wait_event("a", "FailedPrepareDynamicResources").startswith("Failed to prepare dynamic resources: ")
    assert not kit.engine.sandboxes({})


def rules(action, *codes):
    exits = {"operator": "In", "values": list(codes)}
    return {"restartPolicy": "Never", "restartPolicyRules": [{"action": action, "exitCodes": exits}]}


def test_a_container_restarts_by_its_own_rules_whatever_the_pods_policy(kit):
    kit.start()
    pod(kit, "again", rules("Restart", 42), restartPolicy="Never")
    pod(kit, "never", {"restartPolicy": "Never", "args": ["succeeds"]})
    kit.wait("again", kit_module.ready)
    kit.engine.finish(kit.container("again").id, 42)
    kit.wait("again", lambda pod: kit_module.ready(pod) and status_of(pod)["restartCount"] == 1)
    kit.engine.finish(kit.container("again").id, 1)
    kit.wait("again", lambda pod: pod["status"]["phase"] == "Failed" and status_of(pod)["restartCount"] == 1)
    kit.wait("never", lambda pod: pod["status"]["phase"] == "Succeeded" and status_of(pod)["restartCount"] == 0)


def test_an_init_container_restarts_by_its_own_rules(kit):
    kit.start()
    init = [{"name": "one", "image": kit_module.IMAGE, "args": ["exits"], **rules("Restart", 1)}]
    pod(kit, "a", initContainers=init, restartPolicy="Never")
    found = kit.wait("a", lambda pod: status_of(pod, "one")["restartCount"] >= 1)
    assert found["status"]["phase"] == "Pending"


def test_an_exit_may_restart_all_containers_in_the_same_sandbox(kit):
    kit.start()
    init = [{"name": "one", "image": kit_module.IMAGE, "args": ["succeeds"]}]
    pod(kit, "a", {"name": "boss", **rules("RestartAllContainers", 42)}, {"name": "web"}, initContainers=init,
        restartPolicy="Never", terminationGracePeriodSeconds=1)  # fmt: skip
    before = kit.wait("a", kit_module.ready)
    kit.engine.finish(kit.container("a", "boss").id, 42)
    counts = {"boss": 1, "web": 1, "one": 1}
    found = kit.wait("a", lambda pod: kit_module.ready(pod) and all(
        status_of(pod, name)["restartCount"] == count for name, count in counts.items()))  # fmt: skip
    assert found["status"]["podIP"] == before["status"]["podIP"] and len(kit.engine.sandboxes({})) == 1
    assert status_of(found, "boss")["lastState"]["terminated"]["exitCode"] == 42


def test_a_hook_may_sleep_and_the_container_is_ready_after_it(kit):
    kit.start()
    hook = {"lifecycle": {"postStart": {"sleep": {"seconds": 1}}, "preStop": {"sleep": {"seconds": 1}}}}
    pod(kit, "a", hook)
    found = kit.wait("a", kit_module.ready)
    assert "FailedPostStartHook" not in kit.events.reasons("a") and status_of(found)["restartCount"] == 0


def test_what_the_machine_withholds_is_told_once(kit):
    limited = kit.engine.info()
    kit.engine.info = lambda: dataclasses.replace(limited, details={"oom_score_floor": 100})
    kit.start()
    assert "lower than 100" in kit.wait_event(kit.settings.node_name, "OOMScoreAdjLimited")


def test_classes_of_service_and_pods_have_cgroups_of_their_own(kit):
    kit.start()
    resources = {"requests": {"cpu": "500m"}, "limits": {"memory": "64Mi"}}
    for name, each in (("a", {}), ("b", {"resources": resources})):
        pod(kit, name, each)
        kit.wait(name, kit_module.ready)
    root = f"kubeshim/{kit.settings.node_name}"
    uid = kit.pod("b")["metadata"]["uid"]
    told = {parent.removeprefix(root): found for parent, found in kit.engine.cgroups.items()}
    assert (told["/besteffort"].cpu_shares, told["/burstable"].cpu_shares) == (2, 512)
    assert (told[f"/burstable/pod{uid}"].cpu_shares, told[f"/burstable/pod{uid}"].memory) == (512, 64 << 20)

"""A pod's life: being made, changed, probed, hooked, ended, restarted; what is told of it."""

import datetime
import ssl

import pytest
import websocket as websockets

from tests.conformance.kube import (
    BUSYBOX,
    IDLE,
    PATIENCE,
    STRATEGIC,
    WEB,
    WEB_2,
    condition,
    container,
    is_ready,
    is_running,
    pod,
)
from tests.conformance.names import answers, case
from tests.conformance.test_volumes import saw
from tests.conformance.test_workloads import pods as selected


def restarts(obj, index=0):
    statuses = (obj or {}).get("status", {}).get("containerStatuses") or []
    return statuses[index]["restartCount"] if len(statuses) > index else 0


def terminated(obj):
    return (obj["status"].get("containerStatuses") or [{}])[0].get("state", {}).get("terminated") or {}


@answers("[sig-node] Pods should be submitted and removed")
def test_submitted_and_removed(kube):
    since = kube.list("Pod")["metadata"]["resourceVersion"]
    with kube.watch("Pod", since=since, labelSelector="time=now") as events:
        kube.start(pod("it", labels={"time": "now"}))
        assert next(events)[0] == "ADDED"
        kube.delete("Pod", "it", grace=1)
        deleting = False
        for event, obj in events:
            if event == "DELETED":
                break
            deleting = deleting or "deletionTimestamp" in obj["metadata"]
    assert deleting and "deletionTimestamp" in obj["metadata"] and obj["spec"]["terminationGracePeriodSeconds"]
    assert selected(kube, time="now") == []


@answers("[sig-node] Pods should be updated")
def test_labels_change(kube):
    kube.start(pod("it", labels={"time": "now"}))
    kube.change("Pod", "it", lambda p: p["metadata"]["labels"].update(time="later"))
    assert len(selected(kube, time="later")) == 1


@answers("[sig-node] Pods should allow activeDeadlineSeconds to be updated")
def test_deadline(kube):
    kube.start(pod("it"))
    kube.change("Pod", "it", lambda p: p["spec"].update(activeDeadlineSeconds=1))
    over = kube.wait("Pod", "it", lambda p: p["status"].get("phase") == "Failed")
    assert over["status"]["reason"] == "DeadlineExceeded"


@answers("[sig-node] Pods should get a host IP")
def test_host_ip(kube):
    status = kube.start(pod("it"))["status"]
    node = kube.get("Node", kube.get("Pod", "it")["spec"]["nodeName"])
    assert status["hostIP"] in [a["address"] for a in node["status"]["addresses"] if a["type"] == "InternalIP"]


@answers("[sig-node] Pods should delete a collection of pods")
def test_collection(kube):
    for i in range(3):
        kube.create(pod(f"it-{i}", labels={"type": "Testing"}))
    assert len(selected(kube, type="Testing")) == 3
    kube.delete_all("Pod", labelSelector="type=Testing", grace=0)
    kube.wait_all("Pod", lambda left: not left)


@answers("[sig-node] Pods should patch a pod status")
def test_status_is_patched(kube):
    kube.create(pod("it", readinessGates=[{"conditionType": "example.com/gate"}]))
    kube.wait("Pod", "it", is_running)
    told = {"message": "Patched by e2e test", "reason": "E2E"}
    patch = {"metadata": {"annotations": {"patchedstatus": "true"}}, "status": told}
    patched = kube.patch("Pod", "it", patch, subresource="status")
    assert told.items() <= patched["status"].items()
    gate = {"type": "example.com/gate", "status": "True"}
    kube.patch("Pod", "it", {"status": {"conditions": [gate]}}, how=STRATEGIC, subresource="status")
    found = kube.wait("Pod", "it", is_ready)
    assert condition(found, "example.com/gate")["status"] == "True"


READY = ("Ready", "ContainersReady")


@answers("[sig-node] Pods should run through the lifecycle of Pods and PodStatus")
def test_status_is_replaced(kube):
    """Also while the container makes way for one of another image, the pod is never seen unready."""
    kube.start(pod("it", container(image=WEB), restart="Always", labels={"test": "status"}))
    patch = {"metadata": {"labels": {"patched": "true"}}, "spec": {"containers": [{"name": "main", "image": WEB_2}]}}
    since = kube.list("Pod")["metadata"]["resourceVersion"]
    assert kube.patch("Pod", "it", patch, how=STRATEGIC)["spec"]["containers"][0]["image"] == WEB_2
    with kube.watch("Pod", since=since) as events:
        for _, found in events:
            assert is_ready(found)
            if restarts(found):
                break

    def refute(found):
        for entry in found["status"]["conditions"]:
            if entry["type"] in READY:
                assert entry["status"] == "True"
                entry["status"] = "False"

    replaced = kube.change("Pod", "it", refute, subresource="status")
    assert [condition(replaced, kind)["status"] for kind in READY] == ["False", "False"]
    kube.wait("Pod", "it", is_ready)
    kube.delete_all("Pod", labelSelector="test=status", grace=1)
    kube.gone("Pod", "it")


@answers(
    "[sig-node] Pods Extended Pods Set QOS Class should be set on Pods with matching resource requests and limits for memory and cpu"
)
def test_quality_of_service(kube):
    resources = {"requests": {"cpu": "100m", "memory": "100Mi"}, "limits": {"cpu": "100m", "memory": "100Mi"}}
    made = kube.create(pod("it", container("true", resources=resources)))
    assert made["status"]["qosClass"] == "Guaranteed"


@answers(
    "[sig-node] Pods Extended (pod generation) Pod Generation pod generation should start at 1 and increment per update"
)
def test_generation(kube):
    made = kube.create(
        pod("it", container(image=WEB), restart="Always", initContainers=[container("true", name="init")])
    )
    assert made["metadata"]["generation"] == 1
    kube.wait("Pod", "it", is_ready)
    toleration = {"key": "a", "operator": "Equal", "value": "b", "effect": "NoSchedule"}
    changes = [
        (lambda p: None, 1),
        (lambda p: p["spec"].setdefault("tolerations", []).append(toleration), 2),
        (lambda p: p["spec"].update(activeDeadlineSeconds=5000), 3),
        (lambda p: p["spec"]["containers"][0].update(image=WEB_2), 4),
        (lambda p: p["spec"]["initContainers"][0].update(image=WEB_2), 5),
        (lambda p: p["metadata"].update(labels={"no": "spec"}, annotations={"no": "spec"}), 5),
    ]
    for edit, generation in changes:
        assert kube.change("Pod", "it", edit)["metadata"]["generation"] == generation
        kube.wait("Pod", "it", lambda p, wanted=generation: p["status"].get("observedGeneration") == wanted)
    added = {"name": "debugger", "image": BUSYBOX, "command": IDLE}
    path = {"how": STRATEGIC, "subresource": "ephemeralcontainers"}
    assert kube.patch("Pod", "it", {"spec": {"ephemeralContainers": [added]}}, **path)["metadata"]["generation"] == 6
    found = kube.wait("Pod", "it", lambda p: p["status"].get("observedGeneration") == 6)
    assert {entry["observedGeneration"] for entry in found["status"]["conditions"]} <= {5, 6}


@answers(
    "[sig-node] Pods Extended (pod generation) Pod Generation custom-set generation on new pods and graceful delete"
)
def test_generation_is_the_servers(kube):
    it = pod("it", terminationGracePeriodSeconds=2)
    it["metadata"]["generation"] = 100
    it["spec"]["containers"][0]["command"] = ["sleep", "1000"]
    assert kube.create(it)["metadata"]["generation"] == 1
    kube.wait("Pod", "it", is_running)
    # the answer is the stored object; a moment later the pod may be gone
    assert kube.delete("Pod", "it")["metadata"]["generation"] == 2


@answers(
    "[sig-node] Pods Extended (pod generation) Pod Generation issue 500 podspec updates and verify generation and observedGeneration eventually converge"
)
def test_generation_after_many_updates(kube):
    kube.create(pod("it"))
    for i in range(500):
        kube.patch("Pod", "it", {"spec": {"activeDeadlineSeconds": 10000 - i}})
    found = kube.wait("Pod", "it", lambda p: p["status"].get("observedGeneration") == 501)
    assert found["metadata"]["generation"] == 501


# ---- exec and log over bare websockets


def websocket(kube, path, protocols):
    configuration = kube.client.configuration
    url = f"wss{configuration.host.removeprefix('https')}{path}"
    options = {
        "cert_reqs": ssl.CERT_REQUIRED,
        "ca_certs": configuration.ssl_ca_cert,
        "certfile": configuration.cert_file,
        "keyfile": configuration.key_file,
    }
    return websockets.create_connection(url, sslopt=options, subprotocols=protocols, timeout=PATIENCE)


def messages(connection):
    while True:
        code, data = connection.recv_data()
        if code == 8:
            return
        yield code, data


@answers("[sig-node] Pods should support remote command execution over websockets")
def test_exec_over_a_websocket(kube):
    kube.start(pod("it"))
    path = (
        kube.path("Pod", "it", subresource="exec")
        + "?stdout=1&stderr=1&container=main&command=echo&command=remote+execution+test"
    )
    connection = websocket(kube, path, ["channel.k8s.io"])
    try:
        found = [data for _, data in messages(connection)]
    finally:
        connection.close()
    # the oldest protocol says nothing of success: whatever is not empty comes from the command
    assert all(data[:1] == b"\x01" or len(data) == 1 for data in found), found
    assert b"".join(data[1:] for data in found if data[:1] == b"\x01") == b"remote execution test\n"


@answers("[sig-node] Pods should support retrieving logs from the container over websockets")
def test_log_over_a_websocket(kube):
    kube.start(pod("it", container("echo container is alive; trap exit TERM; while :; do sleep 0.1; done")))
    saw(kube, "it", "container is alive")  # a container runs before it has said anything
    connection = websocket(kube, kube.path("Pod", "it", subresource="log") + "?container=main", ["binary.k8s.io"])
    try:
        found = b"".join(data for code, data in messages(connection) if code == 2)
    finally:
        connection.close()
    assert found == b"container is alive\n"


# ---- probes


def probed(**probes):
    return container(IDLE, **probes)


def exec_probe(script, **more):
    return {"exec": {"command": ["sh", "-c", script]}, "periodSeconds": 1, "failureThreshold": 1, **more}


def patient(probe):
    """The liveness probe, from when it has first succeeded and however long an answer takes."""
    probe = {**probe, "timeoutSeconds": 60}
    beginning = {key: value for key, value in probe.items() if key != "initialDelaySeconds"}
    return {"livenessProbe": probe, "startupProbe": {**beginning, "failureThreshold": 1000}}


HEALTH = "echo ok >/tmp/health; {then}; trap exit TERM; while :; do sleep 0.1; done"
SERVER = "mkdir -p /tmp/www; echo ok >/tmp/www/healthz; httpd -p 8080 -h /tmp/www; {then}; trap exit TERM; while :; do sleep 0.1; done"


@pytest.mark.parametrize(
    ("script", "then", "probe"),
    [
        case(
            HEALTH,
            "sleep 1; rm /tmp/health",
            exec_probe("cat /tmp/health"),
            of='[sig-node] Probing container should be restarted with a exec "cat /tmp/health" liveness probe',
        ),
        case(
            SERVER,
            "sleep 1; rm /tmp/www/healthz",
            {
                "httpGet": {"path": "/healthz", "port": 8080},
                "initialDelaySeconds": 1,
                "periodSeconds": 1,
                "failureThreshold": 1,
            },
            of="[sig-node] Probing container should be restarted with a /healthz http liveness probe",
        ),
    ],
)
def test_liveness_restarts(kube, script, then, probe):
    main = container(script.format(then=then), livenessProbe=probe)
    kube.create(pod("it", main, restart="Always"))
    kube.wait("Pod", "it", lambda p: restarts(p) >= 1)


@pytest.mark.parametrize(
    ("script", "probe"),
    [
        case(
            HEALTH,
            exec_probe("cat /tmp/health"),
            of='[sig-node] Probing container should *not* be restarted with a exec "cat /tmp/health" liveness probe',
        ),
        case(
            SERVER,
            {"httpGet": {"path": "/healthz", "port": 8080}, "initialDelaySeconds": 1, "periodSeconds": 1},
            of="[sig-node] Probing container should *not* be restarted with a /healthz http liveness probe",
        ),
        case(
            SERVER,
            {"tcpSocket": {"port": 8080}, "initialDelaySeconds": 1, "periodSeconds": 1},
            of="[sig-node] Probing container should *not* be restarted with a tcp:8080 liveness probe",
        ),
    ],
)
def test_liveness_leaves_alone(kube, script, probe):
    # the second container goes once probes have had their say several times
    other = container("sleep 4", name="other")
    kube.create(pod("it", container(script.format(then="true"), **patient(probe)), other))
    over = kube.wait(
        "Pod", "it", lambda p: any(s["state"].get("terminated") for s in p["status"].get("containerStatuses") or [])
    )
    assert [s["restartCount"] for s in over["status"]["containerStatuses"]] == [0, 0]
    assert sum("running" in s["state"] for s in over["status"]["containerStatuses"]) == 1


@answers("[sig-node] Probing container with readiness probe should not be ready before initial delay and never restart")
def test_readiness_waits(kube):
    kube.create(pod("it", probed(readinessProbe=exec_probe("true", initialDelaySeconds=3)), restart="Always"))
    found = kube.wait("Pod", "it", is_ready)
    started = found["status"]["containerStatuses"][0]["state"]["running"]["startedAt"]
    ready = condition(found, "Ready")["lastTransitionTime"]
    assert (datetime.datetime.fromisoformat(ready) - datetime.datetime.fromisoformat(started)).total_seconds() >= 2
    assert restarts(found) == 0


@answers("[sig-node] Probing container with readiness probe that fails should never be ready and never restart")
def test_never_ready(kube):
    # a second container's end marks the time readiness was asked for in vain
    kube.create(pod("it", probed(readinessProbe=exec_probe("false")), container("sleep 4", name="other")))
    found = kube.wait(
        "Pod", "it", lambda p: any(s["state"].get("terminated") for s in p["status"].get("containerStatuses") or [])
    )
    assert not is_ready(found)
    assert [s["ready"] for s in found["status"]["containerStatuses"]] == [False, False]
    assert restarts(found) == 0


# ---- hooks


@pytest.mark.parametrize(
    ("moment", "how"),
    [
        case(
            "postStart",
            "exec",
            of="[sig-node] Container Lifecycle Hook when create a pod with lifecycle hook should execute poststart exec hook properly",
        ),
        case(
            "postStart",
            "httpGet",
            of="[sig-node] Container Lifecycle Hook when create a pod with lifecycle hook should execute poststart http hook properly",
        ),
        case(
            "preStop",
            "exec",
            of=[
                "[sig-node] Container Lifecycle Hook when create a pod with lifecycle hook should execute prestop exec hook properly",
                "[sig-node] PreStop should call prestop when killing a pod",
            ],
        ),
        case(
            "preStop",
            "httpGet",
            of="[sig-node] Container Lifecycle Hook when create a pod with lifecycle hook should execute prestop http hook properly",
        ),
    ],
)
def test_hooks(kube, moment, how):
    serve = "mkdir -p /www/cgi-bin; printf '#!/bin/sh\\necho \"GOT $QUERY_STRING\" >>/tmp/heard; echo; echo ok' >/www/cgi-bin/echo; chmod +x /www/cgi-bin/echo; "
    serve += "touch /tmp/heard; httpd -p 8080 -h /www; tail -f /tmp/heard & trap exit TERM; while :; do sleep 0.1; done"
    address = kube.start(
        pod("handler", container(serve, readinessProbe={"tcpSocket": {"port": 8080}, "periodSeconds": 1}))
    )["status"]["podIP"]
    query = f"/cgi-bin/echo?{moment}"
    action = {"exec": {"command": ["wget", "-qO-", f"http://{address}:8080{query}"]}}
    if how == "httpGet":
        action = {"httpGet": {"host": address, "port": 8080, "path": query}}
    kube.start(pod("hooked", container(IDLE, lifecycle={moment: action}), terminationGracePeriodSeconds=60))
    if moment == "preStop":
        kube.delete("Pod", "hooked")
        kube.gone("Pod", "hooked")
    saw(kube, "handler", f"GOT {moment}")


# ---- how containers end


@pytest.mark.parametrize(
    ("script", "more", "security", "phase", "expected"),
    [
        case(
            "true",
            {},
            {},
            "Succeeded",
            "",
            of="[sig-node] Container Runtime blackbox test on terminated container should report termination message as empty when pod succeeds and TerminationMessagePolicy FallbackToLogsOnError is set",
        ),
        case(
            "echo -n OK >/dev/termination-log",
            {},
            {},
            "Succeeded",
            "OK",
            of="[sig-node] Container Runtime blackbox test on terminated container should report termination message from file when pod succeeds and TerminationMessagePolicy FallbackToLogsOnError is set",
        ),
        case(
            "echo -n DONE; exit 1",
            {},
            {},
            "Failed",
            "DONE",
            of="[sig-node] Container Runtime blackbox test on terminated container should report termination message from log output if TerminationMessagePolicy FallbackToLogsOnError is set",
        ),
        case(
            "echo -n DONE >/dev/termination-custom-log",
            {"terminationMessagePath": "/dev/termination-custom-log"},
            {"runAsUser": 1000},
            "Succeeded",
            "DONE",
            of="[sig-node] Container Runtime blackbox test on terminated container should report termination message if TerminationMessagePath is set as non-root user and at a non-default path",
        ),
    ],
)
def test_last_words(kube, script, more, security, phase, expected):
    policy = "File" if more else "FallbackToLogsOnError"
    kube.run(
        pod("it", container(script, terminationMessagePolicy=policy, securityContext=security, **more)), phase=phase
    )
    assert terminated(kube.get("Pod", "it")).get("message", "") == expected


@answers(
    "[sig-node] Container Runtime blackbox test when starting a container that exits should run with the expected status"
)
def test_phases_and_restarts(kube):
    runs = "echo x >>/data/runs; case $(wc -l </data/runs) in 1) exit 1;; 2) exit 0;; esac; "
    cases = (("Always", "Running", 2), ("OnFailure", "Succeeded", 1), ("Never", "Failed", 0))
    for policy, _, _ in cases:
        main = container(runs + IDLE[-1], volumeMounts=[{"name": "data", "mountPath": "/data"}])
        volumes = [{"name": "data", "emptyDir": {"medium": "Memory"}}]
        kube.create(pod(policy.lower(), main, restart=policy, volumes=volumes))
    for policy, phase, count in cases:
        kube.wait(
            "Pod",
            policy.lower(),
            lambda p, phase=phase, count=count: (
                p["status"]["phase"] == phase and restarts(p) == count and is_ready(p) == (phase == "Running")
            ),
        )


@answers(
    "[sig-node] Kubelet when scheduling a busybox command that always fails in a pod should have an terminated reason",
    "[sig-node] Kubelet when scheduling a busybox command that always fails in a pod should be possible to delete",
)
def test_a_command_that_fails(kube):
    kube.create(pod("it", container(["/bin/false"])))
    over = kube.wait("Pod", "it", terminated)
    assert (terminated(over)["reason"], terminated(over)["exitCode"]) == ("Error", 1)
    kube.delete("Pod", "it")
    kube.gone("Pod", "it")


# ---- init and ephemeral containers


@pytest.mark.parametrize(
    "policy",
    [
        case(
            "Never", of="[sig-node] InitContainer [NodeConformance] should invoke init containers on a RestartNever pod"
        ),
        case(
            "Always",
            of="[sig-node] InitContainer [NodeConformance] should invoke init containers on a RestartAlways pod",
        ),
    ],
)
def test_init_containers(kube, policy):
    inits = [container("true", name=f"init{i}") for i in (1, 2)]
    last = "Ready" if policy == "Always" else "Initialized"
    main = container(IDLE if policy == "Always" else "true")
    kube.create(pod("it", main, restart=policy, initContainers=inits))
    phase = "Running" if policy == "Always" else "Succeeded"
    found = kube.wait(
        "Pod", "it", lambda p: p["status"]["phase"] == phase and condition(p, last).get("status") == "True"
    )
    assert condition(found, "Initialized")["status"] == "True"
    states = found["status"]["initContainerStatuses"]
    assert [(s["ready"], s["state"]["terminated"]["exitCode"]) for s in states] == [(True, 0), (True, 0)]


@pytest.mark.parametrize(
    "policy",
    [
        case(
            "Never",
            of="[sig-node] InitContainer [NodeConformance] should not start app containers and fail the pod if init containers fail on a RestartNever pod",
        ),
        case(
            "Always",
            of="[sig-node] InitContainer [NodeConformance] should not start app containers if init containers fail on a RestartAlways pod",
        ),
    ],
)
def test_init_containers_that_fail(kube, policy):
    good, bad = ["true"], ["false"]
    commands = [good, bad] if policy == "Never" else [bad, good]
    inits = [container(command, name=f"init{index}") for index, command in enumerate(commands, 1)]
    since = kube.create(pod("it", restart=policy, initContainers=inits))["metadata"]["resourceVersion"]
    with kube.watch("Pod", since=since) as events:
        for _, found in events:
            # at no moment may the others have been anything but waiting
            for status in found["status"].get("containerStatuses") or ():
                assert status["state"] == {"waiting": {"reason": "PodInitializing"}} and status["restartCount"] == 0
            first, second = found["status"].get("initContainerStatuses") or ({}, {})
            if policy == "Always" and second:
                assert second["state"] == {"waiting": {"reason": "PodInitializing"}}
            if found["status"]["phase"] == "Failed" or first.get("restartCount", 0) >= 2:
                break
    assert found["status"]["phase"] == ("Failed" if policy == "Never" else "Pending")
    initialized = condition(found, "Initialized")
    assert (initialized["status"], initialized["reason"]) == ("False", "ContainersNotInitialized")
    names = "init2" if policy == "Never" else "init1 init2"
    assert initialized["message"] == f"containers with incomplete status: [{names}]"
    assert len(found["status"]["containerStatuses"]) == 1


@pytest.mark.parametrize(
    "replace",
    [
        case(
            False,
            of="[sig-node] Ephemeral Containers [NodeConformance] will start an ephemeral container in an existing pod",
        ),
        case(
            True,
            of="[sig-node] Ephemeral Containers [NodeConformance] should update the ephemeral containers in an existing pod",
        ),
    ],
)
def test_ephemeral_containers(kube, replace):
    kube.start(pod("it"))
    script = "while true; do echo polo; sleep 2; done"
    added = {"name": "debugger", "image": BUSYBOX, "command": ["sh", "-c", script], "stdin": True, "tty": True}
    path = {"how": STRATEGIC, "subresource": "ephemeralcontainers"}
    kube.patch("Pod", "it", {"spec": {"ephemeralContainers": [added]}}, **path)
    kube.wait(
        "Pod", "it", lambda p: "running" in (p["status"].get("ephemeralContainerStatuses") or [{}])[0].get("state", {})
    )
    assert kube.execute("it", "echo", "marco", container="debugger") == "marco\n"
    saw(kube, "it", "polo\r", container="debugger")
    if replace:
        path = kube.path("Pod", "it", subresource="ephemeralcontainers")
        assert len(kube.call("get", path)["spec"]["ephemeralContainers"]) == 1
        second = {"name": "debugger2", "image": BUSYBOX}
        kube.change(
            "Pod", "it", lambda p: p["spec"]["ephemeralContainers"].append(second), subresource="ephemeralcontainers"
        )
        assert len(kube.call("get", path)["spec"]["ephemeralContainers"]) == 2

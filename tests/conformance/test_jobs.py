"""Jobs: completions, indexes, and the rules for what failed or suffices."""

import pytest

from tests.conformance.kube import IDLE, condition, container, is_ready, meta, owner, pod
from tests.conformance.names import answers, case

INDEX = "$JOB_COMPLETION_INDEX"


def job(command="true", *, restart="Never", **spec):
    body = {"restartPolicy": restart, "terminationGracePeriodSeconds": 1, "containers": [container(command)]}
    return {"kind": "Job", "metadata": meta("it"), "spec": {"template": {"spec": body}, **spec}}


def indexed(command, **spec):
    return job(command, completionMode="Indexed", **{"completions": 4, "parallelism": 4, **spec})


def ended(kube, kind):
    return kube.wait("Job", "it", lambda j: condition(j, kind).get("status") == "True")


@answers("[sig-apps] Job should run a job to completion when tasks sometimes fail and are locally restarted")
def test_restarts_in_place(kube):
    body = job("[ -f /data/ran ] || { touch /data/ran; exit 1; }", restart="OnFailure", completions=2, parallelism=2)
    spec = body["spec"]["template"]["spec"]
    spec["volumes"] = [{"name": "data", "emptyDir": {}}]
    spec["containers"][0]["volumeMounts"] = [{"name": "data", "mountPath": "/data"}]
    kube.create(body)
    assert ended(kube, "Complete")["status"]["succeeded"] == 2
    assert [p["status"]["containerStatuses"][0]["restartCount"] for p in kube.items("Pod")] == [1, 1]


@answers("[sig-apps] Job should create pods for an Indexed job with completion indexes and specified hostname")
def test_indexes(kube):
    kube.create(indexed("hostname"))
    assert ended(kube, "Complete")["status"]["completedIndexes"] == "0-3"
    pods = kube.items("Pod")
    assert sorted(p["metadata"]["annotations"]["batch.kubernetes.io/job-completion-index"] for p in pods) == list(
        "0123"
    )
    assert sorted(kube.log(p["metadata"]["name"]) for p in pods) == [f"it-{i}\n" for i in range(4)]


@pytest.mark.parametrize(
    ("command", "more", "failed", "completed", "reason"),
    [
        case(
            f"[ {INDEX} != 0 ]", {"backoffLimitPerIndex": 0, "completions": 2, "parallelism": 2}, "0", "1", "FailedIndexes",
            of="[sig-apps] Job should execute all indexes despite some failing when using backoffLimitPerIndex",
        ),
        case(
            "false", {"backoffLimitPerIndex": 0, "maxFailedIndexes": 0, "parallelism": 1}, "0", "", "MaxFailedIndexesExceeded",
            of="[sig-apps] Job should terminate job execution when the number of failed indexes exceeds maxFailedIndexes",
        ),
        case(
            f"[ {INDEX} = 0 ] && exit 42; true",
            {
                "backoffLimitPerIndex": 1, "completions": 2,
                "podFailurePolicy": {"rules": [{"action": "FailIndex", "onExitCodes": {"operator": "In", "values": [42]}}]},
            },
            "0", "1", "FailedIndexes",
            of="[sig-apps] Job should mark indexes as failed when the FailIndex action is matched in podFailurePolicy",
        ),
    ],
)  # fmt: skip
def test_failed_indexes(kube, command, more, failed, completed, reason):
    kube.create(indexed(command, **more))
    found = ended(kube, "Failed")
    assert condition(found, "Failed")["reason"] == reason
    assert (found["status"]["failedIndexes"], found["status"].get("completedIndexes", "")) == (failed, completed)


@answers("[sig-apps] Job should allow to use the pod failure policy on exit code to fail the job early")
def test_an_exit_code_fails_the_job(kube):
    rules = [{"action": "FailJob", "onExitCodes": {"operator": "In", "values": [42]}}]
    kube.create(job("exit 42", podFailurePolicy={"rules": rules}))
    assert condition(ended(kube, "Failed"), "Failed")["reason"] == "PodFailurePolicy"


@pytest.mark.parametrize(
    ("command", "rule"),
    [
        case(
            "true",
            {"succeededIndexes": "0-3"},
            of="[sig-apps] Job with successPolicy should succeeded when all indexes succeeded",
        ),
        case(
            f"[ {INDEX} = 0 ] || sleep 600",
            {"succeededCount": 1},
            of="[sig-apps] Job with successPolicy succeededCount rule should succeeded even when some indexes remain pending",
        ),
        case(
            f"[ {INDEX} = 0 ] || sleep 600",
            {"succeededIndexes": "0"},
            of="[sig-apps] Job with successPolicy succeededIndexes rule should succeeded even when some indexes remain pending",
        ),
    ],
)
def test_enough_success(kube, command, rule):
    kube.create(indexed(command, successPolicy={"rules": [rule]}))
    found = ended(kube, "Complete")
    assert condition(found, "SuccessCriteriaMet")["reason"] == "SuccessPolicy"


@answers("[sig-apps] Job should adopt matching orphans and release non-matching pods")
def test_adopt_and_release(kube):
    made = kube.create(job(IDLE, parallelism=2, completions=2))
    pods = kube.wait_all("Pod", lambda found: len(found) == 2)
    name = pods[0]["metadata"]["name"]
    kube.patch("Pod", name, {"metadata": {"ownerReferences": None}})
    kube.wait("Pod", name, lambda p: owner(p) == made["metadata"]["uid"])
    gone = dict.fromkeys(pods[0]["metadata"]["labels"])
    kube.patch("Pod", name, {"metadata": {"labels": gone}})
    kube.wait("Pod", name, lambda p: owner(p) is None)


@answers("[sig-apps] Job should delete a job")
def test_deletion(kube):
    kube.create(job(IDLE, parallelism=2, completions=2))
    kube.wait("Job", "it", lambda j: j["status"].get("active") == 2)
    kube.delete("Job", "it", propagation="Foreground")
    kube.gone("Job", "it")
    kube.wait_all("Pod", lambda left: not left)


@answers(
    "[sig-apps] Job should allow to use a pod failure policy to ignore failure matching on DisruptionTarget condition"
)
def test_a_disruption_is_no_failure(kube):
    rule = {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}
    marked = {"exec": {"command": ["test", "-e", "/data/again"]}, "periodSeconds": 1, "timeoutSeconds": 30}
    body = job("[ -e /data/again ] || { touch /data/again; sleep 600; }", backoffLimit=0)
    spec = body["spec"]["template"]["spec"]
    place = f"/tmp/{kube.namespace}"
    spec.update(
        nodeName=kube.items("Node")[-1]["metadata"]["name"],
        volumes=[{"name": "data", "hostPath": {"path": place, "type": "DirectoryOrCreate"}}],
    )
    spec["containers"][0].update(volumeMounts=[{"name": "data", "mountPath": "/data"}], readinessProbe=marked)
    body["spec"]["podFailurePolicy"] = {"rules": [rule]}
    kube.create(body)
    [first] = kube.wait_all("Pod", lambda found: found and is_ready(found[0]))
    name = first["metadata"]["name"]
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": meta(name, namespace=kube.namespace)}
    kube.call("post", kube.path("Pod", name, subresource="eviction"), eviction)
    try:
        status = ended(kube, "Complete")["status"]
        assert (status["succeeded"], status.get("failed", 0)) == (1, 0)
    finally:
        clean = container("rm -rf /host/$NAME", env=[{"name": "NAME", "value": kube.namespace}])
        clean["volumeMounts"] = [{"name": "tmp", "mountPath": "/host"}]
        volume = {"name": "tmp", "hostPath": {"path": "/tmp"}}
        kube.run(pod("clean", clean, volumes=[volume], nodeName=spec["nodeName"]))


@answers("[sig-apps] Job should manage the lifecycle of a job")
def test_life_of_a_job(kube):
    labels = {"e2e-job-label": kube.namespace}
    chosen = f"e2e-job-label={kube.namespace}"
    body = job(IDLE, suspend=True, parallelism=2, completions=4, backoffLimit=6)
    body["metadata"]["labels"] = labels
    kube.create(body)
    suspended = kube.wait("Job", "it", lambda j: condition(j, "Suspended").get("status") == "True")
    assert not suspended["status"].get("active")
    patched = kube.patch("Job", "it", {"metadata": {"labels": {"it": "patched"}}})
    assert patched["metadata"]["labels"]["it"] == "patched"
    kube.wait("Job", "it", lambda j: j["metadata"]["labels"].get("it") == "patched")
    made = kube.change("Job", "it", lambda j: j["spec"].update(suspend=False))
    assert made["spec"]["suspend"] is False
    kube.wait("Job", "it", lambda j: j["status"].get("active") == 2)
    assert condition(kube.get("Job", "it"), "Suspended")["status"] == "False"
    assert [j["metadata"]["name"] for j in kube.items("Job", namespace="", labelSelector=chosen)] == ["it"]
    kube.call("delete", kube.path("Job"), {"propagationPolicy": "Background"}, labelSelector=chosen)
    kube.gone("Job", "it")
    kube.wait_all("Pod", lambda found: not found)

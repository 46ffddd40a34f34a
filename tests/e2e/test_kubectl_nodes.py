"""taint, cordon, drain and debug, on the one node there is and on pods that run there."""

import json
import re
import subprocess

import pytest

from tests.e2e.conftest import eventually, settled
from tests.e2e.test_kubectl import run_pod

IMAGE = "kubeshim.example/busybox:1"


@pytest.fixture
def node(kubectl):
    return kubectl.get("nodes")["items"][0]["metadata"]["name"]


def taints(kubectl, node):
    found = kubectl.get("node", node)["spec"].get("taints") or []
    return [f"{t['key']}={t.get('value', '')}:{t['effect']}" for t in found if t["key"] == "dedicated"]


def test_taint(kubectl, node):
    kubectl("taint", "node", node, "dedicated=it:PreferNoSchedule", "--dry-run=server")
    assert taints(kubectl, node) == []
    kubectl("taint", "node", node, "dedicated=it:PreferNoSchedule")
    assert taints(kubectl, node) == ["dedicated=it:PreferNoSchedule"]
    assert "kubectl-taint" in kubectl.managers(f"node {node}")
    assert "--overwrite is false" in kubectl.refusal("taint", "node", node, "dedicated=you:PreferNoSchedule")
    kubectl("taint", "node", node, "dedicated=you:PreferNoSchedule", "--overwrite")
    assert "dedicated=you:PreferNoSchedule" in kubectl("describe", "node", node)
    kubectl("taint", "node", node, "dedicated-")
    assert taints(kubectl, node) == []


def test_cordon_and_drain(kubectl, node):
    for name in ("moves", "stays"):
        run_pod(kubectl.cluster, kubectl.namespace, name)
    unschedulable = "{.spec.unschedulable}"
    drain = ("drain", node, "--force", "--pod-selector=app=moves", "--timeout=180s")
    for verb in (("cordon", node), drain):
        kubectl(*verb, "--dry-run=server")
        assert kubectl.path(f"node {node}", unschedulable) == ""
    try:
        said = kubectl(*drain)
        assert f"evicting pod {kubectl.namespace}/moves" in said and f"node/{node} drained" in said
        assert kubectl("get", "pods", "-o", "name") == "pod/stays\n"
        assert kubectl.path(f"node {node}", unschedulable) == "true"
        assert "already cordoned" in kubectl("cordon", node)
        assert "SchedulingDisabled" in kubectl("get", "node", node)
    finally:
        kubectl("uncordon", node)
    assert "already uncordoned" in kubectl("uncordon", node, "--dry-run=server")
    assert "cannot specify both a node name" in kubectl.refusal("drain", node, "--selector=a=b")


def test_a_budget_holds_a_drain_up(kubectl, node):
    run_pod(kubectl.cluster, kubectl.namespace, "guarded")
    kubectl("create", "pdb", "it", "--selector=app=guarded", "--min-available=1")
    kubectl("wait", "pdb/it", "--for=jsonpath={.status.currentHealthy}=1", "--timeout=180s")
    try:
        drain = ("drain", node, "--force", "--pod-selector=app=guarded", "--timeout=2s")
        eventually(
            lambda: "Cannot evict pod as it would violate the pod's disruption budget" in kubectl.refusal(*drain)
        )
    finally:
        kubectl("uncordon", node)
    kubectl("get", "pod", "guarded")


PROFILES = {
    "general": ["SYS_PTRACE"], "baseline": [], "netadmin": ["NET_ADMIN", "NET_RAW"], "sysadmin": [], "restricted": [],
}  # fmt: skip


@pytest.mark.parametrize(("profile", "capabilities"), PROFILES.items(), ids=PROFILES)
def test_debug_in_an_ephemeral_container(kubectl, profile, capabilities):
    run_pod(kubectl.cluster, kubectl.namespace, "box")
    kubectl(
        "debug", "box", f"--profile={profile}", f"--image={IMAGE}", "--container=debugger", "--attach=false",
        *(("--custom=/dev/stdin",) if profile == "restricted" else ()), "--", "sh", "-c", "echo seen from $(hostname)",
        stdin=json.dumps({"securityContext": {"runAsUser": 65534}}) if profile == "restricted" else None,
    )  # fmt: skip
    (one,) = kubectl.get("pod", "box")["spec"]["ephemeralContainers"]
    assert one["name"] == "debugger"
    added = one.get("securityContext", {}).get("capabilities", {}).get("add", [])
    assert added == capabilities
    eventually(lambda: kubectl.run("logs", "box", "-c", "debugger").stdout == "seen from box\n")
    said = kubectl.refusal("debug", "box", f"--image={IMAGE}", "--container=debugger", "--attach=false")
    assert 'existing ephemeral containers "debugger" may not be changed' in said


def test_debug_attached(kubectl):
    run_pod(kubectl.cluster, kubectl.namespace, "box")
    process = kubectl.cluster.popen(
        "-n", kubectl.namespace, "debug", "-i", "-q", "box", f"--image={IMAGE}", "--target=main", "--", "sh",
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    process.stdin.write("echo pid one is $(cat /proc/1/comm)\n")
    process.stdin.flush()
    # its own namespace of processes is the other container's
    assert process.stdout.readline() in ("pid one is sh\n", "pid one is busybox\n")
    output, _ = process.communicate("exit\n", timeout=180)
    assert process.returncode == 0, output


def test_debug_in_a_copy(kubectl):
    run_pod(kubectl.cluster, kubectl.namespace, "box")
    kubectl(
        "debug", "box", "--copy-to=copy", f"--image={IMAGE}", "-c", "debugger", "--attach=false", "--share-processes"
    )
    assert kubectl.path("pod copy", "{.spec.containers[*].name} {.spec.shareProcessNamespace}") == "main debugger true"
    kubectl("debug", "box", "--copy-to=other", "--set-image=main=absent", "--attach=false")
    assert kubectl.path("pod other", "{.spec.containers[*].image}") == "absent"
    kubectl(
        "debug", "box", "--copy-to=third", f"--image={IMAGE}", "-c", "x", "--attach=false", "--replace", "--same-node"
    )
    assert "not found" in kubectl.refusal("get", "pod", "box")


def test_debug_a_node(kubectl, node):
    said = kubectl(
        "debug", f"node/{node}", f"--image={IMAGE}", "--attach=false", "--profile=sysadmin", "--", "ls", "/host"
    )
    name = re.search(r"pod (\S+)", said)[1]
    spec = kubectl.get("pod", name)["spec"]
    assert (spec["hostPID"], spec["hostNetwork"], spec["hostIPC"], spec["nodeName"]) == (True, True, True, node)
    assert spec["volumes"][0]["hostPath"]["path"] == "/"
    assert spec["containers"][0]["securityContext"] == {"privileged": True}
    kubectl("wait", f"pod/{name}", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=180s")
    assert "etc" in kubectl("logs", name).split()


def test_events_of_a_pod(kubectl):
    run_pod(kubectl.cluster, kubectl.namespace, "box")

    def listed():
        said = kubectl("events", "--for=pod/box")
        return [reason for reason in ("Scheduled", "Created", "Started") if reason in said]

    # told by several, each when it comes to it
    assert settled(listed, ["Scheduled", "Created", "Started"]) == ["Scheduled", "Created", "Started"]
    assert "Started" not in kubectl.run("events", "--for=pod/box", "--types=Warning").stdout
    reasons = {event["reason"] for event in json.loads(kubectl("events", "--for=pod/box", "-o", "json"))["items"]}
    assert {"Scheduled", "Started"} <= reasons
    assert "box" in kubectl("events", "-A", "--no-headers")
    watched = ("events", "--for=pod/box", "--watch", "--request-timeout=1")
    eventually(lambda: "Started" in kubectl.run(*watched).stdout)

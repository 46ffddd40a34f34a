"""The verbs of kubectl a newcomer uses, each against real containers."""

import fcntl
import json
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time

import pytest

from tests.e2e.conftest import EXAMPLES, asked, eventually

SHELL = """
apiVersion: v1
kind: Pod
metadata: {name: NAME, labels: {app: NAME}}
spec:
  terminationGracePeriodSeconds: 1
  restartPolicy: RESTART
  containers:
  - {name: main, image: "kubeshim.example/busybox:1", command: [sh, -c, SCRIPT], stdin: STDIN, tty: false}
"""


IDLE = "trap exit TERM; while :; do sleep 0.2; done"


def run_pod(cluster, namespace, name, script=IDLE, *, stdin=False, wait=True, restart="Always"):
    text = (
        SHELL.replace("RESTART", restart)
        .replace("NAME", name)
        .replace("SCRIPT", json.dumps(script))
        .replace("STDIN", str(stdin).lower())
    )
    cluster.kubectl("apply", "-n", namespace, "-f", "-", stdin=text)
    if wait:
        cluster.kubectl("wait", "-n", namespace, "--for=condition=Ready", f"pod/{name}", "--timeout=180s")


def test_logs_follow_until_the_end(cluster, namespace):
    run_pod(
        cluster,
        namespace,
        "counter",
        "for i in 1 2 3 4 5; do echo line $i; sleep 0.2; done",
        wait=False,
        restart="Never",
    )
    eventually(lambda: {"running", "terminated"} & state(cluster, namespace, "counter").keys())
    done = cluster.kubectl("logs", "-n", namespace, "-f", "counter", "--pod-running-timeout=30s")
    assert done.stdout.splitlines() == [f"line {i}" for i in range(1, 6)]
    assert cluster.out("logs", "-n", namespace, "counter", "--tail=2").splitlines()[-1] == "line 5"
    assert "T" in cluster.out("logs", "-n", namespace, "counter", "--timestamps", "--tail=1").split(" ")[0]


def state(cluster, namespace, name):
    """Of the pod's container; nothing while the API has none."""
    statuses = cluster.get("pod", "-n", namespace, name)["status"].get("containerStatuses") or [{}]
    return statuses[0].get("state", {})


def test_a_crashing_container_is_restarted_with_back_off_and_its_last_log_is_kept(cluster, namespace):
    run_pod(cluster, namespace, "crash", "echo run $$; sleep 0.3; exit 3", wait=False)
    jsonpath = "--for=jsonpath={.status.containerStatuses[0].restartCount}=2"
    cluster.kubectl("wait", "-n", namespace, "pod/crash", jsonpath, "--timeout=180s")
    status = eventually(lambda: backing_off(cluster, namespace, "crash"))
    assert status["lastState"]["terminated"]["exitCode"] == 3
    assert cluster.out("logs", "-n", namespace, "crash", "--previous").startswith("run ")
    eventually(lambda: "CrashLoopBackOff" in cluster.out("get", "pods", "-n", namespace))
    eventually(lambda: "BackOff" in cluster.out("get", "events", "-n", namespace))


def backing_off(cluster, namespace, name):
    status = cluster.get("pod", "-n", namespace, name)["status"]["containerStatuses"][0]
    return status if status["state"].get("waiting", {}).get("reason") == "CrashLoopBackOff" else None


def test_exec(cluster, namespace):
    run_pod(cluster, namespace, "box")
    assert cluster.out("exec", "-n", namespace, "box", "--", "echo", "hello") == "hello\n"
    failed = cluster.kubectl("exec", "-n", namespace, "box", "--", "sh", "-c", "echo oops >&2; exit 7", check=False)
    assert failed.returncode == 7 and failed.stderr.startswith("oops")
    assert cluster.out("exec", "-i", "-n", namespace, "box", "--", "cat", stdin="from stdin") == "from stdin"
    absent = cluster.kubectl("exec", "-n", namespace, "box", "--", "no-such-program", check=False)
    assert absent.returncode and "no-such-program" in absent.stderr


def test_exec_in_a_terminal_that_is_resized(cluster, namespace):
    run_pod(cluster, namespace, "box")
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 31, 97, 0, 0))
    process = cluster.popen(
        "exec", "-it", "-n", namespace, "box", "--", "sh", stdin=theirs, stdout=theirs, stderr=theirs,
        start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    await_size(ours, b"31 97")
    fcntl.ioctl(ours, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    process.send_signal(signal.SIGWINCH)
    await_size(ours, b"40 120")
    os.write(ours, b"exit 5\n")
    assert process.wait(180) == 5
    os.close(ours)


def await_size(terminal, expected):
    """Sizes have a channel of their own: what is typed may be there before them."""
    deadline = time.monotonic() + 180
    while expected not in (seen := type_and_read(terminal, b"stty size\n")):
        assert time.monotonic() < deadline, seen


def type_and_read(terminal, text):
    os.write(terminal, text)
    seen = b""
    while select.select([terminal], [], [], 0.5)[0]:
        seen += os.read(terminal, 4096)
    return seen


def test_attach(cluster, namespace):
    run_pod(cluster, namespace, "reader", "while read line; do echo got $line; done", stdin=True)
    process = cluster.popen(
        "attach", "-i", "-n", namespace, "reader", stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    process.stdin.write("something\n")
    process.stdin.flush()
    assert process.stdout.readline() == "got something\n"
    process.terminate()
    process.communicate(timeout=180)


def test_cp_both_ways(cluster, namespace, tmp_path):
    run_pod(cluster, namespace, "box")
    content = os.urandom(300_000)
    (tmp_path / "there").write_bytes(content)
    cluster.kubectl("cp", str(tmp_path / "there"), f"{namespace}/box:/tmp/file")
    cluster.kubectl("cp", f"{namespace}/box:/tmp/file", str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == content


def test_port_forward(cluster, namespace, fetch):
    cluster.kubectl("run", "-n", namespace, "web", "--image=kubeshim.example/web:1", "--port=8080")
    cluster.kubectl("wait", "-n", namespace, "--for=condition=Ready", "pod/web", "--timeout=180s")
    process = cluster.popen("port-forward", "-n", namespace, "pod/web", ":8080", stdout=subprocess.PIPE, text=True)
    try:
        port = int(process.stdout.readline().split(" -> ")[0].rpartition(":")[2])
        for _ in range(3):
            assert fetch(f"http://127.0.0.1:{port}/").startswith("web version 1 web")
    finally:
        process.terminate()
        process.communicate(timeout=180)


def test_watch_and_wait(cluster, namespace, tmp_path):
    output = tmp_path / "output"
    with output.open("w") as file:
        watcher = cluster.popen("get", "pods", "-n", namespace, "-w", "--no-headers", "-v=6", stdout=file,
                                stderr=subprocess.PIPE, text=True)  # fmt: skip
    assert any("watch=true" in line for line in watcher.stderr), "it ended before it watched"
    run_pod(cluster, namespace, "seen")
    cluster.kubectl("delete", "pod", "-n", namespace, "seen", "--wait=false")
    cluster.kubectl("wait", "-n", namespace, "--for=delete", "pod/seen", "--timeout=180s")

    def words():
        return {line.split()[2] for line in output.read_text().splitlines() if len(line.split()) > 2}

    eventually(lambda: {"Pending", "Running", "Terminating"} <= words())
    watcher.terminate()
    watcher.communicate(timeout=180)


def test_label_annotate_edit(cluster, namespace):
    cluster.kubectl("create", "configmap", "-n", namespace, "thing", "--from-literal=a=1")
    cluster.kubectl("label", "-n", namespace, "configmap", "thing", "colour=red")
    cluster.kubectl("annotate", "-n", namespace, "configmap", "thing", "note=hi")
    cluster.environment["KUBE_EDITOR"] = ""
    done = subprocess.run(
        [cluster.kubectl_path, "edit", "-n", namespace, "configmap", "thing"],
        env={**cluster.environment, "KUBE_EDITOR": 'sed -i \'s/a: "1"/a: "2"/\''},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert "edited" in done.stdout, done.stderr
    found = cluster.get("configmap", "-n", namespace, "thing")
    assert found["data"] == {"a": "2"}
    assert found["metadata"]["labels"] == {"colour": "red"}
    assert found["metadata"]["annotations"]["note"] == "hi"


DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: three-way, labels: {keep: "yes"EXTRA}}
spec:
  replicas: REPLICAS
  selector: {matchLabels: {app: three-way}}
  template:
    metadata: {labels: {app: three-way}}
    spec: {containers: [{name: main, image: "kubeshim.example/web:1"}], terminationGracePeriodSeconds: 0}
"""


def deployment(replicas, extra=""):
    return DEPLOYMENT.replace("REPLICAS", str(replicas)).replace("EXTRA", extra)


def test_three_way_apply_and_diff(cluster, namespace):
    cluster.kubectl("apply", "-n", namespace, "-f", "-", stdin=deployment(1, ', drop: "me"'))
    cluster.kubectl("label", "-n", namespace, "deployment/three-way", "foreign=stays")
    shown = cluster.kubectl("diff", "-n", namespace, "-f", "-", stdin=deployment(2), check=False)
    assert shown.returncode == 1 and "+  replicas: 2" in shown.stdout
    cluster.kubectl("apply", "-n", namespace, "-f", "-", stdin=deployment(2))
    found = cluster.get("deployment", "-n", namespace, "three-way")
    assert found["spec"]["replicas"] == 2
    assert found["metadata"]["labels"] == {"keep": "yes", "foreign": "stays"}
    # while its status is being written, that would differ between one look and the other
    cluster.kubectl("rollout", "status", "-n", namespace, "deployment/three-way", "--timeout=180s")
    eventually(
        lambda: cluster.kubectl("diff", "-n", namespace, "-f", "-", stdin=deployment(2), check=False).stdout == ""
    )


def test_server_side_apply_and_its_conflicts(cluster, namespace):
    apply = ("apply", "--server-side", "-n", namespace, "-f", "-")
    cluster.kubectl(*apply, "--field-manager=first", stdin=deployment(1))
    conflict = cluster.kubectl(*apply, "--field-manager=second", stdin=deployment(3), check=False)
    assert conflict.returncode and 'conflict with "first": .spec.replicas' in conflict.stderr
    cluster.kubectl(*apply, "--field-manager=second", "--force-conflicts", stdin=deployment(3))
    assert cluster.get("deployment", "-n", namespace, "three-way")["spec"]["replicas"] == 3


@pytest.mark.parametrize("cascade", ["background", "foreground", "orphan"])
def test_delete_with_cascade(cluster, namespace, cascade):
    cluster.kubectl("apply", "-n", namespace, "-f", "-", stdin=deployment(1))
    cluster.kubectl("rollout", "status", "-n", namespace, "deployment/three-way", "--timeout=180s")
    cluster.kubectl("delete", "deployment", "-n", namespace, "three-way", f"--cascade={cascade}", "--timeout=180s")

    def left():
        return len(cluster.get("replicasets,pods", "-n", namespace)["items"])

    if cascade == "orphan":
        assert left() == 2
        cluster.kubectl("delete", "replicaset", "-n", namespace, "--all")
    eventually(lambda: left() == 0)


def test_expose_and_proxy(cluster, namespace, fetch):
    cluster.kubectl("create", "deployment", "-n", namespace, "web", "--image=kubeshim.example/web:1", "--port=8080")
    cluster.kubectl("expose", "-n", namespace, "deployment/web", "--port=80", "--target-port=8080")
    cluster.kubectl("rollout", "status", "-n", namespace, "deployment/web", "--timeout=180s")
    process = cluster.popen("proxy", "--port=0", stdout=subprocess.PIPE, text=True)
    try:
        port = int(process.stdout.readline().rpartition(":")[2])
        base = f"http://127.0.0.1:{port}/api/v1/namespaces/{namespace}"
        eventually(lambda: asked(fetch, f"{base}/services/web/proxy/").startswith("web version 1"))
    finally:
        process.terminate()
        process.communicate(timeout=180)


def test_a_token_works(cluster, namespace):
    cluster.kubectl("create", "serviceaccount", "-n", namespace, "robot")
    token = cluster.out("create", "token", "-n", namespace, "robot").strip()
    who = f"system:serviceaccount:{namespace}:robot"
    assert who in cluster.out("auth", "whoami", "--token", token, "--kubeconfig", no_certificate(cluster))
    refused = cluster.kubectl(
        "get", "pods", "-n", namespace, "--token", token, "--kubeconfig", no_certificate(cluster), check=False
    )
    assert f'User "{who}" cannot list resource "pods"' in refused.stderr


def no_certificate(cluster):
    """A kubeconfig that names the server but no user, so that only the token speaks."""
    path = cluster.kubeconfig.with_name("anonymous")
    config = json.loads(cluster.out("config", "view", "--raw", "-o", "json"))
    config["users"] = [{"name": user["name"], "user": {}} for user in config["users"]]
    path.write_text(json.dumps(config))
    return str(path)


def test_examples_01(cluster, namespace):
    cluster.kubectl("apply", "-n", namespace, "-f", str(EXAMPLES / "01-pod"))
    cluster.kubectl("wait", "-n", namespace, "--for=condition=Ready", "pod/client", "--timeout=180s")

"""What the command line promises, with the real kubectl: its output, and that it does to the cluster what it says."""

import contextlib
import datetime
import http.client
import json
import re
import socket
import subprocess

import pytest
import yaml

from tests.conformance.kube import BUSYBOX, PATIENCE, WEB, is_ready, is_running
from tests.conformance.names import answers
from tests.e2e import command
from tests.e2e.conftest import eventually


@pytest.fixture
def kubectl(cluster, kube):
    return command.Command(cluster, kube.namespace)


def manifest(kind, name, labels, spec, api="v1", **metadata):
    return {"apiVersion": api, "kind": kind, "metadata": {"name": name, "labels": labels, **metadata}, "spec": spec}


def pod_spec(name, image, command=None, **more):
    one = {"name": name, "image": image, "imagePullPolicy": "IfNotPresent", **more}
    if command:
        one["command"] = ["sh", "-c", command]
    return {"terminationGracePeriodSeconds": 0, "containers": [one]}


def controller(name, labels, spec, replicas=1):
    template = {"metadata": {"labels": labels}, "spec": spec}
    return manifest(
        "ReplicationController", name, labels, {"replicas": replicas, "selector": labels, "template": template}
    )


def in_order(output, *required):
    """Each entry's first text is found at or after the line of the one before, the others of it in the same line."""
    lines = output.splitlines()
    at = 0
    for first, *others in required:
        at = next((i for i in range(at, len(lines)) if first in lines[i]), len(lines))
        assert at < len(lines), f"no {first!r} in\n{output}"
        for text in others:
            assert text in lines[at], f"no {text!r} in {lines[at]!r}"


# ---- applications


def guestbook(testhost):
    """Services and deployments of a frontend, a primary that is written to and replicas that are read from."""
    for role, name, replicas, port, arguments in (
        ("replica", "agnhost-replica", 2, 6379, ["--replicaof", "agnhost-primary", "--http-port", "6379"]),
        ("primary", "agnhost-primary", 1, 6379, ["--http-port", "6379"]),
        (None, "frontend", 3, 80, ["--backend-port", "6379"]),
    ):
        labels = {"app": "agnhost", "role": role, "tier": "backend"} if role else {"app": "guestbook", "tier": name}
        yield manifest("Service", name, labels, {"selector": labels, "ports": [{"port": port}]})
        requests = {"requests": {"cpu": "100m", "memory": "100Mi"}}
        spec = pod_spec(role or name, testhost, args=["guestbook", *arguments], resources=requests,
                        ports=[{"containerPort": port}])  # fmt: skip
        template = {"metadata": {"labels": labels}, "spec": spec}
        wanted = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
        yield manifest("Deployment", name, labels, wanted, api="apps/v1")


@answers("[sig-cli] Kubectl client Guestbook application should create and stop a working application")
def test_guestbook(kubectl, kube, testhost):
    parts = list(guestbook(testhost))
    for part in parts:
        kubectl.create(part)
    selector = "tier=frontend,app=guestbook"
    kube.wait_all("Pod", lambda pods: len(pods) == 3 and all(map(is_running, pods)), labelSelector=selector)

    def ask(cmd, value=""):
        path = kube.path("Service", "frontend", subresource="proxy") + "/guestbook"
        try:
            return kube.call("get", path, cmd=cmd, key="messages", value=value)
        except Exception as error:
            return str(error)

    eventually(lambda: ask("get") == {"data": ""})
    eventually(lambda: ask("set", "TestEntry") == {"message": "Updated"})
    eventually(lambda: ask("get") == {"data": "TestEntry"})
    for part in parts:
        kubectl("delete", "--grace-period=0", "--force", "-f", "-", stdin=yaml.safe_dump(part))
    assert kubectl("get", "deployments,services", "--no-headers") == ""


DEMO = {"name": "update-demo", "version": "nautilus"}
DEMO_SERVER = """mkdir -p /www; echo '{"image":"nautilus.jpg"}' > /www/data.json; exec httpd -f -p 80 -h /www"""


def demo():
    return controller("update-demo-nautilus", DEMO, pod_spec("update-demo", BUSYBOX, DEMO_SERVER), 2)


def demo_is_up(kubectl, kube, replicas):
    """Asked with kubectl's templates and through the pods' proxies, as the official validator does."""
    state = (
        '{{if (exists . "status" "containerStatuses")}}{{range .status.containerStatuses}}'
        '{{if (and (eq .name "update-demo") (exists . "state" "running"))}}true{{end}}{{end}}{{end}}'
    )
    image = (
        '{{if (exists . "spec" "containers")}}{{range .spec.containers}}'
        '{{if eq .name "update-demo"}}{{.image}}{{end}}{{end}}{{end}}'
    )
    names = kubectl(
        "get", "pods", "-o", "template", "--template={{range.items}}{{.metadata.name}} {{end}}", "-l", "name=update-demo"
    ).split()  # fmt: skip
    if len(names) != replicas:
        return False
    for name in names:
        # which may have gone since it was listed
        if kubectl.run("get", "pods", name, "-o", "template", f"--template={state}").stdout != "true":
            return False
        if kubectl.run("get", "pods", name, "-o", "template", f"--template={image}").stdout != BUSYBOX:
            return False
        with contextlib.suppress(Exception):
            data = kube.call("get", kube.path("Pod", name, subresource="proxy") + "/data.json")
            if "nautilus.jpg" in data["image"]:
                continue
        return False
    return True


def stopped(kubectl, selector):
    left = kubectl("get", "rc,svc", "-l", selector, "--no-headers")
    template = (
        '{{ range .items }}{{ if not .metadata.deletionTimestamp }}{{ .metadata.name }}{{ "\\n" }}{{ end }}{{ end }}'
    )
    return not left and not kubectl("get", "pods", "-l", selector, "-o", f"go-template={template}")


@answers("[sig-cli] Kubectl client Update Demo should create and stop a replication controller")
def test_update_demo(kubectl, kube):
    kubectl.create(demo())
    eventually(lambda: demo_is_up(kubectl, kube, 2))
    kubectl("delete", "--grace-period=0", "--force", "-f", "-", stdin=yaml.safe_dump(demo()))
    eventually(lambda: stopped(kubectl, "name=update-demo"))


@answers("[sig-cli] Kubectl client Update Demo should scale a replication controller")
def test_update_demo_is_scaled(kubectl, kube):
    kubectl.create(demo())
    eventually(lambda: demo_is_up(kubectl, kube, 2))
    for replicas in (1, 2):
        kubectl("scale", "rc", "update-demo-nautilus", f"--replicas={replicas}", "--timeout=5m")
        eventually(lambda replicas=replicas: demo_is_up(kubectl, kube, replicas))
    kubectl("delete", "--grace-period=0", "--force", "-f", "-", stdin=yaml.safe_dump(demo()))
    eventually(lambda: stopped(kubectl, "name=update-demo"))


# ---- what is printed


@answers("[sig-cli] Kubectl client Kubectl api-versions should check if v1 is in available api versions")
def test_api_versions(kubectl):
    assert "v1" in kubectl("api-versions").splitlines()


@answers(
    "[sig-cli] Kubectl client Kubectl cluster-info should check if Kubernetes control plane services is included in "
    "cluster-info"
)
def test_cluster_info(kubectl):
    output = kubectl("cluster-info")
    assert "Kubernetes control plane" in output and "is running at" in output


@answers("[sig-cli] Kubectl client Kubectl version should check is all data is printed")
def test_version(kubectl):
    output = kubectl("version")
    assert re.search(r"^Client Version: v1\.\d+\.\d+", output, re.MULTILINE)
    assert re.search(r"^Server Version: v1\.\d+\.\d+", output, re.MULTILINE)
    server = json.loads(kubectl("version", "-o", "json"))["serverVersion"]
    assert all(server[key] for key in ("major", "minor", "gitVersion", "gitTreeState", "buildDate", "platform"))


PRIMARY = {"app": "agnhost", "role": "primary"}


def primary():
    """A controller of one server on port 6379."""
    command = "echo Paused; exec httpd -f -p 6379 -h /www"
    return controller("agnhost-primary", PRIMARY, pod_spec("agnhost-primary", WEB, command, ports=[
        {"name": "agnhost-server", "containerPort": 6379}
    ]))  # fmt: skip


def running_primary(kubectl, kube):
    kubectl.create(primary())
    pods = kube.wait_all("Pod", lambda pods: any(map(is_running, pods)), labelSelector="app=agnhost")
    return pods[0]


@answers(
    "[sig-cli] Kubectl client Kubectl describe should check if kubectl describe prints relevant information for rc and pods"
)
def test_describe(kubectl, kube):
    service = manifest("Service", "agnhost-primary", PRIMARY, {
        "selector": PRIMARY, "ports": [{"port": 6379, "targetPort": "agnhost-server"}],
    })  # fmt: skip
    kubectl.create(service)
    pod = running_primary(kubectl, kube)
    in_order(
        kubectl("describe", "pod", pod["metadata"]["name"]),
        ("Name:", "agnhost-primary-"), ("Namespace:", kube.namespace), ("Node:",), ("Labels:", "app=agnhost"),
        ("role=primary",), ("Annotations:",), ("Status:", "Running"), ("IP:",),
        ("Controlled By:", "ReplicationController/agnhost-primary"), ("Image:", WEB), ("State:", "Running"),
        ("QoS Class:", "BestEffort"),
    )  # fmt: skip
    kube.wait("ReplicationController", "agnhost-primary", lambda rc: rc["status"].get("readyReplicas") == 1)
    in_order(
        kubectl("describe", "rc", "agnhost-primary"),
        ("Name:", "agnhost-primary"), ("Namespace:", kube.namespace), ("Selector:", "app=agnhost,role=primary"),
        ("Labels:", "app=agnhost"), ("role=primary",), ("Annotations:",), ("Replicas:", "1 current", "1 desired"),
        ("Pods Status:", "1 Running", "0 Waiting", "0 Succeeded", "0 Failed"), ("Pod Template:",), ("Image:", WEB),
        ("Events:",),
    )  # fmt: skip
    in_order(
        kubectl("describe", "service", "agnhost-primary"),
        ("Name:", "agnhost-primary"), ("Namespace:", kube.namespace), ("Labels:", "app=agnhost"), ("role=primary",),
        ("Annotations:",), ("Selector:", "app=agnhost", "role=primary"), ("Type:", "ClusterIP"), ("IP:",),
        ("Port:", "<unset>", "6379/TCP"), ("Endpoints:",), ("Session Affinity:", "None"),
    )  # fmt: skip
    node = kube.items("Node")[0]["metadata"]["name"]
    in_order(
        kubectl("describe", "node", node),
        ("Name:", node), ("Labels:",), ("Annotations:",), ("CreationTimestamp:",), ("Conditions:",),
        ("Type", "Status", "LastHeartbeatTime", "LastTransitionTime", "Reason", "Message"), ("Addresses:",),
        ("Capacity:",), ("Kernel Version:",), ("OS Image:",), ("Container Runtime Version:",), ("Kubelet Version:",),
        ("Pods:",),
    )  # fmt: skip
    in_order(
        kubectl("describe", "namespace", kube.namespace),
        ("Name:", kube.namespace), ("Labels:",), ("Annotations:",), ("Status:", "Active"),
    )  # fmt: skip


GENERATE = (
    "i=0; while [ $i -lt 100 ]; do echo line $i GET /api/v1/namespaces/kube-system/pods/x; i=$((i+1)); sleep 0.2; done"
)


@answers("[sig-cli] Kubectl logs logs should be able to retrieve and filter logs")
def test_logs(kubectl, kube):
    name = "logs-generator"
    kubectl(
        "run", name, f"--image={BUSYBOX}", "--restart=Never", "--pod-running-timeout=2m", "--", "sh", "-c", GENERATE
    )
    kube.wait("Pod", name, lambda pod: pod and (is_ready(pod) or pod["status"].get("phase") == "Succeeded"))
    logs = ("logs", name, name)
    eventually(lambda: "/api/v1/namespaces/kube-system" in kubectl(*logs))
    assert len(kubectl(*logs, "--tail=1").splitlines()) == 1
    assert len(kubectl(*logs, "--limit-bytes=1")) == 1
    (line,) = kubectl(*logs, "--tail=1", "--timestamps").splitlines()
    stamp, text = line.split(" ", 1)
    assert text and datetime.datetime.fromisoformat(re.sub(r"(\.\d{6})\d*", r"\1", stamp))

    def less_is_recent():
        # once the first lines are older than a second
        recent, all_of_it = (kubectl(*logs, f"--since={since}").splitlines() for since in ("1s", "24h"))
        return len(recent) < len(all_of_it)

    eventually(less_is_recent)
    kubectl("delete", "pod", name, "--now")


# ---- what is changed

HTTPD = {"app": "httpd"}


def httpd_deployment(image):
    template = {"metadata": {"labels": HTTPD}, "spec": pod_spec("httpd", image)}
    spec = {"selector": {"matchLabels": HTTPD}, "template": template}
    return manifest("Deployment", "httpd-deployment", HTTPD, spec, api="apps/v1")


@answers("[sig-cli] Kubectl client Kubectl diff should check if kubectl diff finds a difference for Deployments")
def test_diff(kubectl):
    kubectl.create(httpd_deployment(WEB))
    shown = kubectl.run("diff", "-f", "-", stdin=yaml.safe_dump(httpd_deployment(BUSYBOX)))
    assert shown.returncode == 1, shown.stderr
    assert WEB in shown.stdout and BUSYBOX in shown.stdout
    kubectl("delete", "-f", "-", stdin=yaml.safe_dump(httpd_deployment(BUSYBOX)))


@answers("[sig-cli] Kubectl client Kubectl expose should create services for rc")
def test_expose(kubectl, kube):
    pod = running_primary(kubectl, kube)
    eventually(lambda: "Paused" in kubectl("logs", pod["metadata"]["name"]))

    def leads_there(name, port):
        def one(slices):
            endpoints = [(e, s["ports"]) for s in slices for e in s["endpoints"] or []]
            return len(endpoints) == 1 and [p["port"] for p in endpoints[0][1]] == [6379]

        kube.wait_all("EndpointSlice", one, labelSelector=f"kubernetes.io/service-name={name}")
        served = kube.wait("Endpoints", name, lambda e: e and any(s.get("addresses") for s in e.get("subsets") or ()))
        subsets = served["subsets"]
        assert [(len(s["addresses"]), s["ports"][0]["port"]) for s in subsets] == [(1, 6379)]
        (only,) = kube.get("Service", name)["spec"]["ports"]
        assert (only["port"], only["targetPort"]) == (port, 6379)

    kubectl("expose", "rc", "agnhost-primary", "--name=rm2", "--port=1234", "--target-port=6379")
    leads_there("rm2", 1234)
    kubectl("expose", "service", "rm2", "--name=rm3", "--port=2345", "--target-port=6379")
    leads_there("rm3", 2345)


@answers("[sig-cli] Kubectl client Kubectl label should update the label on a resource")
def test_label(kubectl, kube):
    kubectl.create(manifest("Pod", "pause", {"name": "pause"}, pod_spec("pause", BUSYBOX, "sleep 1000")))
    kube.wait("Pod", "pause", is_ready)
    kubectl("label", "pods", "pause", "testing-label=testing-label-value")
    assert "testing-label-value" in kubectl("get", "pod", "pause", "-L", "testing-label")
    kubectl("label", "pods", "pause", "testing-label-")
    assert "testing-label-value" not in kubectl("get", "pod", "pause", "-L", "testing-label")


@answers("[sig-cli] Kubectl client Kubectl patch should add annotations for pods in rc")
def test_patch(kubectl, kube):
    running_primary(kubectl, kube)
    for pod in kube.items("Pod", labelSelector="app=agnhost"):
        kubectl("patch", "pod", pod["metadata"]["name"], "-p", '{"metadata":{"annotations":{"x":"y"}}}')
    pods = kube.items("Pod", labelSelector="app=agnhost")
    assert pods and all(pod["metadata"]["annotations"]["x"] == "y" for pod in pods)


POD = "e2e-test-httpd-pod"


def only_image(kube):
    return [container["image"] for container in kube.get("Pod", POD)["spec"]["containers"]]


@answers("[sig-cli] Kubectl client Kubectl run pod should create a pod from an image when restart is Never")
def test_run(kubectl, kube):
    kubectl("run", POD, "--restart=Never", f"--image={WEB}")
    assert only_image(kube) == [WEB]
    assert kube.get("Pod", POD)["spec"]["restartPolicy"] == "Never"
    kubectl("delete", "pods", POD, "--now")


@answers("[sig-cli] Kubectl client Kubectl replace should update a single-container pod's image")
def test_replace(kubectl, kube):
    kubectl("run", POD, f"--image={WEB}", f"--labels=run={POD}")
    kube.wait_all("Pod", lambda pods: len(pods) == 1 and is_running(pods[0]), labelSelector=f"run={POD}")

    def replaced():
        """Unless the kubelet wrote in between."""
        read = kubectl("get", "pod", POD, "-o", "json")
        done = kubectl.run("replace", "-f", "-", stdin=read.replace(WEB, BUSYBOX, 1))
        assert done.returncode == 0 or "the object has been modified" in done.stderr, done.stderr
        return done.returncode == 0

    eventually(replaced)
    assert only_image(kube) == [BUSYBOX]
    kubectl("delete", "pods", POD, "--now")


@answers("[sig-cli] Kubectl client Kubectl server-side dry-run should check if kubectl can dry-run update Pods")
def test_dry_run(kubectl, kube):
    kubectl("run", POD, f"--image={WEB}", f"--labels=run={POD}")
    patch = json.dumps({"spec": {"containers": [{"name": POD, "image": BUSYBOX}]}})
    assert kubectl("patch", "pod", POD, "-p", patch, "--dry-run=server") == f"pod/{POD} patched\n"
    assert only_image(kube) == [WEB]
    kubectl("delete", "pods", POD, "--now")


# ---- proxies


@contextlib.contextmanager
def proxy(cluster, *arguments):
    """The first line a running ``kubectl proxy`` prints."""
    process = cluster.popen("proxy", *arguments, stdout=subprocess.PIPE, text=True)
    try:
        yield process.stdout.readline()
    finally:
        process.terminate()
        process.communicate(timeout=PATIENCE)


@answers("[sig-cli] Kubectl client Proxy server should support proxy with --port 0")
def test_proxy_at_any_port(cluster, kubectl):
    with proxy(cluster, "-p", "0", "--disable-filter") as said:
        port = int(re.search(r"Starting to serve on 127\.0\.0\.1:(\d+)", said)[1])
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        connection.request("GET", "/api/")
        assert json.loads(connection.getresponse().read())["versions"] == ["v1"]
        connection.close()


@answers("[sig-cli] Kubectl client Proxy server should support --unix-socket=/path")
def test_proxy_at_a_socket(cluster, kubectl, tmp_path):
    path = tmp_path / "test"
    with proxy(cluster, f"--unix-socket={path}") as said:
        assert str(path) in said
        connection = http.client.HTTPConnection("localhost", timeout=PATIENCE)
        with contextlib.closing(connection), socket.socket(socket.AF_UNIX) as connection.sock:
            connection.sock.connect(str(path))
            connection.request("GET", "/api")
            answer = connection.getresponse()
            assert answer.status == 200 and json.loads(answer.read())["kind"] == "APIVersions"

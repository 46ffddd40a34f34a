"""The official Python client: what it can beyond requests — streams, ports, watches, any kind, leaders, informers."""

import contextlib
import json
import threading

import kubernetes
import pytest
from kubernetes import dynamic, watch
from kubernetes.leaderelection import electionconfig, leaderelection
from kubernetes.leaderelection.resourcelock import configmaplock, leaselock
from kubernetes.stream import portforward, stream, ws_client

from tests.e2e import command
from tests.e2e.conftest import eventually
from tests.e2e.test_kubectl import run_pod

pytestmark = [
    # the client leaves the sockets of its websockets to the collector
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

RESIZE = 4


@pytest.fixture
def configuration(cluster):
    found = kubernetes.client.Configuration()
    kubernetes.config.load_kube_config(str(cluster.kubeconfig), client_configuration=found)
    return found


@pytest.fixture
def api(configuration):
    return kubernetes.client.ApiClient(configuration)


@pytest.fixture
def core(api):
    return kubernetes.client.CoreV1Api(api)


@pytest.fixture
def shell(configuration):
    """The streams' door changes the client it is given: one of its own."""
    return kubernetes.client.CoreV1Api(kubernetes.client.ApiClient(configuration))


@contextlib.contextmanager
def session(shell, namespace, *line, call="connect_get_namespaced_pod_exec", **options):
    given = {"stdin": False, "stdout": True, "stderr": True, "tty": False, "_preload_content": False, **options}
    if line:
        given["command"] = list(line)
    opened = stream(getattr(shell, call), "box", namespace, **given)
    try:
        yield opened
    finally:
        opened.close()


@pytest.fixture
def box(cluster, namespace):
    run_pod(cluster, namespace, "box", "echo begun; trap exit TERM; while :; do sleep 0.2; done")
    return namespace


def test_exec_by_get_and_by_post(shell, box):
    for call in ("connect_get_namespaced_pod_exec", "connect_post_namespaced_pod_exec"):
        method = getattr(shell, call)
        said = stream(method, "box", box, command=["seq", "3"], stdin=False, stdout=True, stderr=True, tty=False)
        assert said.splitlines() == ["1", "2", "3"]


def test_exec_with_input(shell, box):
    with session(shell, box, "sh", stdin=True) as opened:
        opened.write_stdin("echo one\n")
        assert opened.readline_stdout(timeout=180) == "one"
        opened.write_stdin("echo two >&2\n")
        assert opened.readline_stderr(timeout=180) == "two"
        opened.write_stdin("exit\n")
        opened.run_forever(timeout=180)
        assert json.loads(opened.read_channel(ws_client.ERROR_CHANNEL))["status"] == "Success"
        assert not opened.is_open()


@pytest.mark.parametrize("code", [0, 3])
def test_exit_codes(shell, box, code):
    with session(shell, box, "sh", "-c", f"exit {code}") as opened:
        opened.run_forever(timeout=180)
        assert opened.returncode == code


def test_bytes_pass_unchanged(shell, box):
    with session(shell, box, "head", "-c", "200000", "/bin/busybox", binary=True) as opened:
        opened.run_forever(timeout=180)
        assert len(opened.read_stdout()) == 200_000
    with session(shell, box, "cat", stdin=True, binary=True) as opened:
        sent, got = bytes(range(256)) * 4, b""
        opened.write_stdin(sent)
        while len(got) < len(sent):
            got += opened.read_stdout(timeout=180)
        assert got == sent


def test_a_terminal_is_resized(shell, box):
    with session(shell, box, "sh", stdin=True, stderr=False, tty=True) as opened:
        opened.write_channel(RESIZE, json.dumps({"Height": 33, "Width": 99}))

        def size():
            opened.write_stdin("stty size\n")
            return "33 99" in (opened.read_stdout(timeout=1) or "")

        assert eventually(size)


def test_attach(cluster, namespace, shell):
    run_pod(cluster, namespace, "box", "while read line; do echo got $line; done", stdin=True)
    with session(shell, namespace, call="connect_get_namespaced_pod_attach", stdin=True) as opened:
        opened.write_stdin("it\n")
        assert opened.readline_stdout(timeout=180) == "got it"


LISTEN = (
    "(while :; do nc -l -p 1234 -e cat; done) & (while :; do echo hello | nc -l -p 1235; done) & trap exit TERM; wait"
)


def test_ports_are_forwarded(cluster, namespace, shell):
    run_pod(cluster, namespace, "box", LISTEN)
    open_ports = ("exec", "-n", namespace, "box", "--", "sh", "-c", "netstat -ltn | grep -c ':123[45] '")
    eventually(lambda: cluster.kubectl(*open_ports, check=False).stdout.strip() == "2")
    forwarded = portforward(shell.connect_get_namespaced_pod_portforward, "box", namespace, ports="1234,1235,1236")
    try:
        echo, greeting = forwarded.socket(1234), forwarded.socket(1235)
        for sock in (echo, greeting):
            sock.settimeout(180)
        echo.sendall(b"through and back")
        assert echo.recv(100) == b"through and back"
        assert greeting.recv(100) == b"hello\n"
        assert "refused" in eventually(lambda: forwarded.error(1236))
        assert forwarded.error(1234) is None
    finally:
        forwarded.close()


def test_logs_are_followed(core, cluster, namespace):
    run_pod(cluster, namespace, "box", "for i in 1 2 3; do echo line $i; sleep 0.1; done", wait=False, restart="Never")
    eventually(lambda: core.read_namespaced_pod("box", namespace).status.phase not in (None, "Pending"))
    lines = watch.Watch().stream(core.read_namespaced_pod_log, "box", namespace, follow=True)
    assert list(lines) == ["line 1", "line 2", "line 3"]
    assert core.read_namespaced_pod_log("box", namespace, tail_lines=1) == "line 3\n"


def test_watch_from_a_version_and_from_the_beginning(core, namespace):
    since = core.list_namespaced_config_map(namespace).metadata.resource_version
    for name in "ab":
        core.create_namespaced_config_map(namespace, command.config_map(name, {"mine": "yes"}))
    core.delete_namespaced_config_map("a", namespace)
    seen, watching, listing = [], watch.Watch(), core.list_namespaced_config_map
    options = {"label_selector": "mine", "timeout_seconds": 180}
    for event in watching.stream(listing, namespace, resource_version=since, **options):
        seen.append((event["type"], event["object"].metadata.name))
        if len(seen) == 3:
            watching.stop()
    assert seen == [("ADDED", "a"), ("ADDED", "b"), ("DELETED", "a")]
    options |= {"allow_watch_bookmarks": True, "send_initial_events": True, "resource_version_match": "NotOlderThan"}
    whole, watching = [], watch.Watch()
    for event in watching.stream(listing, namespace, **options):
        whole.append(event["type"])
        if event["type"] == "BOOKMARK":
            watching.stop()
    assert whole == ["ADDED", "BOOKMARK"]


def test_any_kind(api, namespace):
    client = dynamic.DynamicClient(api)
    definitions = client.resources.get(api_version="apiextensions.k8s.io/v1", kind="CustomResourceDefinition")
    one = command.definition("ducks", "Duck")
    one["spec"]["versions"][0]["subresources"] = {
        "status": {},
        "scale": {"specReplicasPath": ".spec.size", "statusReplicasPath": ".status.size"},
    }
    definitions.create(one)
    try:

        def found():
            client.resources.invalidate_cache()
            with contextlib.suppress(dynamic.exceptions.ResourceNotFoundError):
                return client.resources.get(api_version="shop.example/v1", kind="Duck")

        ducks = eventually(found)
        body = {"apiVersion": "shop.example/v1", "kind": "Duck", "metadata": {"name": "it"}, "spec": {"size": 1}}
        ducks.create(body=body, namespace=namespace)
        merge = "application/merge-patch+json"
        ducks.patch(body={"spec": {"size": 2}}, name="it", namespace=namespace, content_type=merge)
        applied = {**body, "spec": {"colour": "red"}}
        ours = ducks.server_side_apply(namespace=namespace, name="it", body=applied, field_manager="ours")
        assert (ours.spec.size, ours.spec.colour) == (2, "red")
        theirs = {**body, "spec": {"colour": "blue"}}
        with pytest.raises(dynamic.exceptions.ConflictError):
            ducks.server_side_apply(namespace=namespace, name="it", body=theirs, field_manager="theirs")
        assert ducks.scale.get(name="it", namespace=namespace).spec.replicas == 2
        ducks.status.patch(body={"status": {"size": 1}}, name="it", namespace=namespace, content_type=merge)
        event = next(iter(ducks.watch(namespace=namespace, timeout=180)))
        assert (event["type"], event["object"].status.size) == ("ADDED", 1)
        ducks.delete(name="it", namespace=namespace, body={})
    finally:
        definitions.delete(name="ducks.shop.example", body={})


@pytest.mark.parametrize("lock", [configmaplock.ConfigMapLock, leaselock.LeaseLock])
def test_one_leads(configuration, namespace, lock):
    kubernetes.client.Configuration.set_default(configuration)
    leading = threading.Event()

    config = electionconfig.Config(
        lock("election", namespace, "me"), lease_duration=5, renew_deadline=4, retry_period=1,
        onstarted_leading=leading.set, onstopped_leading=None,
    )  # fmt: skip
    threading.Thread(target=leaderelection.LeaderElection(config).run, daemon=True).start()
    assert leading.wait(180)


def test_informer(core, namespace):
    from kubernetes.informer import SharedInformer

    seen = []
    informer = SharedInformer(list_func=core.list_namespaced_config_map, namespace=namespace)
    for kind in ("ADDED", "MODIFIED", "DELETED"):
        informer.add_event_handler(kind, lambda obj, kind=kind: seen.append((kind, obj.metadata.name)))
    informer.start()
    try:
        eventually(lambda: ("ADDED", "kube-root-ca.crt") in seen)
        core.create_namespaced_config_map(namespace, command.config_map("it"))
        core.patch_namespaced_config_map("it", namespace, {"data": {"a": "1"}})
        core.delete_namespaced_config_map("it", namespace)
        eventually(lambda: ("DELETED", "it") in seen)
        assert [kind for kind, name in seen if name == "it"] == ["ADDED", "MODIFIED", "DELETED"]
    finally:
        informer.stop()


def test_proxies(core, cluster, namespace):
    cluster.kubectl("run", "-n", namespace, "web", "--image=kubeshim.example/web:1")
    cluster.kubectl("wait", "-n", namespace, "--for=condition=Ready", "pod/web", "--timeout=180s")

    def healthy():
        # a pod without a probe is ready before its server listens
        with contextlib.suppress(kubernetes.client.ApiException):
            return "ok" in core.connect_get_namespaced_pod_proxy_with_path("web:8080", namespace, path="healthz")

    eventually(healthy)
    path = "cgi-bin/index.cgi"
    assert "web version 1" in core.connect_get_namespaced_pod_proxy_with_path("web:8080", namespace, path=path)

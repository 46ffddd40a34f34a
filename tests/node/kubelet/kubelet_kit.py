"""A kubelet on the fake runtime and the fake API, and pods for it."""

import contextlib
import dataclasses
import threading
import time
import uuid

from kubeshim.client import kinds
from kubeshim.machinery import errors
from kubeshim.node.container_runtime import fake
from kubeshim.node.kubelet import config, kubelet, labels
from tests import fake_api

IMAGE, NEWER_IMAGE = "example/web:1", "example/web:2"


class FakeNetwork:
    """Addresses are remembered by process id; ``lost`` sandboxes are not reached."""

    def __init__(self):
        self.attached = {}
        self.detached = []
        self.pod_cidr = ""

    def set_up(self, pod_cidr, pod_cidr6=""):
        self.pod_cidr = pod_cidr

    def attach(self, sandbox_pid, pod_ip, pod_uid, host_ports=(), *, others=()):
        self.attached[sandbox_pid] = [pod_ip, *others]

    def pod_addresses(self, sandbox_pid):
        return self.attached.get(sandbox_pid, [])

    def detach(self, pod_uid):
        self.detached.append(pod_uid)

    def run_in_node(self, function):
        return function()

    def run_in_pod(self, sandbox_pid, function):
        return function()


class Events:
    """Keeps what it is told."""

    def __init__(self):
        self.told = []
        self.changed = threading.Condition()

    def event(self, obj, type, reason, message, *, field_path=""):
        with self.changed:
            self.told.append((obj["metadata"]["name"], reason, message, field_path))
            self.changed.notify_all()

    def reasons(self, name):
        return [reason for pod, reason, _, _ in self.told if pod == name]


@dataclasses.dataclass
class Kit:
    api: fake_api.FakeApi
    engine: object
    network: FakeNetwork
    events: Events
    settings: config.KubeletConfig
    running: list = dataclasses.field(default_factory=list)

    def start(self):
        """A kubelet process; a second one takes over from the first, which must have been stopped."""
        client = self.api.client()
        made = kubelet.Kubelet(self.settings, client, self.engine, self.network, self.events, pod_cidr="10.244.3.0/24")
        made.start()
        assert made.wait_until_ready(60)
        self.running.append((made, client))
        return made

    def stop(self):
        for made, client in self.running:
            made.stop()
            client.close()
        self.running.clear()

    def close(self):
        """The kubelets, and what they talked to."""
        self.stop()
        self.api.stop()
        self.engine.close()

    def create(self, pod):
        return self.api.create(("v1", "pods"), "default", pod)

    def pod(self, name):
        return self.api.find(("v1", "pods"), "default", name)

    def update(self, name, change):
        pod = self.pod(name)
        return self.api.put(("v1", "pods"), "MODIFIED", change(pod))

    def delete(self, name, grace=30):
        """Asks for deletion; the finalizer keeps the fake API from deleting before the kubelet says so."""
        stamp = {"deletionTimestamp": "2026-01-01T00:00:00Z", "deletionGracePeriodSeconds": grace,
                 "finalizers": ["test/held"]}  # fmt: skip
        self.update(name, lambda pod: {**pod, "metadata": {**pod["metadata"], **stamp}})

    def wait(self, name, condition, timeout=60):
        """The pod once ``condition`` holds of it."""
        end = time.monotonic() + timeout
        with self.api.lock:
            while True:
                pod = self.api.collections["v1", "pods"].get(("default", name))
                with contextlib.suppress(KeyError, IndexError, TypeError):
                    if condition(pod):
                        return pod
                left = end - time.monotonic()
                assert left > 0, f"{name}: {pod and pod.get('status')} {self.events.told}"
                self.api.lock.wait(left)

    def wait_engine(self, condition, timeout=60):
        """For what changes in the engine, whose events nobody may be following any more."""
        end = time.monotonic() + timeout
        while not condition():
            assert time.monotonic() < end, condition
            with self.api.lock:
                self.api.lock.wait(0.01)

    def wait_event(self, name, reason, timeout=60):
        with self.events.changed:
            found = self.events.changed.wait_for(lambda: reason in self.events.reasons(name), timeout)
        assert found, self.events.told
        return next(message for pod, what, message, _ in self.events.told if (pod, what) == (name, reason))

    def container(self, name, container="web"):
        """The newest container of that name in the engine."""
        wanted = {labels.POD_NAME: name, labels.CONTAINER: container}
        return max(self.engine.containers(wanted), key=lambda each: labels.restarts(each.labels))

    def put(self, kind, name, **fields):
        where = ("v1", {"ConfigMap": "configmaps", "Secret": "secrets"}[kind])
        obj = {"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "namespace": "default"}, **fields}
        existing = self.api.collections[where].get(("default", name))
        if existing is None:
            return self.api.create(where, "default", obj)
        return self.api.put(where, "MODIFIED", {**existing, **fields})


def make(tmp_path, *rules, engine=None, **settings):
    defaults = {
        "node_name": f"node-{uuid.uuid4().hex[:6]}", "node_ip": "172.30.0.2", "data_dir": str(tmp_path),
        "cluster_dns": ("10.96.0.10",), "crash_loop_initial": 0.2, "image_pull_initial": 0.2,
    }  # fmt: skip
    built = config.KubeletConfig(**{**defaults, **settings})
    engine = engine or fake.Fake(rules, images=[IMAGE], registry=[IMAGE, NEWER_IMAGE])
    api = fake_api.FakeApi()
    api.hooks.append(release)
    return Kit(api, engine, FakeNetwork(), Events(), built)


def release(handler, method, path):
    """The kubelet's own DELETE lets a held pod go."""
    parts = path.split("/")
    if method != "DELETE" or parts[-2] != "pods":
        return False
    uid = handler.body.get("preconditions", {}).get("uid")
    with handler.api.lock:
        found = handler.api.collections["v1", "pods"].get((parts[-3], parts[-1]))
        if found and uid not in (None, found["metadata"]["uid"]):
            handler.refuse(errors.conflict("", "pods", parts[-1], "Precondition failed: UID"))
            return True
        if found:
            handler.api.put(("v1", "pods"), "DELETED", found)
    handler.send(200, {"kind": "Status", "status": "Success"})
    return True


def pod(name, node, *containers, **spec):
    made = [{"name": "web", "image": IMAGE, **each} for each in containers or ({},)]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"nodeName": node, "containers": made, "restartPolicy": "Always", **spec},
    }


def ready(found):
    conditions = {entry["type"]: entry["status"] for entry in found["status"]["conditions"]}
    return conditions.get("Ready") == "True"


PODS = kinds.PODS

"""A cluster as the conformance tests see it: the official client's dynamic requests, and waiting on watches.

Objects go in and come out as plain dicts. A kind is named by itself (``Pod``) or, where several groups or versions
have it, with its version in front (``events.k8s.io/v1 Event``). What is namespaced lives in the test's own namespace
unless the object or the call says otherwise.
"""

import contextlib
import copy
import json
import time

import kubernetes
import kubernetes.dynamic.exceptions as refusals
import kubernetes.stream
from kubernetes.watch import watch as watching

BUSYBOX = "kubeshim.example/busybox:1"
WEB = "kubeshim.example/web:1"
WEB_2 = "kubeshim.example/web:2"
IDLE = ["sh", "-c", "trap exit TERM; while :; do sleep 0.1; done"]

DISCOVERY = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
STRATEGIC = "application/strategic-merge-patch+json"
MERGE = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
APPLY = "application/apply-patch+yaml"

PATIENCE = 240
"""Seconds after which a wait gives up: of what is right it never decides, however slow the machine."""

Refused = refusals.DynamicApiError


class Kube:
    """Requests of one user in one namespace."""

    def __init__(self, kubeconfig, namespace="default", *, kinds=None):
        self.kubeconfig = kubeconfig
        self.namespace = namespace
        configuration = kubernetes.client.Configuration()
        kubernetes.config.load_kube_config(str(kubeconfig), client_configuration=configuration)
        self.client = kubernetes.client.ApiClient(configuration)
        self.dynamic = _Requests(self.client)
        self.core = kubernetes.client.CoreV1Api(self.client)
        # the client's websocket door changes the client it is given
        self.shell = kubernetes.client.CoreV1Api(kubernetes.client.ApiClient(configuration))
        self.kinds = kinds or self.discover()

    def within(self, namespace):
        """The same cluster, another namespace."""
        other = copy.copy(self)
        other.namespace = namespace
        return other

    def close(self):
        for client in (self.client, self.shell.api_client):
            client.rest_client.pool_manager.clear()

    # ---- names to paths

    def discover(self):
        """{kind or "apiVersion kind": (path prefix, apiVersion, plural, namespaced)}; the preferred version first."""
        kinds = {}
        for path in ("/api", "/apis"):
            for group in self.call("get", path, headers={"Accept": DISCOVERY})["items"]:
                for version in group["versions"]:
                    name = group["metadata"].get("name", "")
                    api = f"{name}/{version['version']}" if name else version["version"]
                    for resource in version["resources"]:
                        kind = resource["responseKind"]["kind"]
                        known = (f"{path}/{api}", api, resource["resource"], resource["scope"] == "Namespaced")
                        kinds.setdefault(kind, known)
                        kinds[f"{api} {kind}"] = known
        return kinds

    def path(self, kind, name=None, *, namespace=None, subresource=None):
        """``namespace`` "" means all of them."""
        prefix, _, plural, namespaced = self.kinds[kind]
        namespace = self.namespace if namespace is None else namespace
        parts = [prefix]
        if namespaced and namespace:
            parts += ["namespaces", namespace]
        parts += [part for part in (plural, name, subresource) if part]
        return "/".join(parts)

    def filled(self, obj, kind=None):
        """The object with apiVersion and kind, and the key its kind is found by."""
        if kind is None:
            kind = obj["kind"]
            if "apiVersion" in obj:
                kind = f"{obj['apiVersion']} {kind}"
        return {"apiVersion": self.kinds[kind][1], "kind": kind.split(" ")[-1], **obj}, kind

    # ---- verbs

    def call(self, method, path, body=None, *, headers=None, **params):
        """One request; its answer parsed, or as text when it is not JSON. Refusals are ``Refused``."""
        query = [(name, value) for name, value in params.items() if value is not None]
        content_type = (headers or {}).get("Content-Type")
        answer = self.dynamic.request(
            method,
            path,
            body=body,
            content_type=content_type,
            query_params=query,
            header_params=dict(headers or {}),
            serialize=False,
        )
        try:
            data = answer.data
        finally:
            answer.release_conn()
        try:
            return json.loads(data)
        except ValueError:
            return data.decode()

    def create(self, obj, *, namespace=None, subresource=None, name=None, **params):
        obj, kind = self.filled(obj)
        namespace = namespace or obj.get("metadata", {}).get("namespace")
        path = self.path(kind, name, namespace=namespace, subresource=subresource)
        return self.call("post", path, obj, **params)

    def get(self, kind, name, *, namespace=None, subresource=None, **params):
        return self.call("get", self.path(kind, name, namespace=namespace, subresource=subresource), **params)

    def find(self, kind, name, **options):
        """The object, or None."""
        try:
            return self.get(kind, name, **options)
        except refusals.NotFoundError:
            return None

    def list(self, kind, *, namespace=None, **params):
        answer = self.call("get", self.path(kind, namespace=namespace), **params)
        for item in answer["items"]:
            item.setdefault("kind", kind.split(" ")[-1])
        return answer

    def items(self, kind, **options):
        return self.list(kind, **options)["items"]

    def update(self, obj, *, subresource=None, **params):
        obj, kind = self.filled(obj)
        meta = obj["metadata"]
        path = self.path(kind, meta["name"], namespace=meta.get("namespace"), subresource=subresource)
        return self.call("put", path, obj, **params)

    def change(self, kind, name, edit, *, subresource=None):
        """Reads, lets ``edit`` change the object in place, writes; again while somebody else was quicker."""
        path = self.path(kind, name, subresource=subresource)
        while True:
            obj = self.call("get", path)
            edit(obj)
            with contextlib.suppress(refusals.ConflictError):
                return self.call("put", path, obj)

    def patch(self, kind, name, patch, *, how=MERGE, subresource=None, namespace=None, **params):
        path = self.path(kind, name, namespace=namespace, subresource=subresource)
        return self.call("patch", path, patch, headers={"Content-Type": how}, **params)

    def apply(self, obj, *, subresource=None, manager="test-apply", **params):
        obj, kind = self.filled(obj)
        return self.patch(
            kind, obj["metadata"]["name"], obj, how=APPLY, subresource=subresource,
            namespace=obj["metadata"].get("namespace"), fieldManager=manager, **params,
        )  # fmt: skip

    def delete(self, kind, name, *, namespace=None, grace=None, propagation=None, **options):
        body = {"kind": "DeleteOptions", "apiVersion": "v1", **options}
        if grace is not None:
            body["gracePeriodSeconds"] = grace
        if propagation:
            body["propagationPolicy"] = propagation
        return self.call("delete", self.path(kind, name, namespace=namespace), body)

    def delete_all(self, kind, *, namespace=None, grace=None, **params):
        body = {"kind": "DeleteOptions", "apiVersion": "v1"}
        if grace is not None:
            body["gracePeriodSeconds"] = grace
        return self.call("delete", self.path(kind, namespace=namespace), body, **params)

    # ---- watching

    @contextlib.contextmanager
    def watch(self, kind, *, since=None, seconds=PATIENCE, namespace=None, **params):
        """An iterator of (type, object); ends when the server closes the watch, after ``seconds`` at the latest."""
        answer = self.dynamic.request(
            "get",
            self.path(kind, namespace=namespace),
            query_params=[("watch", "true"), ("timeoutSeconds", seconds)]
            + ([("resourceVersion", since)] if since is not None else [])
            + list(params.items()),
            header_params={},
            serialize=False,
        )
        try:
            yield _events(answer)
        finally:
            answer.close()
            answer.release_conn()

    def wait(self, kind, name, good, *, seconds=PATIENCE, namespace=None):
        """The object as soon as ``good(object)`` is true; ``good`` sees None once the object is gone."""
        deadline = time.monotonic() + seconds
        last = None
        while (left := deadline - time.monotonic()) > 0:
            listing = self.list(kind, namespace=namespace, fieldSelector=f"metadata.name={name}")
            last = listing["items"][0] if listing["items"] else None
            if good(last):
                return last
            since = listing["metadata"]["resourceVersion"]
            with self.watch(
                kind, since=since, seconds=max(1, int(left)), namespace=namespace, fieldSelector=f"metadata.name={name}"
            ) as events:
                for event, obj in events:
                    if event == "ERROR":
                        break
                    last = None if event == "DELETED" else obj
                    if good(last):
                        return last
        raise AssertionError(f"{kind} {name}: not within {seconds} s; last seen:\n{json.dumps(last, indent=1)}")

    def wait_all(self, kind, good, *, seconds=PATIENCE, namespace=None, **params):
        """The list of objects as soon as ``good(list)`` is true; what is selected by ``params``."""
        deadline = time.monotonic() + seconds
        found = {}
        while (left := deadline - time.monotonic()) > 0:
            listing = self.list(kind, namespace=namespace, **params)
            found = {item["metadata"]["uid"]: item for item in listing["items"]}
            if good(list(found.values())):
                return list(found.values())
            since = listing["metadata"]["resourceVersion"]
            with self.watch(kind, since=since, seconds=max(1, int(left)), namespace=namespace, **params) as events:
                for event, obj in events:
                    if event == "ERROR":
                        break
                    found[obj["metadata"]["uid"]] = obj
                    if event == "DELETED":
                        del found[obj["metadata"]["uid"]]
                    if good(list(found.values())):
                        return list(found.values())
        text = json.dumps(list(found.values()), indent=1)
        raise AssertionError(f"{kind}s: not within {seconds} s; last seen:\n{text}")

    def gone(self, kind, name, **options):
        self.wait(kind, name, lambda obj: obj is None, **options)

    # ---- pods

    def run(self, pod, *, container=None, phase="Succeeded", seconds=PATIENCE):
        """Creates a pod, waits for its end; its log."""
        name = self.create(pod)["metadata"]["name"]
        over = self.wait(
            "Pod", name, lambda p: p and p["status"].get("phase") in ("Succeeded", "Failed"), seconds=seconds
        )
        log = self.log(name, container=container)
        assert over["status"]["phase"] == phase, f"{log}\n{json.dumps(over['status'], indent=1)}"
        return log

    def start(self, pod, *, seconds=PATIENCE):
        """Creates a pod and waits until it is ready; the pod."""
        name = self.create(pod)["metadata"]["name"]
        return self.wait("Pod", name, is_ready, seconds=seconds)

    def log(self, name, *, container=None, **params):
        return self.core.read_namespaced_pod_log(name, self.namespace, container=container, **params)

    def execute(self, name, *command, container=None):
        """What a command in a container prints."""
        options = {"container": container} if container else {}
        session = kubernetes.stream.stream(
            self.shell.connect_get_namespaced_pod_exec, name, self.namespace, command=list(command),
            stdout=True, stderr=True, _preload_content=False, **options,
        )  # fmt: skip
        try:
            session.run_forever(timeout=PATIENCE)
            return session.read_all()
        finally:
            session.close()


class _Requests(kubernetes.dynamic.DynamicClient):
    """The dynamic client's request alone; paths are found by ``Kube.discover``."""

    def __init__(self, client):
        self.client = client
        self.configuration = client.configuration


def _events(answer):
    for line in watching.iter_resp_lines(answer):
        if line:
            event = json.loads(line)
            yield event["type"], event["object"]


# ---- objects


def meta(name, **more):
    return {"name": name, **more}


def container(command=None, *, name="main", image=BUSYBOX, **more):
    """A container; a text is a shell's script."""
    found = {"name": name, "image": image, "imagePullPolicy": "IfNotPresent", **more}
    if isinstance(command, str):
        found["command"] = ["sh", "-c", command]
    elif command is not None:
        found["command"] = command
    return found


def pod(name, *containers, labels=None, annotations=None, restart="Never", **spec):
    """A pod that idles unless it is told its containers."""
    metadata = {"name": name}
    if labels:
        metadata["labels"] = labels
    if annotations:
        metadata["annotations"] = annotations
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {
            "terminationGracePeriodSeconds": 1,
            "restartPolicy": restart,
            "containers": list(containers) or [container(IDLE)],
            **spec,
        },
    }


def template(labels, *containers, **spec):
    """A pod template that idles."""
    body = pod("x", *containers, restart="Always", **spec)
    return {"metadata": {"labels": labels}, "spec": body["spec"]}


# ---- what is seen in objects


def condition(obj, kind):
    """The condition of that type, or {}."""
    conditions = (obj or {}).get("status", {}).get("conditions") or []
    return next((c for c in conditions if c["type"] == kind), {})


def is_ready(obj):
    return condition(obj, "Ready").get("status") == "True"


def is_running(obj):
    return bool(obj) and obj["status"].get("phase") == "Running"


def owner(obj):
    """The controller's uid, or None."""
    refs = obj["metadata"].get("ownerReferences") or []
    return next((ref["uid"] for ref in refs if ref.get("controller")), None)

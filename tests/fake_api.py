"""A small API server in memory, over real HTTP, for tests of clients and controllers.

It knows no kinds: any path of the API's form is a collection. It does what clients rely on (resourceVersions,
conflicts, finalizers, status as a subresource, watches that resume, 410) and nothing a server does with an
object's content. ``hooks`` let a test answer in its place.
"""

import collections
import contextlib
import datetime
import http.server
import itertools
import json
import os
import socket
import threading
import time
import urllib.parse
import uuid
import weakref
from collections.abc import Callable, Iterator

from kubeshim.client import kubeconfig, rest
from kubeshim.machinery import errors
from kubeshim.machinery.resources import GroupVersionResource

CLUSTER_SCOPED = {"nodes", "namespaces", "persistentvolumes", "clusterroles", "csinodes", "storageclasses"}


class FakeApi:
    def __init__(self) -> None:
        self.lock = threading.Condition(threading.RLock())
        self.revision = 100
        self.oldest = 0
        self.collections: dict[tuple[str, str], dict[tuple[str, str], dict]] = collections.defaultdict(dict)
        self.history: list[tuple[int, tuple[str, str], str, dict]] = []
        self.requests: list[tuple[str, str]] = []
        self.hooks: list[Callable[[Handler, str, str], bool]] = []
        self.connections: set[socket.socket] = set()
        self.discovery: dict[str, dict] = {}
        self._names = itertools.count()
        self._port = self._hold_a_port()
        self.start()

    def _hold_a_port(self) -> int:
        """One that is nobody else's as long as this server is there, whether it runs or not."""
        with socket.socket() as held:
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            held.bind(("127.0.0.1", 0))
            port: int = held.getsockname()[1]
            weakref.finalize(self, os.close, held.detach())
        return port

    def start(self) -> None:
        handler = type("BoundHandler", (Handler,), {"api": self})
        self.server = Server(("127.0.0.1", self._port), handler)
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        """Closes the port and cuts every connection; ``start`` brings it back."""
        self.server.shutdown()
        self.server.server_close()
        self.cut()

    def cut(self) -> None:
        for connection in list(self.connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def client(self) -> rest.Client:
        return rest.Client(kubeconfig.ClientConfig(f"http://127.0.0.1:{self._port}"))

    def forget_history(self) -> None:
        with self.lock:
            self.oldest = self.revision
            self.history.clear()

    # what the verbs do

    def put(self, where: tuple[str, str], kind: str, obj: dict) -> dict:
        """Commits a state and tells the watchers."""
        with self.lock:
            self.revision += 1
            obj = {**obj, "metadata": {**obj["metadata"], "resourceVersion": str(self.revision)}}
            key = obj["metadata"].get("namespace", ""), obj["metadata"]["name"]
            if kind == "DELETED":
                self.collections[where].pop(key, None)
            else:
                self.collections[where][key] = obj
            self.history.append((self.revision, where, kind, obj))
            self.lock.notify_all()
            return obj

    def create(self, where: tuple[str, str], namespace: str, obj: dict) -> dict:
        metadata = {**obj.get("metadata", {})}
        if namespace:
            metadata["namespace"] = namespace
        if not metadata.get("name"):
            metadata["name"] = f"{metadata['generateName']}{next(self._names):05d}"
        metadata.setdefault("uid", str(uuid.uuid4()))
        metadata["generation"] = 1
        metadata["creationTimestamp"] = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        with self.lock:
            if (metadata.get("namespace", ""), metadata["name"]) in self.collections[where]:
                raise errors.already_exists(where[0].split("/")[0], where[1], metadata["name"])
            return self.put(where, "ADDED", {**obj, "metadata": metadata})

    def find(self, where: tuple[str, str], namespace: str, name: str) -> dict:
        with self.lock:
            try:
                return self.collections[where][namespace, name]
            except KeyError:
                raise errors.not_found(where[0].rpartition("/")[0], where[1], name) from None

    def update(self, where: tuple[str, str], namespace: str, name: str, sub: str, obj: dict) -> dict:
        with self.lock:
            old = self.find(where, namespace, name)
            asked = obj["metadata"].get("resourceVersion")
            if asked and asked != old["metadata"]["resourceVersion"]:
                raise errors.conflict(where[0].rpartition("/")[0], where[1], name, errors.MODIFIED)
            if obj["metadata"].get("uid", old["metadata"]["uid"]) != old["metadata"]["uid"]:
                raise errors.conflict(where[0].rpartition("/")[0], where[1], name, "Precondition failed: UID")
            if sub == "status":
                new = {**old, "status": obj.get("status", {}), "metadata": {**old["metadata"]}}
                if annotations := obj.get("metadata", {}).get("annotations"):
                    new["metadata"]["annotations"] = annotations
            else:
                new = {**obj, "metadata": {**obj["metadata"], "uid": old["metadata"]["uid"]}}
                if "status" in old and not sub:
                    new["status"] = old["status"]
                if json.dumps(new.get("spec"), sort_keys=True) != json.dumps(old.get("spec"), sort_keys=True):
                    new["metadata"]["generation"] = old["metadata"].get("generation", 1) + 1
            held = new["metadata"].get("finalizers") or (new.get("spec") or {}).get("finalizers")
            if new["metadata"].get("deletionTimestamp") and not held:
                return self.put(where, "DELETED", new)
            if new == old:
                return old
            return self.put(where, "MODIFIED", new)

    def delete(self, where: tuple[str, str], namespace: str, name: str, options: dict) -> dict:
        with self.lock:
            obj = self.find(where, namespace, name)
            wanted = options.get("preconditions", {})
            if any(wanted.get(field) not in (None, obj["metadata"][field]) for field in ("uid", "resourceVersion")):
                raise errors.conflict("", where[1], name, "Precondition failed")
            finalizers = list(obj["metadata"].get("finalizers") or [])
            policy = options.get("propagationPolicy")
            for value, finalizer in (("Foreground", "foregroundDeletion"), ("Orphan", "orphan")):
                if policy == value and finalizer not in finalizers:
                    finalizers.append(finalizer)
            if not finalizers:
                return self.put(where, "DELETED", obj)
            now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            metadata = {"deletionTimestamp": now, "deletionGracePeriodSeconds": 0, **obj["metadata"]}
            return self.put(where, "MODIFIED", {**obj, "metadata": {**metadata, "finalizers": finalizers}})

    def bind(self, where: tuple[str, str], namespace: str, name: str, binding: dict) -> dict:
        with self.lock:
            pod = self.find(where, namespace, name)
            if pod["spec"].get("nodeName"):
                raise errors.conflict("", "pods/binding", name, f"pod {name} is already assigned to node")
            status = {**pod.get("status", {})}
            kept = [c for c in status.get("conditions", ()) if c["type"] != "PodScheduled"]
            status["conditions"] = [*kept, {"type": "PodScheduled", "status": "True"}]
            return self.put(
                where,
                "MODIFIED",
                {**pod, "spec": {**pod["spec"], "nodeName": binding["target"]["name"]}, "status": status},
            )


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_port = True  # beside the socket that holds it
    request_queue_size = 256  # sixty informers connect at once; a full queue costs them a second


def merge(old: object, patch: object) -> object:
    """Merge patch; conditions are merged by type as a strategic patch would."""
    if not isinstance(patch, dict):
        return patch
    result = dict(old) if isinstance(old, dict) else {}
    for key, value in patch.items():
        if key.startswith("$deleteFromPrimitiveList/"):
            field = key.partition("/")[2]
            result[field] = [item for item in result.get(field) or () if item not in value]
        elif value is None:
            result.pop(key, None)
        elif key == "conditions" and isinstance(value, list):
            named = {entry["type"]: entry for entry in result.get(key) or ()}
            named.update({entry["type"]: merge(named.get(entry["type"]), entry) for entry in value})
            result[key] = [entry for entry in named.values() if entry.get("$patch") != "delete"]
        else:
            result[key] = merge(result.get(key), value)
    return result


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    api: FakeApi

    def setup(self) -> None:
        super().setup()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.api.connections.add(self.connection)

    def finish(self) -> None:
        self.api.connections.discard(self.connection)
        with contextlib.suppress(OSError):
            super().finish()

    def log_message(self, *_: object) -> None:
        pass

    def handle_one_request(self) -> None:
        with contextlib.suppress(OSError):
            super().handle_one_request()
            return
        self.close_connection = True

    def do_GET(self) -> None:
        self.answer()

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET

    def answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        self.body = body = json.loads(self.rfile.read(length)) if length else {}
        parts = urllib.parse.urlsplit(self.path)
        self.api.requests.append((self.command, self.path))
        if any(hook(self, self.command, parts.path) for hook in list(self.api.hooks)):
            return
        if self.command == "GET" and parts.path in self.api.discovery:
            self.send(200, self.api.discovery[parts.path])
            return
        try:
            self.dispatch(parts.path, dict(urllib.parse.parse_qsl(parts.query)), body)
        except errors.APIStatusError as error:
            self.refuse(error)

    def refuse(self, error: errors.APIStatusError) -> None:
        self.send(error.status_code, error.status())

    def send(self, code: int, obj: dict, **headers: str) -> None:
        data = json.dumps(obj).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(data)

    def dispatch(self, path: str, query: dict[str, str], body: dict) -> None:
        steps = path.strip("/").split("/")
        version, steps = ("v1", steps[2:]) if steps[0] == "api" else ("/".join(steps[1:3]), steps[3:])
        namespace = ""
        if steps[0] == "namespaces" and len(steps) > 2 and steps[2] not in ("status", "finalize"):
            namespace, steps = steps[1], steps[2:]
        where = version, steps[0]
        name, sub = ([*steps, "", ""])[1:3]
        api = self.api
        if self.command == "GET" and name:
            self.send(200, api.find(where, namespace, name))
        elif self.command == "GET":
            (self.watch if query.get("watch") == "true" else self.list)(where, namespace, query)
        elif self.command == "POST" and sub == "binding":
            api.bind(where, namespace, name, body)
            self.send(201, {"kind": "Status", "status": "Success"})
        elif self.command == "POST":
            self.send(201, api.create(where, namespace, body))
        elif self.command == "PUT":
            self.send(200, api.update(where, namespace, name, sub, body))
        elif self.command == "PATCH":
            with api.lock:
                old = api.find(where, namespace, name)
                self.send(200, api.update(where, namespace, name, sub, merge(old, body)))
        elif name:
            self.send(200, api.delete(where, namespace, name, body))
        else:
            for obj in list(self.selected(where, namespace, query)):
                api.delete(where, obj["metadata"].get("namespace", ""), obj["metadata"]["name"], body)
            self.send(200, {"kind": "Status", "status": "Success"})

    def selected(self, where: tuple[str, str], namespace: str, query: dict[str, str]) -> Iterator[dict]:
        for (space, _), obj in list(self.api.collections[where].items()):
            if (not namespace or space == namespace) and matches(obj, query):
                yield obj

    def list(self, where: tuple[str, str], namespace: str, query: dict[str, str]) -> None:
        with self.api.lock:
            items = [
                {k: v for k, v in obj.items() if k not in ("apiVersion", "kind")}
                for obj in self.selected(where, namespace, query)
            ]
            kind = next((obj.get("kind") for obj in self.api.collections[where].values()), "Thing")
            listed = {
                "kind": f"{kind}List",
                "apiVersion": where[0],
                "metadata": {"resourceVersion": str(self.api.revision)},
                "items": items,
            }
        self.send(200, listed)

    def watch(self, where: tuple[str, str], namespace: str, query: dict[str, str]) -> None:
        api, position = self.api, int(query.get("resourceVersion") or 0)
        if position < api.oldest:
            raise errors.Expired("too old resource version")
        ends = time.monotonic() + float(query.get("timeoutSeconds") or 60)
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        while time.monotonic() < ends and self.connection in api.connections:
            with api.lock:
                fresh = [entry for entry in api.history if entry[0] > position]
                if not fresh:
                    api.lock.wait(0.05)
                    if self.gone():
                        break
                    continue
            position = fresh[-1][0]
            for _, collection, kind, obj in fresh:
                if collection == where and namespace in ("", obj["metadata"].get("namespace", "")):
                    self.event(kind if matches(obj, query) else "DELETED", obj)
        with contextlib.suppress(OSError):
            self.wfile.write(b"0\r\n\r\n")

    def gone(self) -> bool:
        try:
            return self.connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True

    def event(self, kind: str, obj: dict) -> None:
        data = json.dumps({"type": kind, "object": obj}).encode() + b"\n"
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))


def matches(obj: dict, query: dict[str, str]) -> bool:
    labels = obj["metadata"].get("labels") or {}
    for term in filter(None, query.get("labelSelector", "").split(",")):
        key, _, value = term.partition("=")
        if labels.get(key) != value.lstrip("="):
            return False
    for term in filter(None, query.get("fieldSelector", "").split(",")):
        path, _, value = term.partition("=")
        found: object = obj
        for step in path.rstrip("!").split("."):
            found = (found or {}).get(step, "") if isinstance(found, dict) else ""
        if (found == value.lstrip("=")) == path.endswith("!"):
            return False
    return True


def eventually(check: Callable[[], object], timeout: float = 60.0) -> object:
    """Waits until ``check`` returns something true, and returns that."""
    ends = time.monotonic() + timeout
    while True:
        found = check()
        if found:
            return found
        assert time.monotonic() < ends, "did not happen in time"
        time.sleep(0.005)


def node(name: str, **extra: object) -> dict:
    allocatable = {"cpu": "4", "memory": "8Gi", "pods": "110", "ephemeral-storage": "100Gi"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}},
        "spec": {},
        "status": {
            "allocatable": allocatable,
            "capacity": allocatable,
            "conditions": [{"type": "Ready", "status": "True"}],
        },
        **extra,
    }


def gvr_where(gvr: GroupVersionResource) -> tuple[str, str]:
    return gvr.group_version, gvr.resource

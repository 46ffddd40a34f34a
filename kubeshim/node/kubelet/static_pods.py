"""Static pods: manifests in a folder of the node, which its kubelet runs by itself.

A file makes one pod. Its UID is a hash of what it says, so that a changed file is another pod; its name ends in the
node's. The API shows each as a mirror pod, which the kubelet makes, keeps and deletes; deleting it by hand changes
nothing but that it is made again. Nothing a static pod needs may come from the API: such manifests are refused.

The folder is watched (inotify) and looked at every 20 s anyway.
"""

import contextlib
import ctypes
import hashlib
import json
import logging
import os
import select
import threading
from collections.abc import Callable, Mapping

from kubeshim.client import kinds
from kubeshim.machinery import errors, objects, resources
from kubeshim.machinery.objects import Object
from kubeshim.node.kubelet import pod_spec, seams

_log = logging.getLogger(__name__)

_SUFFIXES = (".yaml", ".yml", ".json")
_LARGEST = 10 << 20
_CHANGES = 0x00000002 | 0x00000008 | 0x00000040 | 0x00000080 | 0x00000100 | 0x00000200 | 0x00000400 | 0x00000800
_CLOEXEC = 0o2000000
_POD = resources.GroupVersionKind("", "v1", "Pod")


class BadManifest(ValueError):
    """A file that makes no pod; says why."""


def pod_of(text: bytes, path: str, node: str) -> Object:
    """The pod a file makes. Raises ``BadManifest``."""
    from kubeshim.machinery import defaults
    from kubeshim.machinery.codecs import yaml
    from kubeshim.machinery.validation import pods as rules

    try:
        pod, _ = yaml.decode(text, strict=False)
        if not isinstance(pod, dict) or pod.get("kind") != "Pod" or pod.get("apiVersion") != "v1":
            raise BadManifest("not a v1 Pod")
        if not pod_spec.containers(pod) or not objects.name(pod):
            raise BadManifest("metadata.name and spec.containers are needed")
        _complete(pod, path, node)
        defaults.apply(_POD, pod)
        problems = rules.pod(pod)
    except BadManifest:
        raise
    except (errors.APIStatusError, ValueError, TypeError, KeyError, AttributeError) as problem:
        raise BadManifest(f"{type(problem).__name__}: {problem}") from problem
    if problems:
        raise BadManifest("; ".join(str(problem) for problem in problems))
    needed = api_objects(pod)
    if needed:
        raise BadManifest(f"static pods may not reference {needed}")
    return pod


def _complete(pod: Object, path: str, node: str) -> None:
    said = json.dumps([pod, node, path], sort_keys=True).encode()
    digest = hashlib.md5(said, usedforsecurity=False).hexdigest()
    metadata = pod["metadata"]
    metadata["name"] = f"{metadata['name']}-{node.lower()}"
    metadata.setdefault("namespace", "default")
    metadata["uid"] = digest
    metadata["annotations"] = {
        **(metadata.get("annotations") or {}),
        pod_spec.STATIC_HASH: digest,
        pod_spec.STATIC_SOURCE: "file",
    }
    tolerations = [*(pod["spec"].get("tolerations") or ()), {"operator": "Exists", "effect": "NoExecute"}]
    pod["spec"] = {**pod["spec"], "nodeName": node, "tolerations": tolerations}


def api_objects(pod: Object) -> str:
    """The kind of API object a pod needs; empty for none."""
    spec = pod_spec.spec(pod)
    if spec.get("serviceAccountName") or spec.get("serviceAccount"):
        return "serviceaccounts"
    if spec.get("resourceClaims"):
        return "resourceclaims"
    for entry in spec.get("volumes") or ():
        for field, name in (("configMap", "configmaps"), ("secret", "secrets"),
                            ("persistentVolumeClaim", "persistentvolumeclaims"),
                            ("ephemeral", "persistentvolumeclaims")):  # fmt: skip
            if entry.get(field):
                return name
        for source in objects.dig(entry, "projected", "sources", default=()):
            kinds = [field for field in source if field != "downwardAPI"]
            if kinds:
                return f"projected {kinds[0]}"
    for container in pod_spec.every(pod):
        sources = [
            *(container.get("envFrom") or ()),
            *(each.get("valueFrom") or {} for each in container.get("env") or ()),
        ]
        for source in sources:
            if source.get("configMapRef") or source.get("configMapKeyRef"):
                return "configmaps"
            if source.get("secretRef") or source.get("secretKeyRef"):
                return "secrets"
    return ""


class Folder:
    """The pods of a folder, by ``namespace/name``; of files that make the same pod the first by name counts.

    A file that makes none any more may be half written: what it made before stays until it is gone or makes another.
    """

    def __init__(self, path: str, node: str) -> None:
        self._path = path
        self._node = node
        self._problems: dict[str, str] = {}
        self._made: dict[str, Object] = {}
        """By path."""

    def read(self) -> dict[str, Object]:
        made: dict[str, Object] = {}
        problems: dict[str, str] = {}
        for name in self._names():
            path = os.path.join(self._path, name)
            try:
                with open(path, "rb") as file:
                    made[path] = pod_of(file.read(_LARGEST), path, self._node)
            except FileNotFoundError:
                continue
            except (OSError, BadManifest) as problem:
                problems[path] = str(problem)
                if path in self._made:
                    made[path] = self._made[path]
        for path, words in problems.items():
            if self._problems.get(path) != words:
                _log.warning("static pod %s: %s", path, words)
        self._problems, self._made = problems, made
        return {objects.key(pod): pod for pod in reversed(made.values())}

    def _names(self) -> list[str]:
        try:
            names = os.listdir(self._path)
        except FileNotFoundError:
            return []
        return sorted(name for name in names if name.endswith(_SUFFIXES) and not name.startswith("."))


class Watch:
    """Waits for changes of a folder. ``wake`` may be called from any thread."""

    def __init__(self, path: str) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._events = libc.inotify_init1(_CLOEXEC | os.O_NONBLOCK)
        if self._events >= 0:
            libc.inotify_add_watch(self._events, path.encode(), _CHANGES)
        self._woken, self._waker = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._lock = threading.Lock()
        self._closed = False

    def wait(self, seconds: float) -> None:
        """Until something changes, ``wake`` is called, or time is over. For the thread that closes it."""
        poll = select.poll()
        for descriptor in (self._events, self._woken):
            if descriptor >= 0:
                poll.register(descriptor, select.POLLIN)
        for descriptor, _ in poll.poll(seconds * 1000):
            with contextlib.suppress(BlockingIOError):
                os.read(descriptor, 65536)

    def wake(self) -> None:
        with self._lock:
            if not self._closed:  # else its number may be somebody else's
                with contextlib.suppress(BlockingIOError):
                    os.write(self._waker, b"x")

    def close(self) -> None:
        with self._lock:
            self._closed = True
            for descriptor in (self._events, self._woken, self._waker):
                if descriptor >= 0:
                    os.close(descriptor)


def difference(old: Mapping[str, Object], new: Mapping[str, Object]) -> tuple[list[Object], list[Object]]:
    """Pods to end and pods to begin. A changed one is both."""
    ended = [pod for key, pod in old.items() if key not in new or objects.uid(new[key]) != objects.uid(pod)]
    begun = [pod for key, pod in new.items() if key not in old or objects.uid(old[key]) != objects.uid(pod)]
    return ended, begun


# --- mirrors


def mirror_of(pod: Object, node: Object | None) -> Object:
    """What the API is to show of a static pod."""
    metadata = {key: value for key, value in pod["metadata"].items() if key != "uid"}
    metadata["annotations"] = {**objects.annotations(pod), pod_spec.MIRROR: objects.uid(pod)}
    if node is not None:
        owner = {"apiVersion": "v1", "kind": "Node", "name": objects.name(node), "uid": objects.uid(node)}
        metadata["ownerReferences"] = [{**owner, "controller": True}]
    return {**pod, "metadata": metadata}


def mirrors(mirror: Object, pod: Object | None) -> bool:
    return pod is not None and objects.annotations(mirror).get(pod_spec.MIRROR) == objects.uid(pod)


class Mirrors:
    """Keeps the API's mirror pods as they should be. ``static`` gives the static pod of a key."""

    def __init__(
        self, api: seams.Api, static: Callable[[str], Object | None], node: Callable[[], Object | None]
    ) -> None:
        self._api = api
        self._static = static
        self._node = node

    def put_right(self, key: str, mirror: Object | None) -> None:
        """``mirror`` is the API's pod of that name, if any. Raises API errors."""
        pod = self._static(key)
        if mirror is not None and (objects.is_deleting(mirror) or not mirrors(mirror, pod)):
            self._delete(mirror)
            mirror = None
        if mirror is None and pod is not None:
            with contextlib.suppress(errors.AlreadyExists):
                self._api.create(kinds.PODS, mirror_of(pod, self._node()), objects.namespace(pod))

    def _delete(self, mirror: Object) -> None:
        options = {"gracePeriodSeconds": 0, "preconditions": {"uid": objects.uid(mirror)}}
        with contextlib.suppress(errors.NotFound, errors.Conflict):
            self._api.delete(kinds.PODS, objects.name(mirror), objects.namespace(mirror), options=options)

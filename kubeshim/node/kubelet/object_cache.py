"""The ConfigMaps, Secrets, claims and volumes that this node's pods name, each watched while some pod needs it.

A node may only read objects its own pods refer to, by name, so there is an informer for each; it ends when the last
pod that needs it goes. What an informer has not brought yet is asked for directly.
"""

import threading
from collections.abc import Callable, Iterable

from kubeshim.client import informer, kinds, rest
from kubeshim.machinery import errors, objects
from kubeshim.machinery.objects import Object

_TYPES = {
    "ConfigMap": kinds.CONFIG_MAPS,
    "Secret": kinds.SECRETS,
    "PersistentVolumeClaim": kinds.PERSISTENT_VOLUME_CLAIMS,
    "PersistentVolume": kinds.PERSISTENT_VOLUMES,
    "ClusterTrustBundle": kinds.CLUSTER_TRUST_BUNDLES,
}
WATCHED = ("ConfigMap", "Secret", "ClusterTrustBundle")
EVERY = "*"
"""In place of a name: all there are of a kind without namespaces."""

_ASKED = "asked"

Key = tuple[str, str, str]
"""``(kind, namespace, name)``."""


class ObjectCache:
    """``on_change`` is called, in an informer's thread, with the key of what changed. Safe from any thread."""

    def __init__(self, client: rest.Client, on_change: Callable[[Key], None]) -> None:
        self._client = client
        self._on_change = on_change
        self._lock = threading.Lock()
        self._informers: dict[Key, informer.Informer] = {}
        self._needs: dict[str, set[Key]] = {}
        """By pod UID."""
        self._read: dict[Key, str] = {}
        """resourceVersions given out before the informer had them; ``_ASKED`` while the answer is on its way."""

    def need(self, uid: str, keys: Iterable[Key]) -> None:
        """Says all that a pod refers to; starts and ends watches accordingly."""
        wanted = {key for key in keys if key[0] in WATCHED}
        with self._lock:
            before = self._needs.get(uid, set())
            if wanted == before:
                return
            if wanted:
                self._needs[uid] = wanted
            else:
                self._needs.pop(uid, None)
            for key in wanted - before:
                if key not in self._informers:
                    self._informers[key] = self._start(key)
            still = set().union(*self._needs.values()) if self._needs else set()
            ended = [self._informers.pop(key) for key in before - wanted if key not in still]
            for key in before - wanted:
                if key not in self._informers:
                    self._read.pop(key, None)
        for each in ended:
            each.stop()

    def pods_of(self, key: Key) -> list[str]:
        with self._lock:
            return [uid for uid, keys in self._needs.items() if key in keys]

    def get(self, kind: str, namespace: str, name: str) -> Object | None:
        """None where there is no such object. Raises ``errors.APIStatusError``, ``OSError``."""
        if not name:
            return None
        key = kind, namespace, name
        with self._lock:
            known = self._informers.get(key)
        if known is not None and known.synced:
            found = known.get(f"{namespace}/{name}" if namespace else name)
            if found is not None:
                return found
        # What the informer brings meanwhile is news: the answer may be older.
        self._read.setdefault(key, _ASKED)
        try:
            obj = self._client.get(_TYPES[kind], name, namespace)
        except errors.NotFound:
            obj = None
        self._read[key] = objects.resource_version(obj) if obj is not None else ""
        return obj

    def every(self, kind: str) -> list[Object]:
        """All of a kind without namespaces. Raises ``errors.APIStatusError``, ``OSError``."""
        with self._lock:
            known = self._informers.get((kind, "", EVERY))
        if known is not None and known.synced:
            return known.list()
        self._read[kind, "", EVERY] = _ASKED
        items: list[Object] = self._client.list(_TYPES[kind])["items"]
        return items

    def close(self) -> None:
        with self._lock:
            ended, self._informers = list(self._informers.values()), {}
        for each in ended:
            each.stop()

    def _start(self, key: Key) -> informer.Informer:
        kind, namespace, name = key
        field = "" if name == EVERY else f"metadata.name={name}"
        made = informer.Informer(self._client, _TYPES[kind], namespace=namespace, field_selector=field)

        def tell(*_: Object) -> None:
            self._on_change(key)

        def appeared(obj: Object) -> None:
            # The first list brings what has mostly been read already: no reason to sync every pod once more.
            if made.synced or self._read.get(key, objects.resource_version(obj)) != objects.resource_version(obj):
                self._on_change(key)

        made.add_handler(added=appeared, updated=tell, deleted=tell)
        made.start()
        return made


def references_of(pod: Object) -> list[Key]:
    """All ConfigMaps and Secrets that a pod names in its containers, volumes and pull secrets."""
    namespace = objects.namespace(pod)
    spec = pod.get("spec") or {}
    found = [("Secret", entry.get("name") or "") for entry in spec.get("imagePullSecrets") or ()]
    for field in ("initContainers", "containers", "ephemeralContainers"):
        for container in spec.get(field) or ():
            found += _of_container(container)
    for entry in spec.get("volumes") or ():
        found += _of_volume(entry)
    return [(kind, "" if name == EVERY else namespace, name) for kind, name in dict.fromkeys(found) if name]


def _of_container(container: Object) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for source in container.get("envFrom") or ():
        found.append(("ConfigMap", objects.dig(source, "configMapRef", "name", default="")))
        found.append(("Secret", objects.dig(source, "secretRef", "name", default="")))
    for entry in container.get("env") or ():
        found.append(("ConfigMap", objects.dig(entry, "valueFrom", "configMapKeyRef", "name", default="")))
        found.append(("Secret", objects.dig(entry, "valueFrom", "secretKeyRef", "name", default="")))
    return found


def _of_volume(entry: Object) -> list[tuple[str, str]]:
    found = [
        ("ConfigMap", objects.dig(entry, "configMap", "name", default="")),
        ("Secret", objects.dig(entry, "secret", "secretName", default="")),
    ]
    for source in objects.dig(entry, "projected", "sources", default=()):
        found.append(("ConfigMap", objects.dig(source, "configMap", "name", default="")))
        found.append(("Secret", objects.dig(source, "secret", "name", default="")))
        found.append(("ClusterTrustBundle", EVERY if source.get("clusterTrustBundle") else ""))
    return found

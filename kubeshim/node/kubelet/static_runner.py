"""Static pods at work: the folder's pods get workers, the API its mirrors, statuses the way from one to the other.

The pods begin once the node has its range of addresses. From then on the API server may be away: mirrors wait.
"""

import functools
import logging
import os
import threading
from collections.abc import Callable

from kubeshim.client import informer
from kubeshim.machinery import errors, objects
from kubeshim.machinery.objects import Object
from kubeshim.node.kubelet import config, parts, pod_spec, pod_worker, seams, static_pods

_log = logging.getLogger(__name__)


class StaticPods:
    """Of one node. ``attach`` comes first, ``start`` once pods may run; the rest from any thread."""

    def __init__(
        self,
        settings: config.KubeletConfig,
        api: seams.Api,
        pods: informer.Informer,
        node: Callable[[], Object | None],
        stopping: threading.Event,
    ) -> None:
        """``pods`` are the API's, mirrors among them."""
        self._settings = settings
        self._pods = pods
        self._stopping = stopping
        self._pods_by_key: dict[str, Object] = {}
        self._mirrors = static_pods.Mirrors(api, self._pods_by_key.get, node)
        self._watch: static_pods.Watch | None = None
        self._parts: parts.Parts
        self._workers: pod_worker.Workers

    def attach(self, shared: parts.Parts, workers: pod_worker.Workers) -> None:
        self._parts, self._workers = shared, workers

    def start(self) -> None:
        path = self._settings.static_pod_path
        if not path:
            return
        os.makedirs(path, 0o755, exist_ok=True)
        self._watch = watch = static_pods.Watch(path)
        folder = static_pods.Folder(path, self._settings.node_name)
        # Before anything is swept: what these pods have left running is theirs.
        self._read(folder)
        thread = threading.Thread(target=self._follow, args=(folder, watch), name="kubelet-static", daemon=True)
        thread.start()

    def stop(self) -> None:
        if self._watch is not None:
            self._watch.wake()

    def _follow(self, folder: static_pods.Folder, watch: static_pods.Watch) -> None:
        self._pods.wait_for_sync()
        while not self._stopping.is_set():
            self._read(folder)
            watch.wait(self._settings.file_check_frequency)
        watch.close()

    def _read(self, folder: static_pods.Folder) -> None:
        """Mirrors that are missing are made again in passing."""
        before, found = dict(self._pods_by_key), folder.read()
        ended, begun = static_pods.difference(before, found)
        for key in before.keys() - found.keys():
            self._pods_by_key.pop(key, None)
        self._pods_by_key.update(found)
        for pod in ended:
            self._workers.remove(pod)
        for pod in begun:
            # a changed pod waits for the end of what it was before: both may want the same port
            self._workers.when_gone(objects.key(pod), functools.partial(self._begin, pod))
        for key in before.keys() | found.keys():
            self.put_right(key)

    def _begin(self, pod: Object) -> None:
        if objects.uid(self._pods_by_key.get(objects.key(pod)) or {}) == objects.uid(pod):
            self._workers.update(pod)

    def on_mirror(self, mirror: Object) -> None:
        """The API has this mirror pod, or one that claims to be."""
        key = objects.key(mirror)
        pod = self._pods_by_key.get(key)
        if pod is None or objects.is_deleting(mirror) or not static_pods.mirrors(mirror, pod):
            self.put_right(key)
            return
        self._parts.statuses.observe(mirror, objects.uid(pod))
        self._workers.poke(objects.uid(pod))

    def put_right(self, key: str) -> None:
        """Makes or deletes the mirror of that key, soon."""

        def work() -> None:
            try:
                self._mirrors.put_right(key, self._pods.get(key))
            except (errors.APIStatusError, OSError) as error:
                _log.info("mirror pod %s: %s", key, error)  # the next look at the folder tries again

        if self._pods.synced:
            self._parts.pool.submit(work)

    def shown_as(self, pod: Object) -> Object | None:
        """The API's pod for one of ours; None while a static pod has no mirror."""
        if not pod_spec.is_static(pod):
            return pod
        mirror = self._pods.get(objects.key(pod))
        return mirror if mirror is not None and static_pods.mirrors(mirror, pod) else None

    def own_uid(self, pod: Object) -> str:
        """The UID that containers carry: a mirror pod's are its static pod's."""
        static = self._pods_by_key.get(objects.key(pod))
        return objects.uid(static) if static is not None and static_pods.mirrors(pod, static) else objects.uid(pod)

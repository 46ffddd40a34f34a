"""Ends a node's pods in good order before its machine goes down; what order that is, ``shutdown`` decides.

From ``begin`` on the node is not ready and takes no pods, until the next kubelet starts. How far it has come stands
in a file of upstream's name, which whoever waits to cut the power reads.
"""

import json
import logging
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence

from kubeshim import clock
from kubeshim.machinery import objects
from kubeshim.machinery.objects import Object
from kubeshim.node.kubelet import config, parts, shutdown
from kubeshim.wire import exposition

_log = logging.getLogger(__name__)

STATE_FILE = "graceful_node_shutdown_state"
_LOOK = 0.1


def groups(settings: config.KubeletConfig) -> list[shutdown.Group]:
    """Raises ``ValueError`` for options that make no sense."""
    return shutdown.groups(
        settings.shutdown_grace_period,
        settings.shutdown_grace_period_critical_pods,
        settings.shutdown_grace_period_by_pod_priority,
    )


def state(data_dir: str) -> Mapping[str, str]:
    """``startTime`` and ``endTime`` (RFC 3339) of the last shutdown, as far as it came."""
    try:
        with open(os.path.join(data_dir, STATE_FILE)) as file:
            found: Mapping[str, str] = json.load(file)
            return found
    except FileNotFoundError:
        return {}


class ShutdownManager:
    """Of one node. ``end`` is told UID and grace of a pod that must go, ``ended`` says whether all of it has."""

    def __init__(
        self,
        shared: parts.Parts,
        pods: Callable[[], Sequence[Object]],
        end: Callable[[str, float], None],
        ended: Callable[[str], bool],
        changed: Callable[[], None],
    ) -> None:
        self._parts, self._pods, self._end, self._ended, self._changed = shared, pods, end, ended, changed
        self._groups = groups(shared.config)
        self._lock = threading.Lock()
        self.active = False

    def begin(self) -> None:
        """Returns at once. Without configured periods there is nothing to do; once begun, it goes on."""
        with self._lock:
            if self.active or not self._groups:
                return
            self.active = True
        threading.Thread(target=self._run, name="kubelet-shutdown", daemon=True).start()

    def metrics(self) -> str:
        """In the text format of Prometheus."""
        found = state(self._parts.config.data_dir)
        text = ""
        for name, field in (("start", "startTime"), ("end", "endTime")):
            at = clock.parse_rfc3339(found[field]).timestamp() if field in found else 0.0
            about = f"Last graceful shutdown {name} time since unix epoch in seconds"
            full = f"kubelet_graceful_shutdown_{name}_time_seconds"
            text += exposition.text(exposition.gauge(full, about, int(at)))
        return text

    def _run(self) -> None:
        node = self._parts.node()
        if node is not None:
            self._parts.recorder.event(node, "Normal", *shutdown.EVENT)
        self._changed()
        written = {"startTime": clock.rfc3339(self._parts.clock.now())}
        self._write(written)
        for group, pods in shutdown.order(self._groups, self._pods()):
            self._end_all(group, pods)
        self._write({**written, "endTime": clock.rfc3339(self._parts.clock.now())})

    def _end_all(self, group: shutdown.Group, pods: Sequence[Object]) -> None:
        """All of a group together. What has not ended when its time is up does not hold up the next."""
        uids = [objects.uid(pod) for pod in pods]
        for pod, uid in zip(pods, uids, strict=True):
            self._end(uid, shutdown.grace(pod, group))
        deadline = time.monotonic() + group.seconds
        while not all(self._ended(uid) for uid in uids):
            if time.monotonic() > deadline:
                _log.warning("shutdown: pods of priority %d did not end in %d s", group.priority, group.seconds)
                return
            time.sleep(_LOOK)

    def _write(self, found: Mapping[str, str]) -> None:
        path = os.path.join(self._parts.config.data_dir, STATE_FILE)
        with open(f"{path}.new", "w") as file:
            json.dump(found, file)
        os.replace(f"{path}.new", path)

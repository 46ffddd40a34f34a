"""Keeping the node known to the API: its Node object, its status, its Lease.

The lease is the heartbeat: renewed every ten seconds, small, and all that node lifecycle needs to see. The status is
written when it changes and every five minutes. Both go on whatever the pods do, in a thread of their own.
"""

import dataclasses
import logging
import threading
import time
from collections.abc import Callable

from kubeshim import clock
from kubeshim.client import kinds
from kubeshim.machinery import errors, objects
from kubeshim.machinery.objects import Object
from kubeshim.node.container_runtime import runtime
from kubeshim.node.kubelet import config, machine, node_status, seams

_log = logging.getLogger(__name__)

_LEASES = "kube-node-lease"
_RETRY = 0.5
_RETRY_LATEST = 7.0


def say_down(api: seams.Api, node: str, problem: str, now: str) -> None:
    """Makes a node NotReady whose kubelet has nothing left to work with. Raises API errors."""
    ready = node_status.not_ready(f"container runtime is down: {problem}")
    condition = {**ready, "lastHeartbeatTime": now, "lastTransitionTime": now}
    api.patch(kinds.NODES, node, {"status": {"conditions": [condition]}}, kind="strategic", subresource="status")


class Registration:
    """One node's. ``health`` is asked before each status; ``on_node`` gets the Node as the API answered it."""

    def __init__(
        self,
        settings: config.KubeletConfig,
        api: seams.Api,
        engine: runtime.Runtime,
        time_source: clock.Clock,
        health: Callable[[], node_status.Health],
        on_node: Callable[[Object], None],
        pod_cidr: str = "",
    ) -> None:
        self._settings = settings
        self._api = api
        self._engine = engine
        self._clock = time_source
        self._health = health
        self._on_node = on_node
        self._pod_cidr = pod_cidr
        self._machine = machine.read()
        self._wake = threading.Event()
        self._stopped = False
        self._threads: list[threading.Thread] = []
        self._written_at = 0.0
        self._node: Object | None = None
        self._images: list[runtime.Image] = []
        """As the engine listed them last."""
        self._lease: Object | None = None

    @property
    def facts(self) -> machine.Machine:
        return self._machine

    def register(self) -> Object:
        """Creates the Node, or puts right what is wrong with the one that is there. Raises API errors."""
        status = node_status.status(self._settings, self._facts(), {})
        node = (self._created(status) if self._settings.register_node else None) or self._taken_over()
        self._node = node
        self._on_node(node)
        return node

    def _created(self, status: Object) -> Object | None:
        """None where it is there already."""
        wanted = node_status.new_node(self._settings, self._machine, status, self._pod_cidr)
        try:
            node = self._api.create(kinds.NODES, wanted)
        except errors.AlreadyExists:
            return None
        self._written_at = time.monotonic()
        return node

    def _taken_over(self) -> Object:
        node = self._api.get(kinds.NODES, self._settings.node_name)
        # Its network first: a node that was Ready must not be seen otherwise because its kubelet began anew.
        self._on_node(node)
        lacking = {
            "labels": node_status.missing_labels(node, self._settings, self._machine),
            "annotations": node_status.missing_annotations(node, self._settings),
        }
        if any(lacking.values()):
            node = self._api.patch(kinds.NODES, self._settings.node_name, {"metadata": lacking})
        return self._write_status(node) or node

    def start(self) -> None:
        for name, run in (("kubelet-node", self._run_status), ("kubelet-lease", self._run_lease)):
            thread = threading.Thread(target=run, name=name, daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        self._stopped = True
        self._wake.set()

    def observe(self, node: Object) -> None:
        """The API's copy as the informer has it."""
        self._node = node
        if node_status.has_news(node):
            self.wake()

    def wake(self) -> None:
        """Something that shows in the status has changed: look now."""
        self._wake.set()

    def _facts(self) -> node_status.Facts:
        health = self._health()
        info: runtime.Info | None = None
        try:
            info = self._engine.info()
            self._images = self._engine.images()
        except runtime.Unavailable as failure:
            health = dataclasses.replace(health, runtime_problem=health.runtime_problem or str(failure))
        except runtime.RuntimeFailure as failure:  # an engine may stumble over an image that goes meanwhile
            _log.info("images of node %s: %s", self._settings.node_name, failure)
        load = machine.load(self._settings.data_dir)
        return node_status.Facts(self._machine, load, info, self._images, health, clock.rfc3339(self._clock.now()))

    def _run_status(self) -> None:
        usual, retry = self._settings.status_update_frequency, _RETRY
        wait = usual
        while not self._stopped:
            self._wake.wait(wait)
            self._wake.clear()
            if self._stopped:
                return
            wait = usual
            try:
                node = self._node or self._api.get(kinds.NODES, self._settings.node_name)
                written = self._write_status(node)
                retry = _RETRY
                if written is not None:
                    self._on_node(written)
            except errors.NotFound:
                self._again()
            except (errors.APIStatusError, OSError) as error:
                _log.info("node status: %s", error)
                wait, retry = min(retry, usual), min(retry * 2, _RETRY_LATEST)

    def _again(self) -> None:
        """Somebody deleted the Node while this kubelet runs: it comes back."""
        try:
            self.register()
        except (errors.APIStatusError, OSError) as error:
            _log.info("registering node %s: %s", self._settings.node_name, error)

    def _write_status(self, node: Object) -> Object | None:
        """None where there was nothing to write."""
        old = node.get("status") or {}
        new = node_status.status(self._settings, self._facts(), old)
        recent = time.monotonic() - self._written_at < self._settings.status_report_frequency
        if node_status.unchanged(old, new) and recent and self._written_at:
            return None
        body = {"status": node_status.patch(old, new)}
        name = self._settings.node_name
        written = self._api.patch(kinds.NODES, name, body, kind="strategic", subresource="status")
        self._written_at = time.monotonic()
        self._node = written
        return written

    def _run_lease(self) -> None:
        delay = _RETRY
        while not self._stopped:
            try:
                self._renew()
                wait, delay = self._settings.lease_duration / 4, _RETRY
            except (errors.APIStatusError, OSError) as error:
                _log.info("node lease: %s", error)
                wait, delay = delay, min(delay * 2, _RETRY_LATEST)
            end = time.monotonic() + wait
            while not self._stopped and (left := end - time.monotonic()) > 0:
                time.sleep(min(left, 1.0))

    def _renew(self) -> None:
        now = clock.rfc3339_micro(self._clock.now())
        lease, self._lease = self._lease, None
        if lease is None:
            try:
                lease = self._api.get(kinds.LEASES, self._settings.node_name, _LEASES)
            except errors.NotFound:
                self._lease = self._api.create(kinds.LEASES, self._new_lease(now), _LEASES)
                return
        spec = {**lease["spec"], "renewTime": now, "holderIdentity": self._settings.node_name}
        self._lease = self._api.update(kinds.LEASES, {**lease, "spec": spec})

    def _new_lease(self, now: str) -> Object:
        metadata: Object = {"name": self._settings.node_name, "namespace": _LEASES}
        if self._node is not None:
            owner = {
                "apiVersion": "v1",
                "kind": "Node",
                "name": objects.name(self._node),
                "uid": objects.uid(self._node),
            }
            metadata["ownerReferences"] = [owner]
        spec = {
            "holderIdentity": self._settings.node_name,
            "leaseDurationSeconds": self._settings.lease_duration,
            "renewTime": now,
        }
        return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec}

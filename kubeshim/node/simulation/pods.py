"""Follows the pods of simulated nodes and writes what becomes of them."""

import logging
import threading
import time
from collections.abc import Callable

from kubeshim.client import informer, kinds, rest, workqueue
from kubeshim.machinery import errors, objects
from kubeshim.machinery.objects import Object
from kubeshim.node.kubelet import network_addresses, pod_spec, status_manager
from kubeshim.node.simulation import life, rules

_log = logging.getLogger(__name__)

_WORKERS = 4
_BEHIND = 0.05
"""Seconds until a pod is looked at again whose cached state was out of date."""


class Pods:
    """``range_of`` gives a node's range of addresses: empty for a node that is not ours, None before it is known."""

    def __init__(self, client: rest.Client, range_of: Callable[[str], str | None], host_ip: str) -> None:
        self._client, self._range_of, self._host_ip = client, range_of, host_ip
        self._pods = informer.Informer(client, kinds.PODS, field_selector="spec.nodeName!=")
        self._queue: workqueue.RateLimitingQueue[str] = workqueue.RateLimitingQueue(max_delay=10.0, rate=200.0)
        self._pools: dict[str, network_addresses.AddressPool] = {}
        self._lock = threading.Lock()

    def start(self) -> None:
        self._pods.add_handler(added=self._seen, updated=lambda _, new: self._seen(new), deleted=self._gone)
        self._pods.start()
        for number in range(_WORKERS):
            threading.Thread(target=self._run, name=f"simulation-{number}", daemon=True).start()

    def stop(self) -> None:
        self._queue.shut_down()
        self._pods.stop()

    def _seen(self, pod: Object) -> None:
        if self._range_of(pod["spec"].get("nodeName", "")) == "":
            return
        self._queue.add(objects.key(pod))

    def _gone(self, pod: Object) -> None:
        pool = self._pools.get(pod["spec"].get("nodeName", ""))
        if pool is not None:
            pool.release(objects.uid(pod))

    def _pool(self, node: str) -> network_addresses.AddressPool | None:
        """The node's, with the addresses that its pods have already."""
        cidr = self._range_of(node)
        if not cidr:
            return None
        with self._lock:
            pool = self._pools.get(node)
            if pool is None:
                pool = self._pools[node] = network_addresses.AddressPool(cidr)
                for pod in self._pods.list():
                    ip = objects.dig(pod, "status", "podIP")
                    if pod["spec"].get("nodeName") == node and ip and not pod_spec.host_network(pod):
                        pool.adopt(objects.uid(pod), ip)
        return pool

    def _run(self) -> None:
        self._pods.wait_for_sync()
        self._queue.serve(self._handle)

    def _handle(self, key: str) -> None:
        try:
            again = self._sync(key)
        except errors.Conflict:
            self._queue.add_after(key, _BEHIND)
            return
        except errors.NotFound:
            again = None
        except (errors.APIStatusError, OSError) as error:
            _log.info("%s, will be tried again: %s", key, error)
            self._queue.add_rate_limited(key)
            return
        except Exception:
            _log.exception("%s failed, will be tried again", key)
            self._queue.add_rate_limited(key)
            return
        self._queue.forget(key)
        if again is not None:
            self._queue.add_after(key, max(again, 0.01))

    def _sync(self, key: str) -> float | None:
        pod = self._pods.get(key)
        if pod is None:
            return None
        pool = self._pool(pod["spec"]["nodeName"])
        if pool is None:
            return 1.0
        try:
            own = "" if pod_spec.is_terminal(pod) or pod_spec.host_network(pod) else pool.take(objects.uid(pod))
        except network_addresses.Exhausted as problem:
            _log.warning("%s: %s", key, problem)
            return 5.0
        if own and objects.uid(self._pods.get(key) or {"metadata": {}}) != objects.uid(pod):
            pool.release(objects.uid(pod))  # it went while it was looked at: nobody gives back what it has just got
            return None
        step = life.advance(pod, rules.of(pod), time.time(), self._host_ip, own)
        patch = status_manager.difference(pod.get("status") or {}, step.status)
        name, namespace = objects.name(pod), objects.namespace(pod)
        if patch:
            body = {
                "metadata": {"uid": objects.uid(pod), "resourceVersion": objects.resource_version(pod)},
                "status": patch,
            }
            self._client.patch(kinds.PODS, name, body, namespace, kind="strategic", subresource="status")
        if pod_spec.is_terminal({"status": step.status}):
            pool.release(objects.uid(pod))
        if step.remove:
            options = {"gracePeriodSeconds": 0, "preconditions": {"uid": objects.uid(pod)}}
            self._client.delete(kinds.PODS, name, namespace, options=options)
        return step.again

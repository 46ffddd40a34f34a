"""kube-proxy: watches Services and EndpointSlices and keeps the node's kernel in step.

Informers mark a Service's key; one thread takes all marked keys at once, works out their frontends and has the
backend write the difference as one transaction, within milliseconds of the event. In a cluster of two address
families each has a table of its own, and so a backend. Nothing is written before both
caches are filled, so what an earlier process left in the kernel keeps serving until it is replaced in one go.

A write that fails is followed by a whole rewrite, with growing pauses. Every ``resync`` seconds the thread looks
whether the rules still stand and writes them again where they do not.
"""

import dataclasses
import logging
import threading
import time
from collections.abc import Callable
from typing import Protocol

from kubeshim import clock
from kubeshim.client import informer, kinds, rest
from kubeshim.machinery import objects
from kubeshim.machinery.objects import Object
from kubeshim.node import nftables
from kubeshim.node.kube_proxy import conntrack, families, health, iptables, listeners, nft, ruleset, services
from kubeshim.wire import exposition, process_metrics

log = logging.getLogger(__name__)

SERVICE_NAME_LABEL = "kubernetes.io/service-name"
ZONE_LABEL = "topology.kubernetes.io/zone"
_RETRY_FIRST, _RETRY_LAST = 0.1, 30.0
_DURATIONS = tuple(0.001 * 2**power for power in range(15))


@dataclasses.dataclass(frozen=True, slots=True)
class ProxyConfig:
    node_addresses: tuple[str, ...]
    """Where NodePorts answer."""
    cluster_cidr: str
    """The range of pods; in a dual-stack cluster one of each family, with a comma between."""
    service_cidrs: tuple[str, ...]
    mode: str = "auto"
    """``nftables``, ``iptables``, or ``auto``: nftables where the machine has it."""
    resync: float = 30.0
    masquerade_all: bool = False
    listen: bool = True
    """Whether it answers on its own ports of the node."""


class Backend(Protocol):
    """A firewall language. One thread owns it."""

    def replace(self, owner: str, frontends: list[services.Frontend]) -> None: ...

    def sync(self, *, whole: bool) -> bool: ...

    def lingers(self) -> bool:
        """Whether it waits for another ``sync`` ``ruleset.LINGER`` seconds later."""

    def stands(self) -> bool: ...

    def close(self) -> None: ...

    def remove(self) -> None: ...


def families_of(config: ProxyConfig, name: str, zone: str = "") -> list[services.Node]:
    """The node as the rules of each family see it (pure)."""
    return [
        services.Node(
            name,
            tuple(families.of_range(cidr).of(config.node_addresses)),
            cidr,
            tuple(families.of_range(cidr).of(config.service_cidrs)),
            zone=zone,
            masquerade_all=config.masquerade_all,
        )
        for cidr in config.cluster_cidr.split(",")
    ]


class _Side:
    """One address family: what its Services lead to, and what writes that. One thread owns it."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self._frontends: dict[str, list[services.Frontend]] = {}

    def replace(self, key: str, frontends: list[services.Frontend]) -> list[services.Frontend]:
        """Returns those before."""
        self.backend.replace(key, frontends)
        before = self._frontends.pop(key, [])
        if frontends:
            self._frontends[key] = frontends
        return before


class Proxy:
    """The proxy of one node. ``run_in_node`` enters the node's network namespace."""

    def __init__(
        self, client: rest.Client, run_in_node: nftables.RunInNode, node_name: str, config: ProxyConfig
    ) -> None:
        self._run_in_node = run_in_node
        self._config = config
        self._places = families_of(config, node_name)
        self._services = informer.Informer(client, kinds.SERVICES)
        self._slices = informer.Informer(client, kinds.ENDPOINT_SLICES)
        self._nodes = informer.Informer(client, kinds.NODES, field_selector=f"metadata.name={node_name}")
        self._slices.add_index("service", _service_keys)
        self._health = health.HealthPorts(run_in_node, self.healthy, dual=len(self._places) > 1)
        self._dirty: set[str] = set()
        self._wake = threading.Condition()
        self._stopping = False
        self._synced = threading.Event()
        self._flows: conntrack.Wanted = {}
        """Flows to look through, as far as that is still to be done."""
        self._flows_delay = 0.0
        self._last_sync = 0.0
        self._counters = {"syncs": 0, "failures": 0, "forgotten_flows": 0}
        self._synced_at = 0.0
        self._durations = exposition.Histogram(
            "kubeproxy_sync_proxy_rules_duration_seconds", "SyncProxyRules latency in seconds", _DURATIONS
        )
        self._updated = clock.rfc3339(clock.SYSTEM.now())
        self._thread: threading.Thread | None = None
        self._listeners = listeners.Listeners(
            run_in_node,
            healthy=self.healthy,
            node=lambda: self._nodes.get(node_name),
            updated=lambda: self._updated,
            metrics=self.metrics,
            mode=lambda: mode(config.mode),
            dual=len(self._places) > 1,
        )

    def start(self) -> None:
        for source, mark in ((self._services, self._mark_service), (self._slices, self._mark_slice)):
            source.add_handler(added=mark, updated=_both(mark), deleted=mark)
        self._nodes.add_handler(added=self._see_node, updated=lambda _, new: self._see_node(new))
        for source in (self._services, self._slices, self._nodes):
            source.start()
        self._thread = threading.Thread(target=self._run, name="kube-proxy", daemon=True)
        self._thread.start()
        if self._config.listen:
            self._listeners.start()

    def stop(self) -> None:
        """Stops watching and writing. The rules stay and go on serving."""
        self._listeners.stop()
        with self._wake:
            self._stopping = True
            self._wake.notify_all()
        for source in (self._services, self._slices, self._nodes):
            source.stop()
        if self._thread is not None:
            self._thread.join()

    def wait_for_sync(self, timeout: float) -> bool:
        """Whether the kernel has everything, within ``timeout`` seconds."""
        return self._synced.wait(timeout)

    def healthy(self) -> bool:
        """Whether nothing that was noticed waits to be written for more than two resyncs."""
        with self._wake:
            waiting = bool(self._dirty)
        return self._synced.is_set() and (not waiting or time.monotonic() - self._last_sync < 2 * self._config.resync)

    def metrics(self) -> str:
        """Prometheus text."""
        told = self._counters
        return exposition.text(
            exposition.counter("kubeproxy_sync_proxy_rules_total", "Times rules were written.", told["syncs"]),
            exposition.counter("kubeproxy_sync_proxy_rules_failures_total", "Times that failed.", told["failures"]),
            exposition.counter(
                "kubeproxy_conntrack_reconciler_deleted_entries_total",
                "Cumulative conntrack flows deleted by conntrack reconciler", told["forgotten_flows"],
            ),
            self._durations.lines(),
            exposition.gauge(
                "kubeproxy_sync_proxy_rules_last_timestamp_seconds", "When rules were last written",
                self._synced_at,
            ),
            process_metrics.lines(),
        )  # fmt: skip

    def _mark_service(self, service: Object) -> None:
        self._mark([objects.key(service)])

    def _mark_slice(self, piece: Object) -> None:
        self._mark(_service_keys(piece))

    def _mark(self, keys: list[str]) -> None:
        with self._wake:
            self._dirty.update(keys)
            self._wake.notify_all()

    def _see_node(self, node: Object) -> None:
        zone = objects.labels(node).get(ZONE_LABEL, "")
        with self._wake:
            if zone == self._places[0].zone:
                return
            self._places = families_of(self._config, self._places[0].name, zone)
            self._dirty.update(self._all_keys())
            self._wake.notify_all()

    def _run(self) -> None:
        while not self._wait_for_caches():
            if self._stopping:
                return
        self._nodes.wait_for_sync(1.0)
        sides: list[_Side] = []
        delay, whole = 0.0, True
        while True:
            soon = any(side.backend.lingers() for side in sides)
            pause = ruleset.LINGER if soon else self._flows_delay or self._config.resync
            keys = self._next(delay, pause, at_once=whole)
            if keys is None:
                break
            try:
                if not sides:
                    sides = self._sides()
                    keys = self._all_keys()
                self._sync(sides, keys, whole=whole)
                delay, whole = 0.0, False
            except OSError as error:
                # Not even the parser's or the kernel's refusal may end the proxy: say it, and write everything anew.
                self._counters["failures"] += 1
                delay = min(max(delay * 2, _RETRY_FIRST), _RETRY_LAST)
                log.error("writing service rules failed, trying again in %.1f s: %s", delay, error)
                whole = True
        self._health.close()
        for side in sides:
            side.backend.close()

    def _sides(self) -> list[_Side]:
        made: list[_Side] = []
        try:
            for place in self._places:
                made.append(_Side(_backend(self._config.mode, self._run_in_node, place)))
        except OSError:
            for side in made:
                side.backend.close()
            raise
        return made

    def _wait_for_caches(self) -> bool:
        return self._services.wait_for_sync(0.5) and self._slices.wait_for_sync(0.5)

    def _next(self, delay: float, pause: float, *, at_once: bool) -> set[str] | None:
        """Waits for marked keys (or ``pause`` seconds, then none); None when stopping."""
        with self._wake:
            if delay:
                self._wake.wait_for(lambda: self._stopping, delay)
            elif not at_once:
                self._wake.wait_for(lambda: self._stopping or self._dirty, pause)
            if self._stopping:
                return None
            keys, self._dirty = self._dirty, set()
            return keys

    def _all_keys(self) -> set[str]:
        return {objects.key(service) for service in self._services.list()}

    def _sync(self, sides: list[_Side], keys: set[str], *, whole: bool) -> None:
        began = time.monotonic()
        with self._wake:
            places = self._places
        gone: conntrack.Wanted = {}
        present: conntrack.Wanted = {}
        checks: dict[str, tuple[Object | None, list[services.Frontend]]] = {}
        for key in keys | self._health.lacking:
            service = self._services.get(key)
            pieces = self._slices.by_index("service", key)
            wanted = [services.frontends(service, pieces, place) if service is not None else [] for place in places]
            for side, place, frontends in zip(sides, places, wanted, strict=True):
                before = [each._replace(cluster=(), local=()) for each in side.replace(key, frontends)]
                gone |= conntrack.targets(before, place)
                present |= conntrack.targets(frontends, place)
            checks[key] = service, next(filter(None, wanted), [])
        self._flows |= gone | present
        self._health.follow(checks)
        for side in sides:
            if side.backend.sync(whole=whole or not side.backend.stands()):
                self._counters["syncs"] += 1
        self._forget_flows()
        self._last_sync = time.monotonic()
        self._durations.observe(self._last_sync - began)
        self._synced_at = clock.SYSTEM.now().timestamp()
        self._updated = clock.rfc3339(clock.SYSTEM.now())
        self._synced.set()

    def _forget_flows(self) -> None:
        """After the rules, which stand whether or not the kernel lets its flows be seen to: that is tried again."""
        if not self._flows:
            return
        flows = self._flows
        try:
            self._counters["forgotten_flows"] += self._run_in_node(lambda: conntrack.forget(flows))
        except OSError as error:
            self._flows_delay = min(max(self._flows_delay * 2, _RETRY_FIRST), _RETRY_LAST)
            log.error("forgetting stale flows failed, trying again in %.1f s: %s", self._flows_delay, error)
            return
        self._flows, self._flows_delay = {}, 0.0


def mode(asked: str) -> str:
    """``nftables`` or ``iptables``: the language that ``asked`` comes to on this machine. Raises ``ValueError``."""
    if asked not in ("auto", "nftables", "iptables"):
        raise ValueError(f"unknown proxy mode {asked!r}: only nftables, iptables and auto are supported")
    return asked if asked != "auto" else "nftables" if nftables.available() else "iptables"


def _backend(asked: str, run_in_node: nftables.RunInNode, node: services.Node) -> Backend:
    if mode(asked) == "iptables":
        return iptables.IptablesBackend(run_in_node, node)
    return nft.NftBackend(run_in_node, node)


def _service_keys(piece: Object) -> list[str]:
    name = objects.labels(piece).get(SERVICE_NAME_LABEL)
    return [f"{objects.namespace(piece)}/{name}"] if name else []


def _both(mark: Callable[[Object], None]) -> Callable[[Object, Object], None]:
    def updated(old: Object, new: Object) -> None:
        mark(old)
        mark(new)

    return updated

"""What pods and node use, as ``/stats/summary`` and ``/metrics/resource`` tell it.

Containers' figures come from the runtime (cgroup files), the node's from ``/proc``. CPU rates need two samples:
the first request after a start has none for a container, later ones take the time between requests.
"""

import datetime
import os
import pathlib
import threading
import time
from collections.abc import Callable
from typing import Any

from kubeshim import clock as clocks
from kubeshim.machinery import objects
from kubeshim.machinery.objects import Object
from kubeshim.node.container_runtime import runtime
from kubeshim.node.kubelet import server_cadvisor, server_machine, server_resource


class Collector:
    """``lookup`` gives the runtime's id of a running container, or raises ``LookupError``."""

    def __init__(
        self,
        node_name: str,
        pods: Callable[[], list[Object]],
        lookup: Callable[[str, str, str], str],
        stats: Callable[[str], runtime.Stats | None],
        sandbox_pid: Callable[[str, str], int | None] = lambda namespace, name: None,
        image_directory: Callable[[], str] = lambda: "/",
    ) -> None:
        """``sandbox_pid`` gives a process of a pod's network; ``image_directory`` is where images are kept."""
        self._sandbox_pid = sandbox_pid
        self._image_directory = image_directory
        self._node_name = node_name
        self._pods = pods
        self._lookup = lookup
        self._stats = stats
        self._before: dict[str, runtime.Stats] = {}
        self._rates: dict[str, int] = {}
        self._lock = threading.Lock()
        self._started = clocks.rfc3339(clocks.SYSTEM.now())

    def usages(self) -> list[server_resource.Usage]:
        found = []
        for pod in self._pods():
            statuses = objects.dig(pod, "status", "initContainerStatuses", default=())
            for status in [*statuses, *objects.dig(pod, "status", "containerStatuses", default=())]:
                running = objects.dig(status, "state", "running")
                if running is None:
                    continue
                try:
                    identity = self._lookup(objects.namespace(pod), objects.name(pod), status["name"])
                    stats = self._stats(identity)
                except (LookupError, runtime.RuntimeFailure):
                    continue  # ended since the status was written
                if stats is not None:
                    found.append(
                        server_resource.Usage(pod, status["name"], running.get("startedAt") or "", stats, status)
                    )
        return found

    def summary(self) -> dict[str, Any]:
        usages = self.usages()
        pods: dict[str, dict[str, Any]] = {}
        for usage in usages:
            pod = pods.setdefault(objects.uid(usage.pod), _pod(usage.pod))
            pod["containers"].append(
                {"name": usage.container, "startTime": usage.started_at, **self._figures(_key(usage), usage.stats)}
            )
        for pod in pods.values():
            _total(pod)
            self._add_network(pod)
        self._forget({_key(usage) for usage in usages} | {""})
        return {"node": self._node(), "pods": list(pods.values())}

    def _node(self) -> dict[str, Any]:
        stats = node_stats()
        moment = _rfc3339(stats.time)
        figures = self._figures("", stats)
        capacity = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        figures["memory"]["availableBytes"] = max(0, capacity - stats.memory_working_set)
        return {
            "nodeName": self._node_name,
            "startTime": self._started,
            **figures,
            "fs": server_machine.disk("/", moment),
            "runtime": {"imageFs": server_machine.disk(self._image_directory(), moment)},
            "rlimit": server_machine.processes(moment),
        }

    def _add_network(self, pod: dict[str, Any]) -> None:
        pid = self._sandbox_pid(pod["podRef"]["namespace"], pod["podRef"]["name"])
        found = server_machine.interfaces(pid) if pid else []
        if found:
            pod["network"] = server_machine.network(found, pod["cpu"]["time"])

    def cadvisor_metrics(self) -> str:
        usages = self.usages()
        pods = {objects.uid(usage.pod): usage.pod for usage in usages}
        networks: list[tuple[Object, list[server_machine.Interface]]] = []
        for pod in pods.values():
            pid = self._sandbox_pid(objects.namespace(pod), objects.name(pod))
            if pid and not objects.dig(pod, "spec", "hostNetwork"):
                networks.append((pod, server_machine.interfaces(pid)))
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        containers = [(usage.pod, usage.status, usage.stats) for usage in usages]
        return server_cadvisor.text(containers, networks, os.cpu_count() or 1, memory, server_machine.device)

    def resource_metrics(self) -> str:
        """Prometheus text, as metrics-server reads it."""
        return server_resource.text(self.usages(), node_stats())

    def _figures(self, key: str, stats: runtime.Stats) -> dict[str, Any]:
        moment = _rfc3339(stats.time)
        cpu: dict[str, Any] = {"time": moment, "usageCoreNanoSeconds": stats.cpu_nanoseconds}
        rate = self._rate(key, stats)
        if rate is not None:
            cpu["usageNanoCores"] = rate
        memory = {
            "time": moment,
            "usageBytes": stats.memory_usage,
            "workingSetBytes": stats.memory_working_set,
            "rssBytes": stats.memory_rss,
        }
        return {"cpu": cpu, "memory": memory}

    def _rate(self, key: str, stats: runtime.Stats) -> int | None:
        with self._lock:
            before = self._before.get(key)
            if before is None:
                self._before[key] = stats
            elif stats.time - before.time >= 1.0:
                grown = max(stats.cpu_nanoseconds - before.cpu_nanoseconds, 0)
                self._rates[key] = int(grown / (stats.time - before.time))
                self._before[key] = stats
            return self._rates.get(key)

    def _forget(self, present: set[str]) -> None:
        with self._lock:
            self._before = {key: stats for key, stats in self._before.items() if key in present}
            self._rates = {key: rate for key, rate in self._rates.items() if key in present}


def node_stats() -> runtime.Stats:
    """The machine's own use: all CPU time but idle, and memory that is not available."""
    fields = pathlib.Path("/proc/stat").read_text(encoding="ascii").splitlines()[0].split()[1:]
    ticks = [int(field) for field in fields]
    busy = sum(ticks[:8]) - ticks[3] - ticks[4]
    memory = {}
    for line in pathlib.Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
        name, _, rest = line.partition(":")
        memory[name] = int(rest.split()[0]) * 1024
    used = memory["MemTotal"] - memory["MemFree"]
    return runtime.Stats(
        cpu_nanoseconds=busy * 1_000_000_000 // os.sysconf("SC_CLK_TCK"),
        memory_usage=used,
        memory_working_set=memory["MemTotal"] - memory["MemAvailable"],
        memory_rss=memory.get("AnonPages", 0),
        time=time.time(),
    )


def _pod(pod: Object) -> dict[str, Any]:
    return {
        "podRef": {"name": objects.name(pod), "namespace": objects.namespace(pod), "uid": objects.uid(pod)},
        "startTime": objects.dig(pod, "status", "startTime", default=""),
        "containers": [],
    }


def _total(pod: dict[str, Any]) -> None:
    """A pod's own figures: the sums of its containers'."""
    for part in ("cpu", "memory"):
        parts = [container[part] for container in pod["containers"]]
        names = {name for figures in parts for name in figures if name != "time"}
        sums = {name: sum(figures.get(name, 0) for figures in parts) for name in sorted(names)}
        pod[part] = {"time": max(figures["time"] for figures in parts), **sums}


def _key(usage: server_resource.Usage) -> str:
    return f"{objects.uid(usage.pod)}/{usage.container}/{usage.started_at}"


def _rfc3339(moment: float) -> str:
    return clocks.rfc3339(datetime.datetime.fromtimestamp(moment, datetime.UTC))

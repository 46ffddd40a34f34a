"""Takes a cluster away, everything of it: what ``up`` made, in reverse.

Nothing is taken on trust from the recorded state alone: containers are found by label, mounts by the kernel's own
table, so that a cluster that died half-way goes as completely as one that ran well. The unreachable routes go last.
"""

import contextlib
import os
import pathlib
import shutil
import time
from collections.abc import Callable, Iterator

from kubeshim.addons.ingress import process
from kubeshim.cluster import configuration, host, layout, processes, resolution
from kubeshim.node.container_runtime import engine_http, holders, runtime

Report = Callable[[str, str, float], None]
_PATIENCE, _LOOK = 60.0, 0.1
"""Seconds in which the engine must have done what it was told, and between two looks whether it has."""


class Down:
    """One run of ``down``."""

    def __init__(self, name: str, kubeconfigs: list[pathlib.Path]) -> None:
        self.name = name
        self.kubeconfigs = kubeconfigs
        self.where = layout.Layout.of(name)
        self.warnings: list[str] = []
        self.config: configuration.Configuration | None = None
        with contextlib.suppress(FileNotFoundError, ValueError, KeyError):
            self.config = configuration.load(self.where.configuration)

    def steps(self) -> Iterator[tuple[str, Callable[[], str]]]:
        yield "look for open connections", self.warn_of_connections
        yield "stop the components", self.stop_processes
        yield "remove containers and node network", self.remove_containers
        yield "unmount volumes", self.unmount
        if self.config is not None and self.config.machine_address:
            yield "remove ways to other machines", self.remove_ways
        yield "remove routes", self.remove_routes
        if resolution.drop_in_path(self.name).exists():
            yield "remove the route of names", self.remove_resolution
        yield "remove the kubeconfig context", self.remove_contexts
        yield "remove files", self.remove_files

    def warn_of_connections(self) -> str:
        if self.config is None:
            return "none"
        chosen = self.config.ranges
        found = host.connected([network for each in chosen.families for network in (each.pods, each.services)])
        self.warnings += [f"still connected to an address of the cluster: {line}" for line in found]
        return f"{len(found)} open" if found else "none"

    def stop_processes(self) -> str:
        processes.stop(self.where)
        process.end(self.where.directory / "ingress")
        return "stopped"

    def remove_containers(self) -> str:
        engine = engine_http.Engine(self.config.engine if self.config else host.engine_socket())
        if not holders.answers(engine):
            self.warnings.append(
                "the Docker engine does not run: its containers of this cluster, if any, are still there"
            )
            return "skipped"
        holders.agree(engine)
        removed: set[str] = set()
        deadline = time.monotonic() + _PATIENCE
        # Again until none is left: the engine may have been making one for an agent that has been killed meanwhile.
        while found := holders.containers(engine, {"io.kubeshim.cluster": self.name}):
            if time.monotonic() > deadline:
                self.warnings.append(f"{len(found)} containers are still there")
                break
            if removed.issuperset(entry["Id"] for entry in found):  # the engine is at it
                time.sleep(_LOOK)
            # nodes last: the sandboxes' links end with their own namespaces
            found.sort(key=lambda entry: entry["Labels"].get("io.kubeshim.role") == "node")
            for entry in found:
                holders.remove_container(engine, entry["Id"])
                removed.add(entry["Id"])
        for network in holders.networks(engine):
            if (network.get("Labels") or {}).get("io.kubeshim.cluster") == self.name:
                _patiently(lambda name=network["Name"]: holders.remove_network(engine, name))  # type: ignore[misc]
        engine.close()
        return f"{len(removed)} containers"

    def unmount(self) -> str:
        from kubeshim.node.kubelet import mounts

        return f"{mounts.unmount_all(str(self.where.directory))} mounts"

    def remove_routes(self) -> str:
        if self.config is None:
            return "none known"
        from kubeshim.node.kubelet import network_host

        chosen = self.config.ranges
        network_host.unprotect_ranges(*map(str, chosen.every))
        return f"{chosen.text('pods')}, {chosen.text('services')}"

    def remove_ways(self) -> str:
        from kubeshim.cluster import machines

        assert self.config is not None
        return machines.forget(self.config)

    def remove_resolution(self) -> str:
        resolution.remove(self.name)
        return str(resolution.drop_in_path(self.name))

    def remove_contexts(self) -> str:
        from kubeshim.cluster import user_kubeconfig

        for path in self.kubeconfigs:
            user_kubeconfig.unmerge(path, self.name)
        return self.name

    def remove_files(self) -> str:
        remove_cgroups(self.name)
        if self.where.directory.exists():
            shutil.rmtree(self.where.directory)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(layout.ROOT / f".{self.name}.lock")
        stopped = not layout.existing() and host.stop_engine()
        with contextlib.suppress(OSError):  # other clusters' files are there
            layout.ROOT.rmdir()
        if stopped:
            return f"{self.where.directory}; stopped dockerd, which up had started"
        return str(self.where.directory)


def remove(name: str, report: Report, kubeconfigs: list[pathlib.Path] | None = None) -> list[str]:
    """Removes the cluster, or what is left of it; returns warnings. Nothing there is no error.

    A step that fails does not keep the later ones from being tried; its error becomes a warning.
    """
    this = Down(name, kubeconfigs or [])
    for title, step in this.steps():
        began = time.monotonic()
        try:
            said = step()
        except (OSError, runtime.RuntimeFailure, RuntimeError) as error:
            this.warnings.append(f"{title}: {error}")
            said = "failed"
        report(title, said, time.monotonic() - began)
    return this.warnings


def remove_cgroups(name: str) -> None:
    """The empty groups that containers' cgroup parents leave behind, of every hierarchy."""
    # walked with os.walk, which does not mind that groups of other clusters vanish meanwhile
    roots = [path for path, _, _ in os.walk("/sys/fs/cgroup") if path.endswith(f"/kubeshim-{name}")]
    for root in roots:
        for path, _, _ in os.walk(root, topdown=False):
            with contextlib.suppress(OSError):
                os.rmdir(path)


def _patiently(action: Callable[[], None], seconds: float = _PATIENCE) -> None:
    """Again while the engine says that containers it is about to remove still use the network."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            action()
            return
        except runtime.RuntimeFailure:
            if time.monotonic() > deadline:
                raise
            time.sleep(_LOOK)

"""A node whose holder has died under its agent: the engine was stopped, or somebody killed the container.

The node's network namespace is dead then, though every open descriptor keeps it in memory: nothing in it can be used
again. So the agent lets go of its parts, says from outside that the node is not ready, waits for the engine, switches
the node on again, and tells the supervisor, which ends this process and closes the old sockets before it opens new
ones in the new namespace and starts the next agent. That one finds dead sandboxes and restarts their pods by policy.

An agent that is started after its holder's death (it was killed, too) begins here.
"""

import logging
import os
import pathlib
import select
import threading
from collections.abc import Callable

from kubeshim import clock
from kubeshim.cluster import components, configuration, layout, lock, nodes, processes
from kubeshim.machinery import errors
from kubeshim.node.container_runtime import engine_http, holders, pause, runtime
from kubeshim.node.kubelet import registration, seams

_log = logging.getLogger(__name__)

_LOOK = 0.25
"""Seconds between two looks for what tells no one of its coming: the engine's socket, the cluster's lock."""


def watch(holder_pid: int, on_death: Callable[[], None]) -> bool:
    """Calls back from a thread when the holder dies. False where it is dead already."""
    try:
        descriptor = os.pidfd_open(holder_pid)
    except ProcessLookupError:
        return False
    if not _is_pause(holder_pid):  # a process that has got a dead holder's number
        os.close(descriptor)
        return False

    def wait() -> None:
        ended = select.poll()
        ended.register(descriptor, select.POLLIN)
        ended.poll()
        os.close(descriptor)
        on_death()

    threading.Thread(target=wait, name="holder", daemon=True).start()
    return True


def _is_pause(pid: int) -> bool:
    try:
        return pathlib.Path(f"/proc/{pid}/comm").read_text().strip() == pause.ENTRYPOINT[0].rpartition("/")[2]
    except OSError:
        return False


class Revival:
    """Of one node; ``api`` is a connection from outside of it, with its kubelet's rights."""

    def __init__(self, where: layout.Layout, node: str, api: seams.Api) -> None:
        self._where, self._node, self._api = where, node, api
        self._told = False

    def run(self, stop: threading.Event) -> None:
        """Returns when told to stop, which the supervisor does once the node is switched on."""
        while not stop.is_set():
            self._tell()
            try:
                if self._engine_answers() and self._switch_on(stop):
                    stop.wait()
                    return
            except (runtime.RuntimeFailure, OSError) as failure:
                _log.warning("switching node %s on again: %s", self._node, failure)
            except lock.GivenUp:
                return
            stop.wait(_LOOK)

    def _tell(self) -> None:
        if self._told:
            return
        try:
            problem = "the node's network namespace has ended with it"
            registration.say_down(self._api, self._node, problem, clock.rfc3339(clock.SYSTEM.now()))
            self._told = True
        except (errors.APIStatusError, OSError) as error:
            _log.info("node %s is down, which the API server could not be told: %s", self._node, error)

    def _engine_answers(self) -> bool:
        engine = engine_http.Engine(configuration.load(self._where.configuration).engine)
        try:
            return holders.answers(engine)
        finally:
            engine.close()

    def _switch_on(self, stop: threading.Event) -> bool:
        """False where this node is not wanted any more."""
        with lock.locked(self._where, lambda: not stop.wait(_LOOK)):
            present = processes.wanted(self._where)
            if all(spec["name"] != f"agent-{self._node}" for spec in present):
                return False
            config = configuration.load(self._where.configuration)
            node = config.node(self._node)
            engine = engine_http.Engine(config.engine)
            try:
                holders.agree(engine)
                nodes.kill_containers(engine, config.name, node.name)
                pid = nodes.ensure_holder(engine, config, node)
            finally:
                engine.close()
            wanted = components.on_node(config, node, pid, self._where)
            names = {spec["name"] for spec in wanted}
            processes.want(self._where, [*(spec for spec in present if spec["name"] not in names), *wanted])
        _log.info("node %s is switched on again, holder %d", self._node, pid)
        return True

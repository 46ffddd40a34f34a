"""Stopping a pod's containers: preStop, stop signal, grace, kill; sidecars after the others, last one first.

All containers of a pod stop at the same time, each in a thread of its own. Whoever waits may shorten the grace
meanwhile (``kubectl delete --force`` after a plain delete).
"""

import dataclasses
import logging
import threading
import time
from collections.abc import Callable, Sequence

from kubeshim.machinery import objects
from kubeshim.machinery.objects import Object
from kubeshim.node.container_runtime import runtime
from kubeshim.node.kubelet import handlers, labels, parts, pod_spec

_log = logging.getLogger(__name__)

_SHORTEST = 2.0
"""Seconds any container gets, so that not everything deleted in a hurry is killed outright."""
_LOOK = 0.25


@dataclasses.dataclass(frozen=True, slots=True)
class Order:
    """One container to stop."""

    container: runtime.Container
    spec: Object | None
    """None where the pod's spec is not known any more: then there are no hooks to run."""
    message: str
    grace: float
    hook_over: threading.Event = dataclasses.field(default_factory=threading.Event, compare=False)
    """Set when its preStop hook has ended, or nobody waits for that any more."""


def stop(shared: parts.Parts, pod: Object, order: Order, address: str) -> None:
    """Stops one container; returns when it has exited. Raises ``runtime.RuntimeFailure``."""
    name = order.container.labels.get(labels.CONTAINER, "")
    path = pod_spec.field_path(pod, name)
    shared.recorder.event(pod, "Normal", "Killing", order.message, field_path=path)
    left = order.grace
    hook = objects.dig(order.spec, "lifecycle", "preStop") if order.spec else None
    if hook and order.grace > 0:
        begun = time.monotonic()
        target = handlers.Target(pod, order.spec or {}, order.container.id, address)
        _pre_stop(shared, pod, hook, target, order, path)
        left -= time.monotonic() - begun
    shared.engine.stop_container(order.container.id, max(left, _SHORTEST))


def _pre_stop(shared: parts.Parts, pod: Object, hook: Object, target: handlers.Target, order: Order, path: str) -> None:
    def run() -> None:
        try:
            shared.hooks.run(hook, target, order.grace)
        except (handlers.Failure, runtime.RuntimeFailure) as failure:
            message = f"PreStopHook failed: {failure}"
            shared.recorder.event(pod, "Warning", "FailedPreStopHook", message, field_path=path)
        finally:
            order.hook_over.set()

    threading.Thread(target=run, name="pre-stop", daemon=True).start()
    order.hook_over.wait(order.grace)


def stop_all(
    shared: parts.Parts, orders: Sequence[Order], pod: Callable[[], Object], grace: Callable[[], float], address: str
) -> None:
    """Stops containers, ordinary ones first. ``grace`` may have shrunk since the orders were made, and may while this
    waits: then it is the new limit.

    Raises the first failure, after all are done: what could not be stopped must not count as stopped.
    """
    sidecars = [container["name"] for container in pod_spec.init_containers(pod()) if pod_spec.is_sidecar(container)]
    begun, given = time.monotonic(), max((order.grace for order in orders), default=0.0)
    first = [order for order in orders if _name(order) not in sidecars]
    problems = _together(shared, first, pod, grace, address, begun, given)
    for name in reversed(sidecars):
        late = [dataclasses.replace(order, grace=max(0.0, order.grace - (time.monotonic() - begun)))
                for order in orders if _name(order) == name]  # fmt: skip
        problems += _together(shared, late, pod, grace, address, begun, given)
    if problems:
        raise problems[0]


def _name(order: Order) -> str:
    return order.container.labels.get(labels.CONTAINER, "")


def _together(
    shared: parts.Parts,
    orders: Sequence[Order],
    pod: Callable[[], Object],
    grace: Callable[[], float],
    address: str,
    begun: float,
    limit: float,
) -> list[Exception]:
    problems: list[Exception] = []

    def one(order: Order) -> None:
        try:
            stop(shared, pod(), order, address)
        except Exception as problem:
            problems.append(problem)

    threads_made = [threading.Thread(target=one, args=(order,), name="stop", daemon=True) for order in orders]
    for thread in threads_made:
        thread.start()
    while any(thread.is_alive() for thread in threads_made):
        for thread in threads_made:
            thread.join(_LOOK)
        now = grace()
        if now < limit:
            limit = now
            _hurry(shared, orders, max(_SHORTEST, now - (time.monotonic() - begun)))
    return problems


def _hurry(shared: parts.Parts, orders: Sequence[Order], grace: float) -> None:
    """A second stop with a shorter grace: the engine kills at the earlier of the two. Hooks go with it."""

    def one(order: Order) -> None:
        try:
            shared.engine.stop_container(order.container.id, grace)
        except runtime.RuntimeFailure as problem:
            _log.info("hurrying container %s: %s", order.container.name, problem)  # the first stop goes on
        order.hook_over.set()

    for order in orders:
        threading.Thread(target=one, args=(order,), name="hurry", daemon=True).start()

"""What a pod as a whole requests and is limited to.

Containers and sidecars run together; an ordinary init container runs alone with the sidecars started before it, so
for each resource the larger of the two counts. What is said of the pod itself replaces the sum.
"""

from collections.abc import Mapping
from typing import Any

from kubeshim.machinery import objects, quantity

Amounts = dict[str, quantity.Quantity]


def parse(values: Mapping[str, Any] | None) -> Amounts:
    return {name: quantity.parse(text) for name, text in (values or {}).items()}


def total(pod: objects.Object, what: str, *, overhead: bool = True, with_status: bool = False) -> Amounts:
    """The sum of ``what`` (``requests`` or ``limits``). Raises ``quantity.FormatError``.

    ``with_status`` counts what a running container has as long as that is more than its spec asks for: a pod that is
    being made smaller still holds the old amount. Where its node can never give what is asked for, only what it has
    counts. ``overhead`` is on top of requests, and of limits where there are any.
    """
    spec = pod.get("spec") or {}
    held = _held(pod, what) if with_status else {}
    in_vain = with_status and _is_infeasible(pod)
    running: Amounts = {}
    for container in spec.get("containers") or ():
        add(running, _of_container(container, what, held, in_vain))
    sidecars: Amounts = {}
    initial: Amounts = {}
    for container in spec.get("initContainers") or ():
        asked = _of_container(container, what, held, in_vain)
        peak = dict(sidecars)
        add(peak, asked)
        if container.get("restartPolicy") == "Always":
            add(running, asked)
            sidecars = peak
        raise_to(initial, peak)
    raise_to(running, initial)
    for name, amount in _held_or_asked(objects.dig(spec, "resources", default={}), what, held.get(""), in_vain).items():
        if name in ("cpu", "memory") or name.startswith("hugepages-"):
            running[name] = amount
    if overhead and spec.get("overhead"):
        extra = parse(spec["overhead"])
        if what == "limits":
            extra = {name: amount for name, amount in extra.items() if running.get(name)}
        add(running, extra)
    return running


def add(amounts: Amounts, more: Amounts) -> None:
    """Adds ``more`` in place."""
    for name, amount in more.items():
        amounts[name] = amounts[name] + amount if name in amounts else amount


def raise_to(amounts: Amounts, floor: Amounts) -> None:
    """Makes each amount at least that of ``floor``, in place."""
    for name, amount in floor.items():
        if name not in amounts or amount > amounts[name]:
            amounts[name] = amount


def _of_container(container: Mapping[str, Any], what: str, held: Mapping[str, Amounts], in_vain: bool) -> Amounts:
    return _held_or_asked(container.get("resources") or {}, what, held.get(container.get("name", "")), in_vain)


def _held_or_asked(resources: Mapping[str, Any], what: str, has: Amounts | None, in_vain: bool) -> Amounts:
    if in_vain and has is not None:
        return dict(has)
    asked = parse(resources.get(what))
    raise_to(asked, has or {})
    return asked


def _is_infeasible(pod: objects.Object) -> bool:
    return any(
        entry.get("type") == "PodResizePending" and entry.get("reason") == "Infeasible"
        for entry in objects.dig(pod, "status", "conditions", default=())
    )


def _held(pod: objects.Object, what: str) -> dict[str, Amounts]:
    """By container, and of the pod as a whole under the empty name: what the kubelet says it has given."""
    found: dict[str, Amounts] = {}
    status = pod.get("status") or {}
    if status.get("resources"):
        found[""] = _given(status, what)
    for field in ("containerStatuses", "initContainerStatuses"):
        for entry in status.get(field) or ():
            found[entry.get("name", "")] = _given(entry, what)
    return found


def _given(entry: Mapping[str, Any], what: str) -> Amounts:
    given = parse(objects.dig(entry, "resources", what))
    if what == "requests":
        raise_to(given, parse(entry.get("allocatedResources")))
    return given

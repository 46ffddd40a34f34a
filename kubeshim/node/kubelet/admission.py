"""Whether this node takes a pod that was bound to it. Pure.

The scheduler has decided already; this is the last look, with what only the node knows for certain: what is running
on it now. A pod that is refused is ``Failed`` with these reasons, and its controller makes another.
"""

from collections.abc import Mapping, Sequence

from kubeshim.machinery import objects, quantity
from kubeshim.machinery.objects import Object
from kubeshim.node.kubelet import node_selection, pod_spec, quality, security

Refusal = tuple[str, str]
"""Reason and message."""


def refuse(
    pod: Object, others: Sequence[Object], node: Object, allowed_sysctls: Sequence[str], *, apparmor: bool = True
) -> Refusal | None:
    """``others`` are the pods already running here (or meant to). None takes the pod.

    ``apparmor`` says whether the machine has it.
    """
    system = _other_system(pod)
    if system is not None:
        return system
    if not apparmor and security.wants_apparmor(pod):
        return "AppArmor", "Cannot enforce AppArmor: AppArmor is not enabled on the host"
    sysctl = security.forbidden_sysctl(pod, allowed_sysctls)
    if sysctl:
        return "SysctlForbidden", f'forbidden sysctl: "{sysctl}" not allowlisted'
    if objects.dig(pod, "spec", "securityContext", "supplementalGroupsPolicy") == "Strict":
        return (
            "SupplementalGroupsPolicyNotSupported",
            "SupplementalGroupsPolicy=Strict is not supported in this node",
        )
    if not node_selection.matches(pod, node):
        return (
            "NodeAffinity",
            "Pod was rejected: Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector",
        )
    taint = node_selection.untolerated(pod, node, ("NoExecute",))
    if taint:
        return "UnexpectedAdmissionError", f"Pod was rejected: node has taint {taint} that the pod does not tolerate"
    if _ports_clash(pod, others):
        return "NodePorts", (
            "Pod was rejected: Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports"
        )
    return _lacks(pod, others, objects.dig(node, "status", "allocatable", default={}))


def _other_system(pod: Object) -> Refusal | None:
    """Pods for another operating system."""
    if objects.dig(pod, "spec", "nodeSelector", "kubernetes.io/os", default="linux") != "linux":
        text = "Failed to admit pod as the `kubernetes.io/os` label doesn't match node label"
        return "PodOSSelectorNodeLabelDoesNotMatch", text
    if objects.dig(pod, "spec", "os", "name", default="linux") != "linux":
        return "PodOSNotSupported", "Failed to admit pod as the OS field doesn't match node OS"
    return None


def _lacks(pod: Object, others: Sequence[Object], allocatable: Mapping[str, str]) -> Refusal | None:
    limit = allocatable.get("pods")
    if limit is not None and len(others) + 1 > quantity.parse(str(limit)).value():
        text = f"requested: 1, used: {len(others)}, capacity: {quantity.parse(str(limit)).value()}"
        return "OutOfpods", f"Pod was rejected: Node didn't have enough resource: pods, {text}"
    for name in sorted(quality.resource_names(pod)):
        lack = _lack(pod, others, allocatable, name)
        if lack:
            return f"OutOf{name}", f"Pod was rejected: {lack}"
    return None


def _lack(pod: Object, others: Sequence[Object], allocatable: Mapping[str, str], name: str) -> str:
    wanted = quality.requested(pod, name)
    given = quantity.parse(str(allocatable.get(name, "0"))).milli()
    used = sum(quality.requested(other, name) for other in others)
    if wanted == 0 or used + wanted <= given:
        return ""
    scale = 1 if name == "cpu" else 1000
    text = f"requested: {wanted // scale}, used: {used // scale}, capacity: {given // scale}"
    return f"Node didn't have enough resource: {name}, {text}"


def refuse_resize(pod: Object, others: Sequence[Object], node: Object) -> Refusal | None:
    """Whether a pod that runs here has to wait for what it asks for now, or asks for more than the node ever has."""
    allocatable = objects.dig(node, "status", "allocatable", default={})
    for name in ("memory", "cpu"):
        wanted, given = quality.requested(pod, name), quantity.parse(str(allocatable.get(name, "0"))).milli()
        if wanted > given:
            scale = 1 if name == "cpu" else 1000
            text = f"requested: {wanted // scale}, capacity: {given // scale}"
            return "Infeasible", f"Node didn't have enough capacity: {name}, {text}"
    for name in ("cpu", "memory"):
        lack = _lack(pod, others, allocatable, name)
        if lack:
            return "Deferred", lack
    return None


def _ports_clash(pod: Object, others: Sequence[Object]) -> bool:
    wanted = host_ports(pod)
    taken = [port for other in others for port in host_ports(other)]
    return any(_clash(a, b) for a in wanted for b in taken)


def _clash(one: tuple[str, str, int], other: tuple[str, str, int]) -> bool:
    everywhere = "0.0.0.0"
    same_address = one[0] == other[0] or everywhere in (one[0], other[0])
    return same_address and one[1:] == other[1:]


def host_ports(pod: Object) -> list[tuple[str, str, int]]:
    """``(address, protocol, port)`` of the node that the pod claims."""
    found: list[tuple[str, str, int]] = []
    sidecars = [each for each in pod_spec.init_containers(pod) if pod_spec.is_sidecar(each)]
    for container in [*pod_spec.containers(pod), *sidecars]:
        for port in container.get("ports") or ():
            number = port.get("hostPort") or (port.get("containerPort") if pod_spec.host_network(pod) else 0)
            if number:
                found.append((port.get("hostIP") or "0.0.0.0", port.get("protocol") or "TCP", int(number)))
    return found

"""Binding a pod to a node: what the scheduler decides becomes ``spec.nodeName``, once and for ever."""

from typing import TYPE_CHECKING

from kubeshim import clock
from kubeshim.control_plane.api_server import request, storage
from kubeshim.control_plane.api_server.admission.plugins import pod_topology_labels
from kubeshim.control_plane.api_server.subresources import call, kubelets, pods
from kubeshim.control_plane.api_server.verbs import operation, update
from kubeshim.machinery import errors, objects, resources

if TYPE_CHECKING:
    from kubeshim.control_plane.api_server import server as servers

_BINDING = resources.GroupVersionKind("", "v1", "Binding")
_ATTEMPTS = 10


class Bind:
    """``pods/binding``, and ``bindings`` for clients of old."""

    def handle(self, asked: request.Request, server: "servers.Server") -> request.Response:
        op, binding = call.created(asked, server, _BINDING, keep_identity=True)
        name = objects.name(binding)
        if op.name and name != op.name:
            raise errors.BadRequest("name in URL does not match name in Binding object")
        _validate(binding)
        _assign(op, binding, name)
        return call.answer(asked, call.success())


def _validate(binding: objects.Object) -> None:
    target = binding.get("target") or {}
    problems = []
    if target.get("kind") not in (None, "", "Node"):
        text = f'Unsupported value: "{target["kind"]}": supported values: "Node", "<empty>"'
        problems.append(f"target.kind: {text}")
    if not target.get("name"):
        problems.append("target.name: Required value")
    if problems:
        # Upstream does not make a 422 of this.
        text = problems[0] if len(problems) == 1 else f"[{', '.join(problems)}]"
        raise errors.InternalError(text, reason="")


def _assign(op: operation.Operation, binding: objects.Object, name: str) -> None:
    server = op.server
    resource = server.registry.get(*pods.PODS)
    assert resource is not None
    with server.locks.of(resource.storage_key(op.namespace, name)):
        for _ in range(_ATTEMPTS):
            item = server.storage.get(resource, op.namespace, name)
            if item is None:
                raise errors.not_found("", "pods", name)
            pod = item.copy()
            _check(op, pod, binding)
            _bind(server, pod, binding)
            if op.dry_run:
                return
            try:
                server.storage.update(resource, pod, item.revision)
                return
            except storage.Stale:
                continue
    raise errors.conflict("", "pods/binding", name, errors.MODIFIED)


def _check(op: operation.Operation, pod: objects.Object, binding: objects.Object) -> None:
    """Raises 409 where the pod cannot be bound (any more)."""
    name, wanted = objects.name(pod), binding["metadata"]
    for field, word in (("uid", "UID"), ("resourceVersion", "ResourceVersion")):
        condition, found = wanted.get(field), pod["metadata"].get(field)
        if condition and condition != found:
            raise update.precondition_failed(op, word, condition, found)
    why = ""
    if objects.is_deleting(pod):
        why = f"pod {name} is being deleted, cannot be assigned to a host"
    elif objects.dig(pod, "spec", "nodeName"):
        why = f'pod {name} is already assigned to node "{pod["spec"]["nodeName"]}"'
    elif objects.dig(pod, "spec", "schedulingGates"):
        why = f"pod {name} has non-empty .spec.schedulingGates"
    if why:
        raise errors.conflict("", "pods/binding", name, why)


def _bind(server: "servers.Server", pod: objects.Object, binding: objects.Object) -> None:
    node_name = binding["target"]["name"]
    pod["spec"]["nodeName"] = node_name
    metadata = pod["metadata"]
    topology: dict[str, str] = {}
    if binding["target"].get("kind") == "Node":
        topology = pod_topology_labels.of_node(server.storage.reader.get(kubelets.NODES, "", node_name) or {})
    for field, added in (
        ("annotations", objects.annotations(binding)), ("labels", {**topology, **objects.labels(binding)}),
    ):  # fmt: skip
        if added:
            metadata[field] = {**(metadata.get(field) or {}), **added}
    scheduled = {
        "type": "PodScheduled",
        "status": "True",
        "lastProbeTime": None,
        "lastTransitionTime": clock.rfc3339(server.clock.now()),
    }
    status = pod.setdefault("status", {})
    status.pop("nominatedNodeName", None)
    status["conditions"] = objects.with_condition(status.get("conditions") or [], scheduled)


BIND = Bind()

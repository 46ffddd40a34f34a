"""What a change of a pod may change, by the door it comes through.

The pod itself lets few fields change; ``ephemeralcontainers`` only adds containers; ``resize`` only changes cpu and
memory; ``status`` may not bring a finished container back to life.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from kubeshim.machinery import objects
from kubeshim.machinery.errors import FieldError
from kubeshim.machinery.validation import (
    containers,
    content,
    differences,
    fields,
    go_structs,
    go_values,
    pod_annotations,
    scheduling,
)  # fmt: skip

_UPDATABLE = (
    "`spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,"
    "`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)

_WHOLE = "[]"
"""How upstream's path of the pod as a whole is shown."""
_ONLY_ADDITIONS = "only additions are allowed (no mutations or deletions)"


def update(obj: objects.Object, old: objects.Object) -> list[FieldError]:
    """The pod's own door. ``pods.pod`` has judged the new pod by itself."""
    wrong = _annotations(obj, old)
    spec, before = obj.get("spec") or {}, old.get("spec") or {}
    for field in ("containers", "initContainers"):
        if len(spec.get(field) or ()) != len(before.get(field) or ()):
            text = "pod updates may not add or remove containers"
            return [*wrong, fields.forbidden(f"spec.{field}", text)]
        for index, container in enumerate(spec.get(field) or ()):
            if not container.get("image"):
                wrong.append(fields.required(f"spec.{field}[{index}].image"))
            wrong += containers.padded_image(container, f"spec.{field}[{index}]")
    deadline, earlier = spec.get("activeDeadlineSeconds"), before.get("activeDeadlineSeconds")
    if problems := _deadline(deadline, earlier):
        wrong += problems
        if deadline is not None:
            return wrong
    wrong += _tolerations(spec.get("tolerations") or (), before.get("tolerations") or ())
    wrong += _gates(spec.get("schedulingGates") or (), before.get("schedulingGates") or ())
    if spec == before:
        return wrong
    munged = _without_updatable(spec, before)
    if before.get("schedulingGates"):
        wrong += _gated(munged, before)
    if munged != before:
        changed = differences.text(go_values.POD_SPEC, before, munged)
        text = f"pod updates may not change fields other than {_UPDATABLE}\n{changed}"
        wrong.append(fields.forbidden("spec", text))
    return wrong


def _without_updatable(spec: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """The new spec with everything put back that may change."""
    munged = dict(spec)
    for field in ("containers", "initContainers"):
        if spec.get(field):
            munged[field] = [
                {**container, "image": previous.get("image")}
                for container, previous in zip(spec[field], before[field], strict=True)
            ]
    for field in ("activeDeadlineSeconds", "tolerations", "schedulingGates"):
        munged.pop(field, None)
        if field in before:
            munged[field] = before[field]
    grace = before.get("terminationGracePeriodSeconds")
    if grace is not None and grace < 0 and spec.get("terminationGracePeriodSeconds") == 1:
        munged["terminationGracePeriodSeconds"] = grace
    return munged


def _annotations(obj: objects.Object, old: objects.Object) -> list[FieldError]:
    """What of the annotations may not change, and once more what is wrong with the new ones."""
    new = objects.annotations(obj)
    wrong = pod_annotations.changes(new, objects.annotations(old), "metadata.annotations")
    return wrong + pod_annotations.validate(new, obj.get("spec") or {}, "metadata.annotations")


def _deadline(new: int | None, old: int | None) -> list[FieldError]:
    path = "spec.activeDeadlineSeconds"
    if new is None:
        text = "must not update from a positive integer to nil value"
        return [fields.invalid(path, None, text)] if old is not None else []
    if not 0 <= new <= 2**31 - 1:
        return [fields.invalid(path, new, content.between(0, 2**31 - 1))]
    if old is not None and old < new:
        return [fields.invalid(path, new, "must be less than or equal to previous value")]
    return []


def _tolerations(new: Sequence[Mapping[str, Any]], old: Sequence[Mapping[str, Any]]) -> list[FieldError]:
    def bare(toleration: Mapping[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in toleration.items() if key != "tolerationSeconds"}

    kept = [bare(toleration) for toleration in new]
    if all(bare(toleration) in kept for toleration in old):
        return scheduling.tolerations(new, "spec.tolerations")
    return [
        fields.forbidden("spec.tolerations", "existing toleration can not be modified except its tolerationSeconds")
    ]


def _gates(new: Sequence[Mapping[str, Any]], old: Sequence[Mapping[str, Any]]) -> list[FieldError]:
    names = {gate.get("name") for gate in old}
    return [
        fields.forbidden(
            f"spec.schedulingGates[{index}].name",
            f"only deletion is allowed, but found new scheduling gate '{gate.get('name')}'",
        )
        for index, gate in enumerate(new)
        if gate.get("name") not in names
    ]


def _gated(munged: dict[str, Any], before: Mapping[str, Any]) -> list[FieldError]:
    """A gated pod may still be told more narrowly where to run; puts back what was rightly changed."""
    wrong: list[FieldError] = []
    selector, previous = munged.get("nodeSelector") or {}, before.get("nodeSelector") or {}
    for key, value in previous.items():
        if selector.get(key) != value:
            text = "only additions to spec.nodeSelector are allowed (no mutations or deletions)"
            wrong.append(fields.invalid("spec.nodeSelector", munged.get("nodeSelector"), text))
            break
    _put_back(munged, before, "nodeSelector")
    new_affinity, old_affinity = munged.get("affinity") or {}, before.get("affinity") or {}
    if new_affinity.get("nodeAffinity") != old_affinity.get("nodeAffinity"):
        wrong += _node_affinity(new_affinity.get("nodeAffinity") or {}, old_affinity.get("nodeAffinity") or {})
        changed = dict(new_affinity)
        _put_back(changed, old_affinity, "nodeAffinity")
        munged["affinity"] = changed
        if not changed and "affinity" not in before:
            del munged["affinity"]
    return wrong


def _node_affinity(new: Mapping[str, Any], old: Mapping[str, Any]) -> list[FieldError]:
    path = "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution"
    required = "requiredDuringSchedulingIgnoredDuringExecution"
    terms = (new.get(required) or {}).get("nodeSelectorTerms") or []
    previous = (old.get(required) or {}).get("nodeSelectorTerms") or []
    if not previous:
        return []
    if len(terms) != len(previous):
        text = "no additions/deletions to non-empty NodeSelectorTerms list are allowed"
        shown = go_structs.listed(go_structs.NODE_SELECTOR_TERM, terms) or None
        return [fields.invalid(path + ".nodeSelectorTerms", shown, text)]
    wrong: list[FieldError] = []
    for index, (term, before) in enumerate(zip(terms, previous, strict=True)):
        for field in ("matchExpressions", "matchFields"):
            kept = (term.get(field) or [])[: len(before.get(field) or ())]
            if kept != (before.get(field) or []) or (not any(before.values()) and term != before):
                bad = go_structs.shown(go_structs.NODE_SELECTOR_TERM, term)
                wrong.append(fields.invalid(f"{path}.nodeSelectorTerms[{index}]", bad, _ONLY_ADDITIONS))
                break
    return wrong


def _put_back(target: dict[str, Any], before: Mapping[str, Any], field: str) -> None:
    target.pop(field, None)
    if field in before:
        target[field] = before[field]


def ephemeral_containers(obj: objects.Object, old: objects.Object) -> list[FieldError]:
    """The ``ephemeralcontainers`` door: new ones may be added, those there stay."""
    if pod_annotations.MIRROR in objects.annotations(old):
        return [fields.forbidden(_WHOLE, "static pods do not support ephemeral containers")]
    path = "spec.ephemeralContainers"
    new = {c.get("name"): c for c in (obj.get("spec") or {}).get("ephemeralContainers") or ()}
    wrong: list[FieldError] = []
    for container in (old.get("spec") or {}).get("ephemeralContainers") or ():
        name = container.get("name")
        if name not in new:
            text = f"existing ephemeral containers {fields.quote(name)} may not be removed\n"
            wrong.append(fields.forbidden(path, text))
        elif new[name] != container:
            changed = differences.text(go_values.EPHEMERAL_CONTAINER, container, new[name])
            text = f"existing ephemeral containers {fields.quote(name)} may not be changed\n{changed}"
            wrong.append(fields.forbidden(path, text))
    return wrong


def resize(obj: objects.Object, old: objects.Object, qos: tuple[str, str]) -> list[FieldError]:
    """The ``resize`` door. ``qos``: the class the new spec would have, and the old one's."""
    if pod_annotations.MIRROR in objects.annotations(old):
        return [fields.forbidden(_WHOLE, "static pods cannot be resized")]
    spec, before = obj.get("spec") or {}, old.get("spec") or {}
    if objects.dig(before, "os", "name") == "windows":
        return [fields.forbidden(_WHOLE, "windows pods cannot be resized")]
    wrong: list[FieldError] = []
    if qos[0] != qos[1]:
        shown = objects.dig(obj, "status", "qosClass", default="")
        wrong.append(fields.invalid("spec", shown, "Pod QOS Class may not change as a result of resizing"))
    for status in objects.dig(old, "status", "containerStatuses", default=()):
        if (status.get("state") or {}).get("running") is not None:
            if status.get("resources") is None:
                wrong.append(fields.forbidden("spec", "Pod running on node without support for resize"))
            break
    munged = dict(spec)
    if any(
        found.get("limits") or found.get("requests")
        for found in (before.get("resources") or {}, spec.get("resources") or {})
    ):
        wrong += _pod_level(munged, before)
    if objects.dig(old, "status", "nodeAllocatableResourceClaimStatuses"):
        text = "pods with node allocatable resource claims cannot be resized"
        wrong.append(fields.forbidden("spec", text))
    if moved := _moved(spec, before):
        return wrong + moved
    for field, place in (("initContainers", "spec.initContainers"), ("containers", "spec.containers")):
        for index, (new, previous) in enumerate(zip(spec.get(field) or (), before.get(field) or (), strict=True)):
            path = f"{place}[{index}].resources"
            wrong += _removed(new.get("resources") or {}, previous.get("resources") or {}, path, "resource")
    for field in ("containers", "initContainers"):
        for index, (new, previous) in enumerate(zip(spec.get(field) or (), before.get(field) or (), strict=True)):
            wrong += _resized(new, previous, "" if field == "containers" else f"spec.initContainers[{index}]")
        munged.pop(field, None)
        if field in before:
            munged[field] = before[field]
    if not wrong and munged != before:
        wrong.append(fields.forbidden("spec", "only cpu and memory resources are mutable"))
    return wrong


def _pod_level(munged: dict[str, Any], before: Mapping[str, Any]) -> list[FieldError]:
    """The pod's own resources; puts back what was rightly changed."""
    new, old = munged.get("resources"), before.get("resources")
    if old is not None and new is None:
        return [fields.forbidden("spec.resources", "pod-level resources cannot be removed")]
    wrong = _removed(new or {}, old or {}, "spec.resources", "pod-level resource")
    kept = _put_back_amounts(new or {}, old or {})
    if kept != (old or {}):
        wrong.append(fields.forbidden("spec", "only cpu and memory resources are mutable at pod-level"))
    _put_back(munged, before, "resources")
    return wrong


def _moved(spec: Mapping[str, Any], before: Mapping[str, Any]) -> list[FieldError]:
    """The rest compares containers one by one: they must be the same."""
    wrong: list[FieldError] = []
    for field in ("containers", "initContainers"):
        new, old = spec.get(field) or (), before.get(field) or ()
        if len(new) != len(old):
            wrong.append(fields.forbidden(f"spec.{field}", f"{field} may not be added or removed on resize"))
            continue
        for index, (container, previous) in enumerate(zip(new, old, strict=True)):
            if container.get("name") != previous.get("name"):
                text = f"{field} may not be renamed or reordered on resize"
                wrong.append(fields.forbidden(f"spec.{field}[{index}].name", text))
    return wrong


def _resized(new: Mapping[str, Any], old: Mapping[str, Any], init_path: str) -> list[FieldError]:
    """What of a container changed besides cpu and memory; ``init_path`` of one that runs before the others."""
    amounts = _put_back_amounts(new.get("resources") or {}, old.get("resources") or {})
    amounts.pop("claims", None)
    if {**new, "resources": amounts} == {**old, "resources": old.get("resources") or {}}:
        return []
    if init_path:
        return [fields.forbidden(init_path, "only cpu and memory resources for init or sidecar containers are mutable")]
    return [fields.forbidden("spec", "only cpu and memory resources are mutable")]


def _put_back_amounts(new: Mapping[str, Any], old: Mapping[str, Any]) -> dict[str, Any]:
    munged = dict(new)
    for kind in ("limits", "requests"):
        if kind not in old:
            # a kind that was not there may come with cpu and memory only
            if all(name in ("cpu", "memory") for name in new.get(kind) or {}):
                munged.pop(kind, None)
            continue
        changed = {name: value for name, value in (new.get(kind) or {}).items() if name not in ("cpu", "memory")}
        changed.update({name: old[kind][name] for name in ("cpu", "memory") if name in old[kind]})
        munged[kind] = changed
    return munged


def _removed(new: Mapping[str, Any], old: Mapping[str, Any], path: str, what: str) -> list[FieldError]:
    wrong: list[FieldError] = []
    for kind in ("requests", "limits"):
        if set(old.get(kind) or ()) - set(new.get(kind) or ()):
            wrong.append(fields.forbidden(f"{path}.{kind}", f"{what} {kind} cannot be removed"))
    return wrong

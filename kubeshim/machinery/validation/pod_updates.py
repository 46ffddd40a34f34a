"""What a change of a pod may change, by the door it comes through.

The pod itself lets few fields change; ``ephemeralcontainers`` only adds containers; ``resize`` only changes cpu and
memory; ``status`` may not bring a finished container back to life.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from kubeshim.machinery import objects
from kubeshim.machinery.errors import FieldError
from kubeshim.machinery.validation import content, differences, fields, pods

_UPDATABLE = (
    "`spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,"
    "`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)

_ONLY_ADDITIONS = "only additions are allowed (no mutations or deletions)"


def update(obj: objects.Object, old: objects.Object) -> list[FieldError]:
    """The pod's own door. ``pods.pod`` has judged the new pod by itself."""
    wrong = _mirror(obj, old)
    spec, before = obj.get("spec") or {}, old.get("spec") or {}
    for field in ("containers", "initContainers"):
        if len(spec.get(field) or ()) != len(before.get(field) or ()):
            text = "pod updates may not add or remove containers"
            return [*wrong, fields.forbidden(f"spec.{field}", text)]
    wrong += _deadline(spec.get("activeDeadlineSeconds"), before.get("activeDeadlineSeconds"))
    wrong += _tolerations(spec.get("tolerations") or (), before.get("tolerations") or ())
    wrong += _gates(spec.get("schedulingGates") or (), before.get("schedulingGates") or ())
    if spec == before:
        return wrong
    munged = _without_updatable(spec, before)
    if before.get("schedulingGates"):
        wrong += _gated(munged, before)
    if munged != before:
        text = f"pod updates may not change fields other than {_UPDATABLE}\n{differences.text(before, munged)}"
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


def _mirror(obj: objects.Object, old: objects.Object) -> list[FieldError]:
    new, previous = objects.annotations(obj).get(pods.MIRROR), objects.annotations(old).get(pods.MIRROR)
    if new == previous:
        return []
    verb = "add" if previous is None else "remove or update"
    return [fields.forbidden(f"metadata.annotations[{pods.MIRROR}]", f"may not {verb} mirror pod annotation")]


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
    if new == old:
        return []

    def bare(toleration: Mapping[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in toleration.items() if key != "tolerationSeconds"}

    kept = [bare(toleration) for toleration in new]
    if all(bare(toleration) in kept for toleration in old):
        return []
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
            wrong.append(fields.invalid("spec.nodeSelector", selector, _ONLY_ADDITIONS))
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
        return [fields.invalid(path + ".nodeSelectorTerms", terms, text)]
    wrong: list[FieldError] = []
    for index, (term, before) in enumerate(zip(terms, previous, strict=True)):
        for field in ("matchExpressions", "matchFields"):
            kept = (term.get(field) or [])[: len(before.get(field) or ())]
            if kept != (before.get(field) or []) or (not any(before.values()) and term != before):
                wrong.append(fields.invalid(f"{path}.nodeSelectorTerms[{index}]", term, _ONLY_ADDITIONS))
                break
    return wrong


def _put_back(target: dict[str, Any], before: Mapping[str, Any], field: str) -> None:
    target.pop(field, None)
    if field in before:
        target[field] = before[field]


def status(obj: objects.Object, old: objects.Object) -> list[FieldError]:
    """The status door."""
    wrong: list[FieldError] = []
    new, before = obj.get("status") or {}, old.get("status") or {}
    for index, condition in enumerate(new.get("conditions") or ()):
        kind = condition.get("type") or ""
        if kind not in ("PodScheduled", "Ready", "Initialized"):
            path = f"metadata.conditions[{index}].Type"
            wrong += fields.all_invalid(path, kind, content.qualified_name(kind))
    if before.get("qosClass") and new.get("qosClass") != before["qosClass"]:
        wrong.append(fields.invalid("status.qosClass", new.get("qosClass") or "", fields.IMMUTABLE))
    spec = old.get("spec") or {}
    sidecars = {c.get("name") for c in spec.get("initContainers") or () if c.get("restartPolicy") == "Always"}
    restart = spec.get("restartPolicy")
    own = {c.get("name") for c in spec.get("containers") or () if c.get("restartPolicy")}
    for field, policy, exempt in (
        ("containerStatuses", restart, own),
        ("initContainerStatuses", restart, sidecars),
        ("ephemeralContainerStatuses", "Never", set()),
    ):
        wrong += _revived(new.get(field) or (), before.get(field) or (), f"status.{field}", policy, exempt)
    return wrong + _addresses(new, "podIP") + _addresses(new, "hostIP")


def _revived(
    new: Sequence[Mapping[str, Any]], old: Sequence[Mapping[str, Any]], path: str, policy: Any, exempt: set[Any]
) -> list[FieldError]:
    """Containers that had ended for good and run again."""
    if policy == "Always":
        return []
    states = {status.get("name"): status.get("state") or {} for status in new}
    wrong: list[FieldError] = []
    for index, status in enumerate(old):
        ended = (status.get("state") or {}).get("terminated")
        name = status.get("name")
        if not ended or name in exempt or (policy == "OnFailure" and ended.get("exitCode")):
            continue
        if name in states and not states[name].get("terminated"):
            text = "may not be transitioned to non-terminated state"
            wrong.append(fields.forbidden(f"{path}[{index}].state", text))
    return wrong


def _addresses(status: Mapping[str, Any], field: str) -> list[FieldError]:
    """``podIPs`` / ``hostIPs``: valid, one of each family at most."""
    path, entries = f"status.{field}s", status.get(field + "s") or ()
    wrong: list[FieldError] = []
    seen: set[str] = set()
    for index, entry in enumerate(entries):
        address = entry.get("ip") or ""
        wrong += fields.all_invalid(f"{path}[{index}]", address, content.ip(address))
        if address in seen:
            wrong.append(fields.duplicate(f"{path}[{index}]", entry))
        seen.add(address)
    families = [":" in address for address in seen]
    if len(entries) > 1 and (len(set(families)) != 2 or len(entries) > 2):
        text = "may specify no more than one IP for each IP family"
        wrong.append(fields.invalid(path, list(entries), text))
    return wrong


def ephemeral_containers(obj: objects.Object, old: objects.Object) -> list[FieldError]:
    """The ``ephemeralcontainers`` door: new ones may be added, those there stay."""
    if pods.MIRROR in objects.annotations(old):
        return [fields.forbidden("", "static pods do not support ephemeral containers")]
    path = "spec.ephemeralContainers"
    new = {c.get("name"): c for c in (obj.get("spec") or {}).get("ephemeralContainers") or ()}
    wrong: list[FieldError] = []
    for container in (old.get("spec") or {}).get("ephemeralContainers") or ():
        name = container.get("name")
        if name not in new:
            text = f"existing ephemeral containers {fields.quote(name)} may not be removed\n"
            wrong.append(fields.forbidden(path, text))
        elif new[name] != container:
            text = f"existing ephemeral containers {fields.quote(name)} may not be changed\n"
            wrong.append(fields.forbidden(path, text + differences.text(container, new[name])))
    return wrong


def resize(obj: objects.Object, old: objects.Object, qos: tuple[str, str]) -> list[FieldError]:
    """The ``resize`` door. ``qos``: the class the new spec would have, and the old one's."""
    if pods.MIRROR in objects.annotations(old):
        return [fields.forbidden("", "static pods cannot be resized")]
    spec, before = obj.get("spec") or {}, old.get("spec") or {}
    if objects.dig(before, "os", "name") == "windows":
        return [fields.forbidden("", "windows pods cannot be resized")]
    wrong: list[FieldError] = []
    if qos[0] != qos[1]:
        wrong.append(fields.invalid("spec", qos[0], "Pod QOS Class may not change as a result of resizing"))
    for status in objects.dig(old, "status", "containerStatuses", default=()):
        if (status.get("state") or {}).get("running"):
            if status.get("resources") is None:
                wrong.append(fields.forbidden("spec", "Pod running on node without support for resize"))
            break
    munged = dict(spec)
    for field in ("containers", "initContainers"):
        if len(spec.get(field) or ()) != len(before.get(field) or ()):
            return [*wrong, fields.forbidden("spec", "only cpu and memory resources are mutable")]
        munged[field] = [
            _resized(new, previous, field, f"spec.{field}[{index}].resources", wrong)
            for index, (new, previous) in enumerate(zip(spec.get(field) or (), before.get(field) or (), strict=True))
        ]
        if not munged[field] and field not in before:
            del munged[field]
    if not wrong and munged != before:
        wrong.append(fields.forbidden("spec", "only cpu and memory resources are mutable"))
    return wrong


def _resized(
    new: Mapping[str, Any], old: Mapping[str, Any], field: str, path: str, wrong: list[FieldError]
) -> Mapping[str, Any]:
    """The new container with cpu and memory put back, complaints added to ``wrong``."""
    sidecar = field == "initContainers" and old.get("restartPolicy") == "Always"
    if field == "initContainers" and not sidecar:
        if new != old:
            wrong.append(fields.forbidden("spec", "resources for non-sidecar init containers are immutable"))
        return old
    wrong += _amounts(new.get("resources") or {}, old.get("resources") or {}, path)
    munged = {**new, "resources": _put_back_amounts(new.get("resources") or {}, old.get("resources") or {})}
    if munged != {**old, "resources": old.get("resources") or {}}:
        for_sidecars = " for sidecar containers" if sidecar else ""
        wrong.append(fields.forbidden("spec", f"only cpu and memory resources{for_sidecars} are mutable"))
    return old


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


def _amounts(new: Mapping[str, Any], old: Mapping[str, Any], path: str) -> list[FieldError]:
    wrong: list[FieldError] = []
    for kind in ("requests", "limits"):
        if set(old.get(kind) or ()) - set(new.get(kind) or ()):
            wrong.append(fields.forbidden(f"{path}.{kind}", f"resource {kind} cannot be removed"))
    return wrong

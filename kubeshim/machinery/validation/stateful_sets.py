"""StatefulSets."""

from collections.abc import Mapping, Sequence
from typing import Any

from kubeshim.machinery import objects, selectors
from kubeshim.machinery.errors import FieldError
from kubeshim.machinery.validation import claims, content, fields, go_structs, pod_warnings, warnings, workloads

_CHANGEABLE = (
    "replicas", "ordinals", "template", "updateStrategy", "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy", "minReadySeconds",
)  # fmt: skip
_RETENTION = ("Retain", "Delete")


def stateful_set(obj: objects.Object) -> list[FieldError]:
    return _set(obj.get("spec") or {})


def change(obj: objects.Object, old: objects.Object) -> list[FieldError]:
    """What cannot be put right any more, or was wrong before, is not held against a change."""
    spec, before = obj.get("spec") or {}, old.get("spec") or {}
    wrong = _set(spec, is_change=True, judges_template=not _set(before))
    new = {key: value for key, value in spec.items() if key not in _CHANGEABLE}
    if new != {key: value for key, value in before.items() if key not in _CHANGEABLE}:
        listed = ", ".join(f"'{name}'" for name in _CHANGEABLE[:-1]) + f" and '{_CHANGEABLE[-1]}'"
        text = f"updates to statefulset spec for fields other than {listed} are forbidden"
        wrong.append(fields.forbidden("spec", text))
    return wrong


def _set(spec: Mapping[str, Any], *, is_change: bool = False, judges_template: bool = True) -> list[FieldError]:
    wrong: list[FieldError] = []
    policy = spec.get("podManagementPolicy") or ""
    if not policy:
        wrong.append(fields.required("spec.podManagementPolicy"))
    elif policy not in ("OrderedReady", "Parallel"):
        wrong.append(fields.invalid("spec.podManagementPolicy", policy, "must be 'OrderedReady' or 'Parallel'"))
    wrong += _strategy(spec.get("updateStrategy") or {}, "spec.updateStrategy")
    if (retention := spec.get("persistentVolumeClaimRetentionPolicy")) is not None:
        for field in ("whenDeleted", "whenScaled"):
            path = f"spec.persistentVolumeClaimRetentionPolicy.{field}"
            wrong += fields.one_of(path, retention.get(field) or "", _RETENTION)
    if not is_change:
        for index, claim in enumerate(spec.get("volumeClaimTemplates") or ()):
            wrong += claims.spec(claim.get("spec") or {}, f"spec.volumeClaimTemplates[{index}].spec")
    wrong += workloads.counts(spec, "replicas", "minReadySeconds")
    wrong += fields.non_negative("spec.ordinals.start", objects.dig(spec, "ordinals", "start"))
    if (name := spec.get("serviceName")) and not is_change:
        wrong += fields.all_invalid("spec.serviceName", name, content.dns_label(name))
    wrong += workloads.selector(spec, "statefulset")
    try:
        wrong += workloads.mismatch(spec)
    except selectors.SelectorError:
        return wrong + workloads.unreadable(spec, "")
    if judges_template:
        wrong += workloads.always_restarting(_with_claims(spec).get("template"), "StatefulSet")
    else:
        wrong += workloads.only_always(spec.get("template"), "StatefulSet")
    return wrong


def _with_claims(spec: Mapping[str, Any]) -> Mapping[str, Any]:
    """The spec as its pods will see it: claim templates stand in for volumes that mounts name."""
    asked: Sequence[Mapping[str, Any]] = spec.get("volumeClaimTemplates") or ()
    found = spec.get("template")
    if not asked or found is None:
        return spec
    pod_spec = dict(found.get("spec") or {})
    names = {objects.name(claim) for claim in asked}
    volumes = [volume for volume in pod_spec.get("volumes") or () if volume.get("name") not in names]
    volumes += [{"name": name, "persistentVolumeClaim": {"claimName": name}} for name in sorted(names)]
    return {**spec, "template": {**found, "spec": {**pod_spec, "volumes": volumes}}}


def _strategy(found: Mapping[str, Any], path: str) -> list[FieldError]:
    kind, rolling = found.get("type") or "", found.get("rollingUpdate")
    if not kind:
        return [fields.required(path)]
    if kind == "RollingUpdate":
        return _rolling(rolling or {}, path + ".rollingUpdate")
    if kind != "OnDelete":
        shown = go_structs.shown(go_structs.STATEFUL_STRATEGY, found)
        return [fields.invalid(path, shown, "must be 'RollingUpdate' or 'OnDelete'")]
    if rolling is None:
        return []
    bad = go_structs.shown(go_structs.STATEFUL_ROLLING, rolling)
    return [fields.invalid(path + ".rollingUpdate", bad, "only allowed for updateStrategy 'RollingUpdate'")]


def _rolling(found: Mapping[str, Any], path: str) -> list[FieldError]:
    wrong = fields.non_negative(path + ".partition", found.get("partition"))
    unavailable, path = found.get("maxUnavailable"), path + ".maxUnavailable"
    if unavailable is None:
        return wrong
    wrong += workloads.int_or_percent(unavailable, path)
    if workloads.amount(unavailable) == 0:
        wrong.append(fields.invalid(path, unavailable, "cannot be 0"))
    return wrong + workloads.at_most_all(unavailable, path)


def warn(obj: objects.Object, old: objects.Object | None) -> list[str]:
    if old is not None and objects.dig(obj, "metadata", "generation") == objects.dig(old, "metadata", "generation"):
        return []
    spec = obj.get("spec") or {}
    found = pod_warnings.template(spec.get("template"), "spec.template")
    for index, claim in enumerate(spec.get("volumeClaimTemplates") or ()):
        found += warnings.claim_spec(claim.get("spec") or {}, f"spec.volumeClaimTemplates[{index}]")
    if (spec.get("revisionHistoryLimit") or 0) < 0:
        text = "a negative value retains all historical revisions; a value >= 0 is recommended"
        found.append(f"spec.revisionHistoryLimit: {text}")
    return found

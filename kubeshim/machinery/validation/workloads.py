"""Deployments, ReplicaSets, StatefulSets, DaemonSets and ReplicationControllers.

What they have in common: a selector that must match the template's labels and, once made, never changes; a template
whose pods restart always.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from kubeshim.machinery import objects, selectors
from kubeshim.machinery.errors import FieldError
from kubeshim.machinery.validation import claims, content, fields, metadata, pods

_MISMATCH = "`selector` does not match template `labels`"
_PERCENT = re.compile("[0-9]+%").fullmatch
_PERCENT_TEXT = content.regex_error(
    "a valid percent string must be a numeric string followed by an ending '%'", "[0-9]+%", "1%", "93%"
)


def selected_template(spec: Mapping[str, Any], noun: str, kind: str) -> list[FieldError]:
    """``spec.selector`` and ``spec.template``; ``noun`` and ``kind`` name the workload in the words."""
    selector, found = spec.get("selector"), spec.get("template")
    wrong: list[FieldError] = []
    if selector is None:
        wrong.append(fields.required("spec.selector"))
    else:
        wrong += metadata.label_selector(selector, "spec.selector")
        if not selector.get("matchLabels") and not selector.get("matchExpressions"):
            wrong.append(fields.invalid("spec.selector", selector, f"empty selector is invalid for {noun}"))
    try:
        parsed = selectors.from_label_selector(selector)
    except selectors.SelectorError:
        wrong.append(fields.invalid("spec.selector", selector, "invalid label selector"))
        return wrong
    if found is not None and not parsed.nothing and not parsed.empty:
        labels = objects.dig(found, "metadata", "labels", default={})
        if not parsed.matches(labels):
            wrong.append(fields.invalid("spec.template.metadata.labels", labels, _MISMATCH))
    return wrong + always_restarting(found, kind)


def always_restarting(found: Mapping[str, Any] | None, kind: str) -> list[FieldError]:
    wrong = pods.template(found, "spec.template")
    spec = (found or {}).get("spec") or {}
    if found is not None and spec.get("restartPolicy") != "Always":
        path = "spec.template.spec.restartPolicy"
        wrong.append(fields.not_supported(path, spec.get("restartPolicy") or "", ("Always",)))
    if spec.get("activeDeadlineSeconds") is not None:
        text = f"activeDeadlineSeconds in {kind} is not Supported"
        wrong.append(fields.forbidden("spec.template.spec.activeDeadlineSeconds", text))
    return wrong


def _counts(spec: Mapping[str, Any], *names: str) -> list[FieldError]:
    return [problem for name in names for problem in fields.non_negative(f"spec.{name}", spec.get(name))]


def deployment(obj: objects.Object) -> list[FieldError]:
    spec = obj.get("spec") or {}
    wrong = _counts(spec, "replicas") + selected_template(spec, "deployment", "ReplicaSet")
    wrong += _deployment_strategy(spec.get("strategy") or {}, "spec.strategy")
    wrong += _counts(spec, "minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds")
    deadline, ready = spec.get("progressDeadlineSeconds"), spec.get("minReadySeconds") or 0
    if deadline is not None and deadline <= ready:
        text = "must be greater than minReadySeconds"
        wrong.append(fields.invalid("spec.progressDeadlineSeconds", deadline, text))
    return wrong


def _deployment_strategy(found: Mapping[str, Any], path: str) -> list[FieldError]:
    kind, rolling = found.get("type") or "", found.get("rollingUpdate")
    if kind == "Recreate":
        text = "may not be specified when strategy `type` is 'Recreate'"
        return [fields.forbidden(path + ".rollingUpdate", text)] if rolling is not None else []
    if kind != "RollingUpdate":
        return [fields.not_supported(path, dict(found), ("Recreate", "RollingUpdate"))]
    if rolling is None:
        return [fields.required(path + ".rollingUpdate", "this should be defaulted and never be nil")]
    return _rolling(rolling, path + ".rollingUpdate", "may not be 0 when `maxSurge` is 0")


def _rolling(found: Mapping[str, Any], path: str, both_zero: str) -> list[FieldError]:
    unavailable, surge = found.get("maxUnavailable", 0), found.get("maxSurge", 0)
    wrong = int_or_percent(unavailable, path + ".maxUnavailable") + int_or_percent(surge, path + ".maxSurge")
    if _amount(unavailable) == 0 and _amount(surge) == 0:
        wrong.append(fields.invalid(path + ".maxUnavailable", unavailable, both_zero))
    return wrong + at_most_all(unavailable, path + ".maxUnavailable")


def int_or_percent(value: Any, path: str) -> list[FieldError]:
    if isinstance(value, str):
        return [] if _PERCENT(value) else [fields.invalid(path, value, _PERCENT_TEXT)]
    return fields.non_negative(path, value)


def at_most_all(value: Any, path: str) -> list[FieldError]:
    if isinstance(value, str) and _PERCENT(value) and int(value[:-1]) > 100:
        return [fields.invalid(path, value, "must not be greater than 100%")]
    return []


def _amount(value: Any) -> int:
    if isinstance(value, str):
        return int(value[:-1]) if _PERCENT(value) else 0
    return value or 0


def immutable_selector(obj: objects.Object, old: objects.Object) -> list[FieldError]:
    new, before = objects.dig(obj, "spec", "selector"), objects.dig(old, "spec", "selector")
    return fields.immutable("spec.selector", new, before)


def replica_set(obj: objects.Object) -> list[FieldError]:
    spec = obj.get("spec") or {}
    wrong = _counts(spec, "replicas", "minReadySeconds")
    return wrong + selected_template(spec, "deployment", "ReplicaSet")


def replication_controller(obj: objects.Object) -> list[FieldError]:
    spec = obj.get("spec") or {}
    selector, found = spec.get("selector") or {}, spec.get("template")
    wrong = _counts(spec, "minReadySeconds")
    if not selector:
        wrong.append(fields.required("spec.selector"))
    wrong += _counts(spec, "replicas")
    labels = objects.dig(found, "metadata", "labels", default={})
    if found is not None and selector and not selectors.from_set(selector).matches(labels):
        wrong.append(fields.invalid("spec.template.metadata.labels", labels, _MISMATCH))
    return wrong + always_restarting(found, "ReplicationController")


def daemon_set(obj: objects.Object) -> list[FieldError]:
    spec = obj.get("spec") or {}
    wrong = selected_template(spec, "daemonset", "DaemonSet") + _counts(spec, "minReadySeconds")
    strategy = spec.get("updateStrategy") or {}
    path, kind, rolling = "spec.updateStrategy", strategy.get("type") or "", strategy.get("rollingUpdate")
    if kind == "RollingUpdate":
        if rolling is None:
            wrong.append(fields.required(path + ".rollingUpdate"))
        else:
            wrong += _daemon_rolling(rolling, path + ".rollingUpdate")
    elif kind != "OnDelete":
        wrong.append(fields.not_supported(path, dict(strategy), ("OnDelete", "RollingUpdate")))
    return wrong + _counts(spec, "revisionHistoryLimit")


def _daemon_rolling(found: Mapping[str, Any], path: str) -> list[FieldError]:
    unavailable, surge = found.get("maxUnavailable", 0), found.get("maxSurge", 0)
    wrong = int_or_percent(unavailable, path + ".maxUnavailable") + int_or_percent(surge, path + ".maxSurge")
    wrong += at_most_all(unavailable, path + ".maxUnavailable") + at_most_all(surge, path + ".maxSurge")
    if _amount(unavailable) and _amount(surge):
        wrong.append(fields.invalid(path + ".maxSurge", surge, "may not be set when maxUnavailable is non-zero"))
    elif not _amount(unavailable) and not _amount(surge):
        text = "cannot be 0 when maxSurge is 0"
        wrong.append(fields.invalid(path + ".maxUnavailable", unavailable, text))
    return wrong


_CHANGEABLE = (
    "replicas", "ordinals", "template", "updateStrategy", "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy", "minReadySeconds",
)  # fmt: skip
_RETENTION = ("Retain", "Delete")


def stateful_set(obj: objects.Object) -> list[FieldError]:
    spec = obj.get("spec") or {}
    wrong: list[FieldError] = []
    policy = spec.get("podManagementPolicy") or ""
    if policy not in ("OrderedReady", "Parallel"):
        text = "must be 'OrderedReady' or 'Parallel'"
        wrong.append(fields.invalid("spec.podManagementPolicy", policy, text))
    wrong += _stateful_strategy(spec.get("updateStrategy") or {}, "spec.updateStrategy")
    retention = spec.get("persistentVolumeClaimRetentionPolicy") or {}
    for field in ("whenDeleted", "whenScaled"):
        if retention.get(field) not in _RETENTION:
            path = f"spec.persistentVolumeClaimRetentionPolicy.{field}"
            wrong.append(fields.not_supported(path, retention.get(field) or "", _RETENTION))
    wrong += _counts(spec, "replicas", "minReadySeconds")
    wrong += fields.non_negative("spec.ordinals.start", objects.dig(spec, "ordinals", "start"))
    wrong += _counts(spec, "revisionHistoryLimit")
    if name := spec.get("serviceName"):
        wrong += fields.all_invalid("spec.serviceName", name, content.dns_subdomain(name))
    for index, claim in enumerate(spec.get("volumeClaimTemplates") or ()):
        wrong += claims.spec(claim.get("spec") or {}, f"spec.volumeClaimTemplates[{index}].spec")
    return wrong + selected_template(_with_claims(spec), "statefulset", "StatefulSet")


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


def _stateful_strategy(found: Mapping[str, Any], path: str) -> list[FieldError]:
    kind, rolling = found.get("type") or "", found.get("rollingUpdate")
    if not kind:
        return [fields.required(path)]
    if kind == "RollingUpdate":
        wrong = fields.non_negative(path + ".rollingUpdate.partition", (rolling or {}).get("partition"))
        unavailable = (rolling or {}).get("maxUnavailable")
        if unavailable is not None:
            place = path + ".rollingUpdate.maxUnavailable"
            wrong += int_or_percent(unavailable, place) + at_most_all(unavailable, place)
            if _amount(unavailable) == 0:
                wrong.append(fields.invalid(place, unavailable, "cannot be 0"))
        return wrong
    if kind == "OnDelete":
        if rolling is not None:
            text = "only allowed for updateStrategy 'RollingUpdate'"
            return [fields.invalid(path + ".rollingUpdate", rolling, text)]
        return []
    return [fields.invalid(path, dict(found), "must be 'RollingUpdate' or 'OnDelete'")]


def stateful_set_update(obj: objects.Object, old: objects.Object) -> list[FieldError]:
    new = {key: value for key, value in (obj.get("spec") or {}).items() if key not in _CHANGEABLE}
    before = {key: value for key, value in (old.get("spec") or {}).items() if key not in _CHANGEABLE}
    if new == before:
        return []
    listed = ", ".join(f"'{name}'" for name in _CHANGEABLE[:-1]) + f" and '{_CHANGEABLE[-1]}'"
    text = f"updates to statefulset spec for fields other than {listed} are forbidden"
    return [fields.forbidden("spec", text)]


def controller_revision(obj: objects.Object) -> list[FieldError]:
    wrong = [] if obj.get("data") is not None else [fields.required("data", "data is mandatory")]
    return wrong + fields.non_negative("revision", obj.get("revision"))


def controller_revision_update(obj: objects.Object, old: objects.Object) -> list[FieldError]:
    return fields.immutable("data", obj.get("data"), old.get("data"))

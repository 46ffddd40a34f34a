"""Deployments, ReplicaSets, DaemonSets and ReplicationControllers.

What they have in common: a selector that must match the template's labels and, once made, never changes; a template
whose pods restart always.
"""

import re
from collections.abc import Mapping
from typing import Any

from kubeshim.machinery import objects, selectors
from kubeshim.machinery.errors import FieldError
from kubeshim.machinery.validation import content, fields, go_structs, metadata, pods

_MISMATCH = "`selector` does not match template `labels`"
_PERCENT = re.compile("[0-9]+%").fullmatch
_PERCENT_TEXT = content.regex_error(
    "a valid percent string must be a numeric string followed by an ending '%'", "[0-9]+%", "1%", "93%"
)


def selector(spec: Mapping[str, Any], noun: str) -> list[FieldError]:
    """``spec.selector``; ``noun`` names the workload in the words."""
    selector = spec.get("selector")
    if selector is None:
        return [fields.required("spec.selector")]
    wrong = metadata.label_selector(selector, "spec.selector")
    return wrong + _not_empty(selector, noun)


def _not_empty(selector: Mapping[str, Any] | None, noun: str) -> list[FieldError]:
    if selector is None or selector.get("matchLabels") or selector.get("matchExpressions"):
        return []
    text = f"empty selector is invalid for {noun}"
    return [fields.invalid("spec.selector", fields.shown_selector(selector), text)]


def mismatch(spec: Mapping[str, Any]) -> list[FieldError]:
    """A selector must match the labels of the template; raises ``SelectorError`` for one that cannot be read."""
    parsed = selectors.from_label_selector(spec.get("selector"))
    labels = objects.dig(spec, "template", "metadata", "labels", default=None)
    if parsed.empty or parsed.matches(labels or {}):
        return []
    return [fields.invalid("spec.template.metadata.labels", labels, _MISMATCH)]


def unreadable(spec: Mapping[str, Any], text: str) -> list[FieldError]:
    return [fields.invalid("spec.selector", fields.shown_selector(spec.get("selector")), text)]


def selected_template(spec: Mapping[str, Any]) -> list[FieldError]:
    """What Deployments and ReplicaSets say of selector and template."""
    wrong = selector(spec, "deployment")
    try:
        wrong += mismatch(spec)
    except selectors.SelectorError:
        return wrong + unreadable(spec, "invalid label selector")
    return wrong + always_restarting(spec.get("template"), "ReplicaSet")


def always_restarting(found: Mapping[str, Any] | None, kind: str) -> list[FieldError]:
    return pods.template(found, "spec.template") + only_always(found, kind)


def only_always(found: Mapping[str, Any] | None, kind: str) -> list[FieldError]:
    """``kind`` names the workload in the words."""
    wrong: list[FieldError] = []
    spec = (found or {}).get("spec") or {}
    if found is not None and spec.get("restartPolicy") != "Always":
        path = "spec.template.spec.restartPolicy"
        wrong.append(fields.not_supported(path, spec.get("restartPolicy") or "", ("Always",)))
    if spec.get("activeDeadlineSeconds") is not None:
        text = f"activeDeadlineSeconds in {kind} is not Supported"
        wrong.append(fields.forbidden("spec.template.spec.activeDeadlineSeconds", text))
    return wrong


def counts(spec: Mapping[str, Any], *names: str) -> list[FieldError]:
    return [problem for name in names for problem in fields.non_negative(f"spec.{name}", spec.get(name))]


def deployment(obj: objects.Object) -> list[FieldError]:
    spec = obj.get("spec") or {}
    wrong = counts(spec, "replicas") + selected_template(spec)
    wrong += _deployment_strategy(spec.get("strategy") or {}, "spec.strategy")
    wrong += counts(spec, "minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds")
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
        shown = go_structs.shown(go_structs.DEPLOYMENT_STRATEGY, found)
        return [fields.not_supported(path, shown, ("Recreate", "RollingUpdate"))]
    if rolling is None:
        return [fields.required(path + ".rollingUpdate", "this should be defaulted and never be nil")]
    return _rolling(rolling, path + ".rollingUpdate", "may not be 0 when `maxSurge` is 0")


def _rolling(found: Mapping[str, Any], path: str, both_zero: str) -> list[FieldError]:
    unavailable, surge = found.get("maxUnavailable", 0), found.get("maxSurge", 0)
    wrong = int_or_percent(unavailable, path + ".maxUnavailable") + int_or_percent(surge, path + ".maxSurge")
    if amount(unavailable) == 0 and amount(surge) == 0:
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


def amount(value: Any) -> int:
    if isinstance(value, str):
        return int(value[:-1]) if _PERCENT(value) else int(value) if value.isascii() and value.isdigit() else 0
    return value or 0


def _immutable_selector(obj: objects.Object, old: objects.Object) -> list[FieldError]:
    new, before = objects.dig(obj, "spec", "selector"), objects.dig(old, "spec", "selector")
    if new == before:
        return []
    return [fields.invalid("spec.selector", fields.shown_selector(new), fields.IMMUTABLE)]


def deployment_change(obj: objects.Object, old: objects.Object) -> list[FieldError]:
    return deployment(obj) + _immutable_selector(obj, old)


def replica_set(obj: objects.Object) -> list[FieldError]:
    spec = obj.get("spec") or {}
    return counts(spec, "replicas", "minReadySeconds") + selected_template(spec)


def replica_set_change(obj: objects.Object, old: objects.Object) -> list[FieldError]:
    """Told twice: as an object and as a change."""
    return replica_set(obj) * 2 + _immutable_selector(obj, old)


def replication_controller(obj: objects.Object) -> list[FieldError]:
    spec = obj.get("spec") or {}
    selector, found = spec.get("selector") or {}, spec.get("template")
    wrong = counts(spec, "minReadySeconds")
    if not selector:
        wrong.append(fields.required("spec.selector"))
    wrong += counts(spec, "replicas")
    if found is None:
        return [*wrong, fields.required("spec.template")]
    labels = objects.dig(found, "metadata", "labels", default=None)
    if selector and not selectors.from_set(selector).matches(labels or {}):
        wrong.append(fields.invalid("spec.template.metadata.labels", labels, _MISMATCH))
    return wrong + always_restarting(found, "ReplicationController")


def replication_controller_change(obj: objects.Object, old: objects.Object) -> list[FieldError]:
    """Told twice: as an object and as a change."""
    return replication_controller(obj) * 2


def daemon_set(obj: objects.Object) -> list[FieldError]:
    spec = obj.get("spec") or {}
    selector = spec.get("selector")
    wrong = metadata.label_selector(selector, "spec.selector")
    try:
        parsed = selectors.from_label_selector(selector)
        labels = objects.dig(spec, "template", "metadata", "labels", default=None)
        if not parsed.matches(labels or {}):
            wrong.append(fields.invalid("spec.template.metadata.labels", labels, _MISMATCH))
    except selectors.SelectorError:
        pass  # the selector's own check has told
    wrong += _not_empty(selector, "daemonset") + always_restarting(spec.get("template"), "DaemonSet")
    wrong += counts(spec, "minReadySeconds")
    strategy = spec.get("updateStrategy") or {}
    path, kind, rolling = "spec.updateStrategy", strategy.get("type") or "", strategy.get("rollingUpdate")
    if kind == "RollingUpdate":
        if rolling is None:
            wrong.append(fields.required(path + ".rollingUpdate"))
        else:
            wrong += _daemon_rolling(rolling, path + ".rollingUpdate")
    elif kind != "OnDelete":
        shown = go_structs.shown(go_structs.DEPLOYMENT_STRATEGY, strategy)
        wrong.append(fields.not_supported(path, shown, ("RollingUpdate", "OnDelete")))
    return wrong + counts(spec, "revisionHistoryLimit")


def daemon_set_change(obj: objects.Object, old: objects.Object) -> list[FieldError]:
    """Told twice: as an object and as a change."""
    return daemon_set(obj) * 2 + _immutable_selector(obj, old)


def _daemon_rolling(found: Mapping[str, Any], path: str) -> list[FieldError]:
    unavailable, surge = found.get("maxUnavailable", 0), found.get("maxSurge", 0)
    wrong = int_or_percent(unavailable, path + ".maxUnavailable") + int_or_percent(surge, path + ".maxSurge")
    wrong += at_most_all(unavailable, path + ".maxUnavailable") + at_most_all(surge, path + ".maxSurge")
    if amount(unavailable) and amount(surge):
        wrong.append(fields.invalid(path + ".maxSurge", surge, "may not be set when maxUnavailable is non-zero"))
    elif not amount(unavailable) and not amount(surge):
        wrong.append(fields.required(path + ".maxUnavailable", "cannot be 0 when maxSurge is 0"))
    return wrong


def controller_revision(obj: objects.Object) -> list[FieldError]:
    wrong = [] if obj.get("data") is not None else [fields.required("data", "data is mandatory")]
    return wrong + fields.non_negative("revision", obj.get("revision"))


def controller_revision_update(obj: objects.Object, old: objects.Object) -> list[FieldError]:
    new = obj.get("data")
    return fields.immutable("data", fields.Struct(new) if isinstance(new, dict) else new, old.get("data"))

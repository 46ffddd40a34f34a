"""Policy, scheduling, coordination, run-time classes and API services."""

from collections.abc import Mapping, Sequence
from typing import Any

from kubeshim.machinery import objects
from kubeshim.machinery.errors import FieldError
from kubeshim.machinery.validation import (
    amounts,
    conditions,
    content,
    fields,
    go_structs,
    metadata,
    scheduling,
    warnings,
    workloads,
)

_HIGHEST_USER_PRIORITY = 1_000_000_000
_SYSTEM_CLASSES = {"system-node-critical": 2_000_001_000, "system-cluster-critical": 2_000_000_000}


def disruption_budget(obj: objects.Object) -> list[FieldError]:
    spec = obj.get("spec") or {}
    least, most = spec.get("minAvailable"), spec.get("maxUnavailable")
    wrong: list[FieldError] = []
    if least is not None and most is not None:
        text = "minAvailable and maxUnavailable cannot be both set"
        shown = go_structs.shown(go_structs.DISRUPTION_BUDGET, spec)
        shown["Selector"] = fields.shown_selector(spec.get("selector"))
        wrong.append(fields.invalid("spec", shown, text))
    for field, value in (("minAvailable", least), ("maxUnavailable", most)):
        if value is not None:
            path = f"spec.{field}"
            wrong += workloads.int_or_percent(value, path) + workloads.at_most_all(value, path)
    wrong += metadata.label_selector(spec.get("selector"), "spec.selector")
    policy = spec.get("unhealthyPodEvictionPolicy")
    if policy is not None:
        wrong += fields.one_of("spec.unhealthyPodEvictionPolicy", policy, ("AlwaysAllow", "IfHealthyBudget"))
    return wrong


def disruption_status(obj: objects.Object, old: objects.Object) -> list[FieldError]:
    found = obj.get("status") or {}
    wrong = conditions.validate(found.get("conditions") or (), "status.conditions")
    for field in ("disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods"):
        wrong += fields.non_negative(f"status.{field}", found.get(field))
    return wrong


def priority_class(obj: objects.Object) -> list[FieldError]:
    name, value = objects.name(obj), obj.get("value") or 0
    wrong: list[FieldError] = []
    if name.startswith("system-"):
        if why := _not_of_the_system(name, value, bool(obj.get("globalDefault"))):
            text = "priority class names with 'system-' prefix are reserved for system use only. error: "
            wrong.append(fields.forbidden("metadata.name", text + why))
    elif value > _HIGHEST_USER_PRIORITY:
        text = f"maximum allowed value of a user defined priority is {_HIGHEST_USER_PRIORITY}"
        wrong.append(fields.forbidden("value", text))
    policy = obj.get("preemptionPolicy")
    if policy == "":
        wrong.append(fields.required("preemptionPolicy"))
    elif policy is not None:
        wrong += fields.one_of("preemptionPolicy", policy, ("PreemptLowerPriority", "Never"))
    return wrong


def _not_of_the_system(name: str, value: int, is_default: bool) -> str:
    if name not in _SYSTEM_CLASSES:
        return f"{name} is not a known system priority class"
    if value != _SYSTEM_CLASSES[name]:
        return f"value of {name} PriorityClass must be {_SYSTEM_CLASSES[name]}"
    return f"globalDefault of {name} PriorityClass must be false" if is_default else ""


def priority_class_update(obj: objects.Object, old: objects.Object) -> list[FieldError]:
    wrong: list[FieldError] = []
    if (obj.get("value") or 0) != (old.get("value") or 0):
        wrong.append(fields.forbidden("value", "may not be changed in an update."))
    new = obj.get("preemptionPolicy")
    return wrong + fields.immutable("preemptionPolicy", new, old.get("preemptionPolicy"))


def lease(obj: objects.Object) -> list[FieldError]:
    spec = obj.get("spec") or {}
    wrong: list[FieldError] = []
    duration, transitions = spec.get("leaseDurationSeconds"), spec.get("leaseTransitions")
    if duration is not None:
        wrong += fields.positive("spec.leaseDurationSeconds", duration)
    if transitions is not None and transitions < 0:
        text = "must be greater than or equal to 0"
        wrong.append(fields.invalid("spec.leaseTransitions", transitions, text))
    if (strategy := spec.get("strategy")) is not None:
        if "/" in strategy:
            wrong += fields.all_invalid("spec.strategy", strategy, content.qualified_name(strategy))
        else:
            wrong += fields.one_of("spec.strategy", strategy, ("OldestEmulationVersion",))
    if spec.get("preferredHolder") and not spec.get("strategy"):
        text = "may only be specified when `strategy` is defined"
        wrong.append(fields.forbidden("spec.preferredHolder", text))
    return wrong


def runtime_class(obj: objects.Object) -> list[FieldError]:
    handler = obj.get("handler") or ""
    wrong = fields.all_invalid("handler", handler, content.dns_label(handler))
    fixed = objects.dig(obj, "overhead", "podFixed")
    if fixed:
        wrong += amounts.requirements({"limits": fixed}, "overhead")
    found = obj.get("scheduling") or {}
    if found.get("nodeSelector"):
        wrong += metadata.labels(found["nodeSelector"], "scheduling.nodeSelector")
    return wrong + _tolerations(found.get("tolerations") or (), "scheduling.tolerations")


def _tolerations(found: Sequence[Mapping[str, Any]], path: str) -> list[FieldError]:
    wrong = scheduling.tolerations(found, path + ".tolerations")
    seen: set[tuple[Any, ...]] = set()
    for index, one in enumerate(found):
        key = tuple(one.get(field) or "" for field in ("key", "operator", "value", "effect"))
        if key in seen:
            wrong.append(fields.duplicate(f"{path}[{index}]", go_structs.shown(go_structs.TOLERATION, one)))
        seen.add(key)
    return wrong


def warn_runtime_class(obj: objects.Object, old: objects.Object | None) -> list[str]:
    chosen = objects.dig(obj, "scheduling", "nodeSelector", default={}) or {}
    return [f"scheduling.nodeSelector: {text}" for key in chosen if (text := warnings.old_label(key))]


def runtime_class_update(obj: objects.Object, old: objects.Object) -> list[FieldError]:
    return fields.immutable("handler", obj.get("handler"), old.get("handler"))


def api_service(obj: objects.Object) -> list[FieldError]:
    spec = obj.get("spec") or {}
    group, version, name = spec.get("group") or "", spec.get("version") or "", objects.name(obj)
    wrong: list[FieldError] = []
    required = f"{version}.{group}"
    if name != required and not (not group and name == f"{version}."):
        text = f'must be `spec.version+"."+spec.group`: {fields.quote(required)}'
        wrong.append(fields.invalid("metadata.name", name, text))
    if not version:
        wrong.append(fields.required("spec.version"))
    elif complaints := content.dns_1035_label(version):
        wrong.append(fields.invalid("spec.version", version, complaints[0]))
    for field, most in (("groupPriorityMinimum", 20000), ("versionPriority", 1000)):
        value = spec.get(field) or 0
        if not 0 < value <= most:
            text = f"must be positive and less than {most}"
            wrong.append(fields.invalid(f"spec.{field}", value, text))
    service, bundle = spec.get("service"), spec.get("caBundle")
    if service is None:
        if bundle:
            text = "local APIServices may not have a caBundle"
            wrong.append(fields.invalid("spec.caBundle", f"{len(bundle)} bytes", text))
        if spec.get("insecureSkipTLSVerify"):
            text = "local APIServices may not have insecureSkipTLSVerify"
            wrong.append(fields.invalid("spec.insecureSkipTLSVerify", True, text))
        return wrong
    wrong += [fields.required(f"spec.service.{name}") for name in ("namespace", "name") if not service.get(name)]
    if (port := service.get("port")) is not None:
        for _ in content.port_number(port):
            text = "port is not valid: must be between 1 and 65535, inclusive"
            wrong.append(fields.invalid("spec.service.port", port, text))
    if spec.get("insecureSkipTLSVerify") and bundle:
        text = "may not be true if caBundle is present"
        wrong.append(fields.invalid("spec.insecureSkipTLSVerify", True, text))
    return wrong

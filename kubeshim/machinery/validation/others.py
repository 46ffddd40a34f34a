"""Policy, scheduling, storage, coordination, autoscaling, run-time classes and API services."""

from collections.abc import Mapping
from typing import Any

from kubeshim.machinery import objects
from kubeshim.machinery.errors import FieldError
from kubeshim.machinery.validation import amounts, content, fields, metadata, scheduling, workloads

_HIGHEST_USER_PRIORITY = 1_000_000_000
_SYSTEM_CLASSES = {"system-node-critical": 2_000_001_000, "system-cluster-critical": 2_000_000_000}


def disruption_budget(obj: objects.Object) -> list[FieldError]:
    spec = obj.get("spec") or {}
    least, most = spec.get("minAvailable"), spec.get("maxUnavailable")
    wrong: list[FieldError] = []
    if least is not None and most is not None:
        text = "minAvailable and maxUnavailable cannot be both set"
        wrong.append(fields.invalid("spec", spec, text))
    for field, value in (("minAvailable", least), ("maxUnavailable", most)):
        if value is not None:
            path = f"spec.{field}"
            wrong += workloads.int_or_percent(value, path) + workloads.at_most_all(value, path)
    wrong += metadata.label_selector(spec.get("selector"), "spec.selector")
    policy = spec.get("unhealthyPodEvictionPolicy")
    if policy is not None:
        wrong += fields.one_of("spec.unhealthyPodEvictionPolicy", policy, ("AlwaysAllow", "IfHealthyBudget"))
    return wrong


def priority_class(obj: objects.Object) -> list[FieldError]:
    name, value = objects.name(obj), obj.get("value") or 0
    wrong: list[FieldError] = []
    if name.startswith("system-"):
        if _SYSTEM_CLASSES.get(name) != value:
            text = "priority class names with 'system-' prefix are reserved for system use only. error: "
            known = name in _SYSTEM_CLASSES
            why = f"value of {name} PriorityClass must be {_SYSTEM_CLASSES.get(name)}" if known else f"{name} is not a known system priority class"  # fmt: skip  # noqa: E501
            wrong.append(fields.forbidden("metadata.name", text + why))
    elif value > _HIGHEST_USER_PRIORITY:
        text = f"maximum allowed value of a user defined priority is {_HIGHEST_USER_PRIORITY}"
        wrong.append(fields.forbidden("value", text))
    policy = obj.get("preemptionPolicy")
    if policy is not None:
        wrong += fields.one_of("preemptionPolicy", policy, ("PreemptLowerPriority", "Never"))
    return wrong


def priority_class_update(obj: objects.Object, old: objects.Object) -> list[FieldError]:
    wrong: list[FieldError] = []
    if (obj.get("value") or 0) != (old.get("value") or 0):
        wrong.append(fields.forbidden("value", "may not be changed in an update."))
    new = obj.get("preemptionPolicy")
    return wrong + fields.immutable("preemptionPolicy", new, old.get("preemptionPolicy"))


def storage_class(obj: objects.Object) -> list[FieldError]:
    provisioner = obj.get("provisioner") or ""
    wrong: list[FieldError] = []
    if not provisioner:
        wrong.append(fields.required("provisioner"))
    else:
        wrong += fields.all_invalid("provisioner", provisioner, content.qualified_name(provisioner.lower()))
    parameters = obj.get("parameters") or {}
    if len(parameters) > 512:
        wrong.append(fields.too_long("parameters", 512))
    if "" in parameters:
        wrong.append(fields.invalid("parameters", "", "field can not be empty."))
    if obj.get("reclaimPolicy") is not None:
        wrong += fields.one_of("reclaimPolicy", obj["reclaimPolicy"], ("Delete", "Retain"))
    mode = obj.get("volumeBindingMode")
    if mode is None:
        wrong.append(fields.required("volumeBindingMode"))
    else:
        wrong += fields.one_of("volumeBindingMode", mode, ("Immediate", "WaitForFirstConsumer"))
    return wrong


def storage_class_update(obj: objects.Object, old: objects.Object) -> list[FieldError]:
    wrong: list[FieldError] = []
    if (obj.get("parameters") or {}) != (old.get("parameters") or {}):
        wrong.append(fields.forbidden("parameters", "updates to parameters are forbidden."))
    if obj.get("provisioner") != old.get("provisioner"):
        wrong.append(fields.forbidden("provisioner", "updates to provisioner are forbidden."))
    if obj.get("reclaimPolicy") != old.get("reclaimPolicy"):
        wrong.append(fields.forbidden("reclaimPolicy", "updates to reclaimPolicy are forbidden."))
    new = obj.get("volumeBindingMode")
    return wrong + fields.immutable("volumeBindingMode", new, old.get("volumeBindingMode"))


def lease(obj: objects.Object) -> list[FieldError]:
    spec = obj.get("spec") or {}
    wrong: list[FieldError] = []
    duration, transitions = spec.get("leaseDurationSeconds"), spec.get("leaseTransitions")
    if duration is not None:
        wrong += fields.positive("spec.leaseDurationSeconds", duration)
    if transitions is not None and transitions < 0:
        text = "must be greater than or equal to 0"
        wrong.append(fields.invalid("spec.leaseTransitions", transitions, text))
    if spec.get("preferredHolder") and not spec.get("strategy"):
        text = "may only be specified when `strategy` is defined"
        wrong.append(fields.forbidden("spec.preferredHolder", text))
    return wrong


_METRICS = ("ContainerResource", "External", "Object", "Pods", "Resource")
_METRIC_FIELDS = {
    "ContainerResource": "containerResource", "External": "external", "Object": "object", "Pods": "pods",
    "Resource": "resource",
}  # fmt: skip


def autoscaler(obj: objects.Object) -> list[FieldError]:
    """``autoscaling/v2``; the other version is converted before it is judged."""
    spec = obj.get("spec") or {}
    least, most = spec.get("minReplicas"), spec.get("maxReplicas") or 0
    wrong: list[FieldError] = []
    if least is not None and least < 1:
        wrong.append(fields.invalid("spec.minReplicas", least, "must be greater than or equal to 1"))
    if most < 1:
        wrong.append(fields.invalid("spec.maxReplicas", most, "must be greater than 0"))
    if least is not None and most < least:
        wrong.append(fields.invalid("spec.maxReplicas", most, "must be greater than or equal to `minReplicas`"))
    target = spec.get("scaleTargetRef") or {}
    for field in ("kind", "name"):
        text = target.get(field) or ""
        if not text:
            wrong.append(fields.required(f"spec.scaleTargetRef.{field}"))
        else:
            wrong += fields.all_invalid(f"spec.scaleTargetRef.{field}", text, content.path_segment(text))
    for index, metric in enumerate(spec.get("metrics") or ()):
        wrong += _metric(metric, f"spec.metrics[{index}]")
    behavior = spec.get("behavior") or {}
    for direction in ("scaleUp", "scaleDown"):
        if (rules := behavior.get(direction)) is not None:
            wrong += _scaling_rules(rules, f"spec.behavior.{direction}")
    return wrong


def _metric(metric: Mapping[str, Any], path: str) -> list[FieldError]:
    kind = metric.get("type") or ""
    if not kind:
        return [fields.required(path + ".type", "must specify a metric source type")]
    if kind not in _METRICS:
        return [fields.not_supported(path + ".type", kind, _METRICS)]
    field = _METRIC_FIELDS[kind]
    source = metric.get(field)
    if source is None:
        return [fields.required(f"{path}.{field}", "must populate information for the given metric source")]
    wrong: list[FieldError] = []
    if kind in ("Resource", "ContainerResource") and not source.get("name"):
        wrong.append(fields.required(f"{path}.{field}.name", "must specify a resource name"))
    if kind == "ContainerResource" and not source.get("container"):
        wrong.append(fields.required(f"{path}.{field}.container", "must specify a container"))
    if kind in ("Pods", "Object", "External") and not (source.get("metric") or {}).get("name"):
        wrong.append(fields.required(f"{path}.{field}.metric.name", "must specify a metric name"))
    return wrong + _metric_target(source.get("target") or {}, kind, f"{path}.{field}.target")


def _metric_target(target: Mapping[str, Any], kind: str, path: str) -> list[FieldError]:
    wrong: list[FieldError] = []
    sort, share = target.get("type") or "", target.get("averageUtilization")
    if not sort:
        wrong.append(fields.required(path + ".type", "must specify a metric target type"))
    elif sort not in ("Utilization", "Value", "AverageValue"):
        wrong.append(fields.invalid(path + ".type", sort, "must be either Utilization, Value, or AverageValue"))
    if share is not None and share < 1:
        wrong.append(fields.invalid(path + ".averageUtilization", share, "must be greater than 0"))
    for field in ("value", "averageValue"):
        if target.get(field) is not None:
            wrong += [
                fields.invalid(f"{path}.{field}", target[field], "must be positive")
                for _ in amounts.positive(target[field], path)
            ]
    if kind in ("Resource", "ContainerResource"):
        if share is None and target.get("averageValue") is None:
            text = "must set either a target raw value or a target utilization"
            wrong.append(fields.required(path + ".averageUtilization", text))
        elif share is not None and target.get("averageValue") is not None:
            text = "may not set both a target raw value and a target utilization"
            wrong.append(fields.forbidden(path + ".averageValue", text))
    return wrong


def _scaling_rules(rules: Mapping[str, Any], path: str) -> list[FieldError]:
    window, policies = rules.get("stabilizationWindowSeconds"), rules.get("policies") or ()
    wrong: list[FieldError] = []
    if window is not None and window < 0:
        wrong.append(
            fields.invalid(path + ".stabilizationWindowSeconds", window, "must be greater than or equal to zero")
        )
    if window is not None and window > 3600:
        text = "must be less than or equal to 3600"
        wrong.append(fields.invalid(path + ".stabilizationWindowSeconds", window, text))
    if rules.get("selectPolicy") is not None:
        wrong += fields.one_of(path + ".selectPolicy", rules["selectPolicy"], ("Disabled", "Max", "Min"))
    if not policies:
        wrong.append(fields.required(path + ".policies", "must specify at least one Policy"))
    for index, policy in enumerate(policies):
        place = f"{path}.policies[{index}]"
        wrong += fields.one_of(place + ".type", policy.get("type") or "", ("Percent", "Pods"))
        wrong += _greater_than_zero(policy, "value", place) + _greater_than_zero(policy, "periodSeconds", place)
        if (policy.get("periodSeconds") or 0) > 1800:
            text = "must be less than or equal to 1800"
            wrong.append(fields.invalid(place + ".periodSeconds", policy["periodSeconds"], text))
    return wrong


def _greater_than_zero(policy: Mapping[str, Any], field: str, path: str) -> list[FieldError]:
    value = policy.get(field) or 0
    return [fields.invalid(f"{path}.{field}", value, "must be greater than zero")] if value <= 0 else []


def runtime_class(obj: objects.Object) -> list[FieldError]:
    handler = obj.get("handler") or ""
    wrong = fields.all_invalid("handler", handler, content.dns_label(handler))
    fixed = objects.dig(obj, "overhead", "podFixed")
    if fixed:
        wrong += amounts.requirements({"limits": fixed}, "overhead.podFixed")
    found = obj.get("scheduling") or {}
    if found.get("nodeSelector"):
        wrong += metadata.labels(found["nodeSelector"], "scheduling.nodeSelector")
    if found.get("tolerations"):
        wrong += scheduling.tolerations(found["tolerations"], "scheduling.tolerations")
    return wrong


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

"""HorizontalPodAutoscalers, in the form of ``autoscaling/v2``; the other version is converted before it is judged."""

from collections.abc import Mapping
from typing import Any

from kubeshim.machinery import objects, quantity
from kubeshim.machinery.errors import FieldError
from kubeshim.machinery.validation import amounts, content, fields

_SOURCES = {
    "Object": "object", "External": "external", "Pods": "pods", "Resource": "resource",
    "ContainerResource": "containerResource",
}  # fmt: skip
"""Types of metrics and the fields that describe them, in the order they are judged."""
_TYPES = tuple(sorted(_SOURCES))
_TARGETS = ("Utilization", "Value", "AverageValue")
_LONGEST_PERIOD, _LONGEST_WINDOW = 1800, 3600

_Found = Mapping[str, Any]


def autoscaler(obj: objects.Object) -> list[FieldError]:
    spec = obj.get("spec") or {}
    least, most = spec.get("minReplicas"), spec.get("maxReplicas") or 0
    wrong: list[FieldError] = []
    if least is not None and least < 0:
        wrong.append(fields.invalid("spec.minReplicas", least, "must be greater than or equal to 0"))
    if most < 1:
        wrong.append(fields.invalid("spec.maxReplicas", most, "must be greater than 0"))
    if least is not None and most < least:
        wrong.append(fields.invalid("spec.maxReplicas", most, "must be greater than or equal to `minReplicas`"))
    wrong += _reference(spec.get("scaleTargetRef") or {}, "spec.scaleTargetRef")
    metrics = spec.get("metrics") or ()
    for index, metric in enumerate(metrics):
        wrong += _metric(metric, f"spec.metrics[{index}]")
    if least == 0 and not any(metric.get("type") in ("Object", "External") for metric in metrics):
        text = "must specify at least one Object or External metric to support scaling to zero replicas"
        wrong.append(fields.forbidden("spec.metrics", text))
    behavior = spec.get("behavior") or {}
    for direction in ("scaleUp", "scaleDown"):
        if (rules := behavior.get(direction)) is not None:
            wrong += _scaling_rules(rules, f"spec.behavior.{direction}")
    return wrong


def status(obj: objects.Object, old: objects.Object) -> list[FieldError]:
    found = obj.get("status") or {}
    return [
        problem
        for field in ("currentReplicas", "desiredReplicas")
        for problem in fields.non_negative(f"status.{field}", found.get(field))
    ]


def _reference(target: _Found, path: str) -> list[FieldError]:
    wrong: list[FieldError] = []
    for field in ("kind", "name"):
        if text := target.get(field):
            wrong += fields.all_invalid(f"{path}.{field}", text, content.path_segment(text))
        else:
            wrong.append(fields.required(f"{path}.{field}"))
    return wrong


def _metric(metric: _Found, path: str) -> list[FieldError]:
    kind = metric.get("type") or ""
    wrong = [] if kind else [fields.required(path + ".type", "must specify a metric source type")]
    wrong += fields.one_of(path + ".type", kind, _TYPES)
    given = [field for field in _SOURCES.values() if metric.get(field) is not None]
    if given:
        wrong += _source(metric[given[0]], given[0], f"{path}.{given[0]}")
    wanted = _SOURCES.get(kind)
    if wanted is None:
        wrong.append(fields.not_supported(path + ".type", kind, _TYPES))
    elif wanted not in given:
        wrong.append(fields.required(f"{path}.{wanted}", "must populate information for the given metric source"))
    if len(given) != 1:
        text = "must populate the given metric source only"
        wrong += [fields.forbidden(f"{path}.{field}", text) for field in given if field != wanted]
    return wrong


def _source(source: _Found, field: str, path: str) -> list[FieldError]:
    if field in ("resource", "containerResource"):
        return _resource(source, field, path)
    target, place = source.get("target") or {}, path + ".target"
    value, average = target.get("value"), target.get("averageValue")
    wrong = _reference(source.get("describedObject") or {}, path + ".describedObject") if field == "object" else []
    wrong += _identifier(source.get("metric") or {}, path + ".metric") + _target(target, place)
    if field == "pods":
        if average is None:
            wrong.append(fields.required(place + ".averageValue", "must specify a positive target averageValue"))
        return wrong
    if value is None and average is None:
        text = "must set either a target value or averageValue"
        if field == "external":
            text = "must set either a target value for metric or a per-pod target"
        wrong.append(fields.required(place + ".averageValue", text))
    if field == "external" and value is not None and average is not None:
        text = "may not set both a target value for metric and a per-pod target"
        wrong.append(fields.forbidden(place + ".value", text))
    return wrong


def _resource(source: _Found, field: str, path: str) -> list[FieldError]:
    name, container = source.get("name") or "", source.get("container") or ""
    wrong: list[FieldError] = []
    if not name:
        wrong.append(fields.required(path + ".name", "must specify a resource name"))
    elif field == "containerResource":
        wrong += amounts.container_resource_name(name, path + ".name")
    if field == "containerResource":
        if container:
            wrong += fields.all_invalid(path + ".container", container, content.dns_label(container))
        else:
            wrong.append(fields.required(path + ".container", "must specify a container"))
    target, place = source.get("target") or {}, path + ".target"
    wrong += _target(target, place)
    share, average = target.get("averageUtilization"), target.get("averageValue")
    if share is None and average is None:
        text = "must set either a target raw value or a target utilization"
        wrong.append(fields.required(place + ".averageUtilization", text))
    if share is not None and average is not None:
        text = "may not set both a target raw value and a target utilization"
        wrong.append(fields.forbidden(place + ".averageValue", text))
    return wrong


def _identifier(metric: _Found, path: str) -> list[FieldError]:
    name = metric.get("name") or ""
    if not name:
        return [fields.required(path + ".name", "must specify a metric name")]
    return fields.all_invalid(path + ".name", name, content.path_segment(name))


def _target(target: _Found, path: str) -> list[FieldError]:
    wrong: list[FieldError] = []
    sort, share = target.get("type") or "", target.get("averageUtilization")
    if not sort:
        wrong.append(fields.required(path + ".type", "must specify a metric target type"))
    if sort not in _TARGETS:
        wrong.append(fields.invalid(path + ".type", sort, "must be either Utilization, Value, or AverageValue"))
    for field in ("value", "averageValue"):
        if (amount := target.get(field)) is not None and quantity.parse(amount).milli() <= 0:
            wrong.append(fields.invalid(f"{path}.{field}", amount, "must be positive"))
    if share is not None and share < 1:
        wrong.append(fields.invalid(path + ".averageUtilization", share, "must be greater than 0"))
    return wrong


def _scaling_rules(rules: _Found, path: str) -> list[FieldError]:
    window, policies = rules.get("stabilizationWindowSeconds"), rules.get("policies") or ()
    wrong: list[FieldError] = []
    place = path + ".stabilizationWindowSeconds"
    if window is not None and window < 0:
        wrong.append(fields.invalid(place, window, "must be greater than or equal to zero"))
    if window is not None and window > _LONGEST_WINDOW:
        wrong.append(fields.invalid(place, window, f"must be less than or equal to {_LONGEST_WINDOW}"))
    if rules.get("selectPolicy") is not None:
        wrong += fields.one_of(path + ".selectPolicy", rules["selectPolicy"], ("Disabled", "Max", "Min"))
    if (tolerance := rules.get("tolerance")) is not None:
        wrong += amounts.non_negative(tolerance, path + ".tolerance")
    if not policies:
        wrong.append(fields.required(path + ".policies", "must specify at least one Policy"))
    for index, policy in enumerate(policies):
        wrong += _policy(policy, f"{path}.policies[{index}]")
    return wrong


def _policy(policy: _Found, path: str) -> list[FieldError]:
    value, period = policy.get("value") or 0, policy.get("periodSeconds") or 0
    wrong = fields.one_of(path + ".type", policy.get("type") or "", ("Percent", "Pods"))
    if value <= 0:
        wrong.append(fields.invalid(path + ".value", value, "must be greater than zero"))
    if period <= 0:
        wrong.append(fields.invalid(path + ".periodSeconds", period, "must be greater than zero"))
    if period > _LONGEST_PERIOD:
        text = f"must be less than or equal to {_LONGEST_PERIOD}"
        wrong.append(fields.invalid(path + ".periodSeconds", period, text))
    return wrong

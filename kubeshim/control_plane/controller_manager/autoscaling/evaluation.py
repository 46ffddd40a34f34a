"""What one of an autoscaler's metrics asks for: measured, then weighed, then told as its status is.

``Failed`` says twice what went wrong, as upstream does: once to the autoscaler's events and its ScalingActive
condition, and once, with more around it, in the summary of all metrics.
"""

import dataclasses

from kubeshim.control_plane.controller_manager.autoscaling import metrics_apis, replicas, usage
from kubeshim.machinery import quantity, selectors
from kubeshim.machinery.objects import Object


class Failed(Exception):
    def __init__(self, reason: str, why: str, summary: str) -> None:
        super().__init__(summary)
        self.reason, self.why = reason, why


@dataclasses.dataclass(frozen=True, slots=True)
class Outcome:
    replicas: int
    name: str
    """What the metric is called in events and conditions."""
    status: Object
    """Its entry in ``currentMetrics``."""


@dataclasses.dataclass(frozen=True, slots=True)
class Question:
    apis: metrics_apis.MetricsAPIs
    setting: replicas.Setting
    namespace: str
    selector: str
    running: int
    """The scale's ``status.replicas``."""


def evaluate(asked: Question, metric: Object) -> Outcome:
    """Raises ``Failed``."""
    match metric["type"]:
        case "Resource":
            return _resource(asked, metric["resource"])
        case "ContainerResource":
            return _container_resource(asked, metric["containerResource"])
        case "Pods":
            return _pods(asked, metric["pods"])
        case "Object":
            return _object(asked, metric["object"])
        case "External":
            return _external(asked, metric["external"])
        case other:
            text = f'unknown metric source type "{other}"'
            raise Failed("InvalidMetricSourceType", text, text)


def _resource(asked: Question, source: Object) -> Outcome:
    name = source["name"]
    try:
        found, called = _of_resource(asked, source, "")
    except usage.Unknown as error:
        text = f"failed to get {name} resource metric value: {error}"
        raise Failed("FailedGetResourceMetric", str(error), text) from error
    status = {"type": "Resource", "resource": {"name": name, "current": _current(found)}}
    return Outcome(found.replicas, called, status)


def _container_resource(asked: Question, source: Object) -> Outcome:
    name, container = source["name"], source["container"]
    try:
        found, called = _of_resource(asked, source, container)
    except usage.Unknown as error:
        text = f"failed to get {container} container metric value: {error}"
        raise Failed("FailedGetContainerResourceMetric", str(error), text) from error
    current = {"name": name, "container": container, "current": _current(found)}
    return Outcome(found.replicas, called, {"type": "ContainerResource", "containerResource": current})


def _of_resource(asked: Question, source: Object, container: str) -> tuple[replicas.Proposal, str]:
    name, target = source["name"], source["target"]
    average, share = target.get("averageValue"), target.get("averageUtilization")
    if average is None and share is None:
        text = "neither an average utilization target nor an average value (usage) target was set"
        raise usage.Unknown(f"invalid resource metric source: {text}")
    what = "utilization" if average is None else "usage"
    try:
        try:
            measured = asked.apis.resource(name, asked.namespace, asked.selector, container)
        except usage.Unknown as error:
            raise usage.Unknown(f"unable to get metrics for resource {name}: {error}") from error
        if average is not None:
            wanted = quantity.parse(average).milli()
            return replicas.for_average(asked.setting, measured, name, wanted), f"{name} resource"
        found = replicas.for_utilization(asked.setting, measured, name, container, int(share))
    except usage.Unknown as error:
        raise usage.Unknown(f"failed to get {name} {what}: {error}") from error
    kind = "container resource" if container else "resource"
    return found, f"{name} {kind} utilization (percentage of request)"


def _pods(asked: Question, source: Object) -> Outcome:
    name = source["metric"]["name"]
    try:
        chosen = _selector(source["metric"])
        try:
            measured = asked.apis.pods(name, asked.namespace, asked.selector, chosen)
        except usage.Unknown as error:
            raise usage.Unknown(f"unable to get metric {name}: {error}") from error
        wanted = quantity.parse(source["target"]["averageValue"]).milli()
        found = replicas.for_average(asked.setting, measured, "", wanted)
    except usage.Unknown as error:
        text = f"failed to get pods metric value: {error}"
        raise Failed("FailedGetPodsMetric", str(error), text) from error
    current = {"metric": _identifier(source), "current": _current(found)}
    return Outcome(found.replicas, f"pods metric {name}", {"type": "Pods", "pods": current})


def _object(asked: Question, source: Object) -> Outcome:
    name, target, reference = source["metric"]["name"], source["target"], source["describedObject"]
    per_pod = target.get("type") == "AverageValue" and target.get("averageValue") is not None
    try:
        if not per_pod and (target.get("type") != "Value" or target.get("value") is None):
            text = "neither a value target nor an average value target was set"
            raise usage.Unknown(f"invalid object metric source: {text}")
        chosen = _selector(source["metric"])
        try:
            amount = asked.apis.of_object(name, asked.namespace, reference, chosen)
        except usage.Unknown as error:
            # upstream's order of the words: kind, namespace, name, and only then the error
            where = f"{reference['kind']} on {asked.namespace} {reference['name']}"
            raise usage.Unknown(f"unable to get metric {name}: {where}/{error}") from error
        found = _weigh(asked, amount, target, per_pod)
    except usage.Unknown as error:
        inner = f"failed to get {name} object metric: {error}" if per_pod else str(error)
        raise Failed("FailedGetObjectMetric", str(error), f"failed to get object metric value: {inner}") from error
    current = {"metric": _identifier(source), "describedObject": reference, "current": _amount(found, per_pod)}
    if per_pod:
        current["describedObject"] = {"kind": "", "name": ""}
    called = _called(source) if per_pod else f"{reference['kind']} metric {name}"
    return Outcome(found.replicas, called, {"type": "Object", "object": current})


def _external(asked: Question, source: Object) -> Outcome:
    name, target = source["metric"]["name"], source["target"]
    per_pod = target.get("averageValue") is not None
    inner = f"failed to get {name} external metric" if per_pod else f"failed to get external metric {name}"
    try:
        if not per_pod and target.get("value") is None:
            inner = "invalid external metric source"
            raise usage.Unknown("neither a value target nor an average value target was set")
        try:
            amount = asked.apis.external(name, asked.namespace, _selector(source["metric"]))
        except usage.Unknown as error:
            shown = selectors.as_go_text(source["metric"].get("selector"))
            raise usage.Unknown(f"unable to get external metric {asked.namespace}/{name}/{shown}: {error}") from error
        found = _weigh(asked, amount, target, per_pod)
    except usage.Unknown as error:
        text = f"failed to get {name} external metric value: {inner}: {error}"
        why = f"{inner}: {error}" if inner.startswith("invalid") else str(error)
        raise Failed("FailedGetExternalMetric", why, text) from error
    current = {"metric": _identifier(source), "current": _amount(found, per_pod)}
    return Outcome(found.replicas, _called(source), {"type": "External", "external": current})


def _weigh(asked: Question, amount: int, target: Object, per_pod: bool) -> replicas.Proposal:
    if per_pod:
        wanted = quantity.parse(target["averageValue"]).milli()
        return replicas.for_value_per_pod(asked.setting, asked.running, amount, wanted)
    return replicas.for_value(asked.setting, amount, quantity.parse(target["value"]).milli())


def _selector(metric: Object) -> str:
    try:
        return str(selectors.from_label_selector(metric.get("selector")))
    except selectors.SelectorError as error:
        raise usage.Unknown(str(error)) from error


def _identifier(source: Object) -> Object:
    return {key: source["metric"][key] for key in ("name", "selector") if source["metric"].get(key) is not None}


def _current(found: replicas.Proposal) -> Object:
    told: Object = {"averageValue": quantity.of_milli(found.amount).canonical()}
    if found.share is not None:
        told["averageUtilization"] = found.share
    return told


def _amount(found: replicas.Proposal, per_pod: bool) -> Object:
    return {"averageValue" if per_pod else "value": quantity.of_milli(found.amount).canonical()}


def _called(source: Object) -> str:
    return f"external metric {source['metric']['name']}({selectors.as_go_text(source['metric'].get('selector'))})"

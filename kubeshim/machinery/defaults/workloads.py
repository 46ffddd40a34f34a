"""The kinds of apps, batch, autoscaling and policy."""

from kubeshim.machinery import objects
from kubeshim.machinery.defaults import core, pods, values


def deployment(obj: objects.Object) -> None:
    spec = values.child(obj, "spec")
    pods.template(spec.get("template"))
    values.fill(spec, "replicas", 1)
    strategy = values.child(spec, "strategy")
    values.fill_text(strategy, "type", "RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        rolling = values.child(strategy, "rollingUpdate")
        values.fill(rolling, "maxUnavailable", "25%")
        values.fill(rolling, "maxSurge", "25%")
    values.fill(spec, "revisionHistoryLimit", 10)
    values.fill(spec, "progressDeadlineSeconds", 600)


def replica_set(obj: objects.Object) -> None:
    spec = values.child(obj, "spec")
    values.fill(spec, "replicas", 1)
    pods.template(spec.get("template"))


def stateful_set(obj: objects.Object) -> None:
    spec = values.child(obj, "spec")
    pods.template(spec.get("template"))
    values.fill_text(spec, "podManagementPolicy", "OrderedReady")
    strategy = values.child(spec, "updateStrategy")
    if not strategy.get("type"):
        strategy["type"] = "RollingUpdate"
        values.fill(strategy, "rollingUpdate", {})
    rolling = strategy.get("rollingUpdate")
    if strategy["type"] == "RollingUpdate" and isinstance(rolling, dict):
        values.fill(rolling, "partition", 0)
        values.fill(rolling, "maxUnavailable", 1)
    retention = values.child(spec, "persistentVolumeClaimRetentionPolicy")
    values.fill_text(retention, "whenDeleted", "Retain")
    values.fill_text(retention, "whenScaled", "Retain")
    values.fill(spec, "replicas", 1)
    values.fill(spec, "revisionHistoryLimit", 10)
    for claim in values.children(spec, "volumeClaimTemplates"):
        claim["apiVersion"], claim["kind"] = "v1", "PersistentVolumeClaim"
        core.persistent_volume_claim(claim)


TEMPLATE_GENERATION = "deprecated.daemonset.template.generation"
"""The annotation that apps/v1 has for how often the template of a DaemonSet was changed."""


def template_generation(daemon_set: objects.Object) -> int:
    text = objects.annotations(daemon_set).get(TEMPLATE_GENERATION) or ""
    return int(text) if text.isascii() and text.isdigit() else 0


def daemon_set(obj: objects.Object) -> None:
    annotations = values.child(values.child(obj, "metadata"), "annotations")
    annotations.setdefault(TEMPLATE_GENERATION, "0")
    spec = values.child(obj, "spec")
    pods.template(spec.get("template"))
    strategy = values.child(spec, "updateStrategy")
    values.fill_text(strategy, "type", "RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        rolling = values.child(strategy, "rollingUpdate")
        values.fill(rolling, "maxUnavailable", 1)
        values.fill(rolling, "maxSurge", 0)
    values.fill(spec, "revisionHistoryLimit", 10)


def job(obj: objects.Object) -> None:
    spec = values.child(obj, "spec")
    if spec.get("completions") is None and spec.get("parallelism") is None:
        spec["completions"] = spec["parallelism"] = 1
    values.fill(spec, "parallelism", 1)
    # a limit per index takes the place of the common one, which then may never be what ends the job
    values.fill(spec, "backoffLimit", 6 if spec.get("backoffLimitPerIndex") is None else 2**31 - 1)
    values.fill(spec, "completionMode", "NonIndexed")
    values.fill(spec, "suspend", False)
    policy = spec.get("podFailurePolicy")
    values.fill(spec, "podReplacementPolicy", "Failed" if policy else "TerminatingOrFailed")
    _failure_policy(policy)
    labels = objects.dig(spec, "template", "metadata", "labels", default={})
    metadata = values.child(obj, "metadata")
    if labels and not metadata.get("labels"):
        metadata["labels"] = dict(labels)
    pods.template(spec.get("template"))


def _failure_policy(policy: objects.Object | None) -> None:
    for rule in values.children(policy or {}, "rules"):
        for pattern in values.children(rule, "onPodConditions"):
            values.fill_text(pattern, "status", "True")


def cron_job(obj: objects.Object) -> None:
    """The jobs it makes get their own defaults when they are made; here only their parts' are filled in."""
    spec = values.child(obj, "spec")
    values.fill_text(spec, "concurrencyPolicy", "Allow")
    values.fill(spec, "suspend", False)
    values.fill(spec, "successfulJobsHistoryLimit", 3)
    values.fill(spec, "failedJobsHistoryLimit", 1)
    pods.template(objects.dig(spec, "jobTemplate", "spec", "template"))
    _failure_policy(objects.dig(spec, "jobTemplate", "spec", "podFailurePolicy"))


def autoscaler_v1(obj: objects.Object) -> None:
    values.fill(values.child(obj, "spec"), "minReplicas", 1)


_SCALE_UP = {
    "stabilizationWindowSeconds": 0,
    "selectPolicy": "Max",
    "policies": [
        {"type": "Pods", "value": 4, "periodSeconds": 15},
        {"type": "Percent", "value": 100, "periodSeconds": 15},
    ],
}
_SCALE_DOWN = {"selectPolicy": "Max", "policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}]}


def autoscaler_v2(obj: objects.Object) -> None:
    """Scaling rules are filled in only where ``behavior`` is given at all."""
    spec = values.child(obj, "spec")
    values.fill(spec, "minReplicas", 1)
    if not spec.get("metrics"):
        target = {"type": "Utilization", "averageUtilization": 80}
        spec["metrics"] = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]
    behavior = spec.get("behavior")
    if behavior is None:
        return
    for direction, template in (("scaleUp", _SCALE_UP), ("scaleDown", _SCALE_DOWN)):
        rules = values.child(behavior, direction)
        for field, value in template.items():
            filled = [dict(policy) for policy in value] if isinstance(value, list) else value
            values.fill(rules, field, filled)

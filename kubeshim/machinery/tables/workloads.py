"""Rows of what makes pods."""

import datetime

from kubeshim.machinery import objects, resources
from kubeshim.machinery.tables import cells, durations


def replica_set(obj: objects.Object, now: datetime.datetime) -> cells.Cells:
    return [*_replicas(obj, now), *cells.containers(cells.template_spec(obj)), _selector(obj)]


def replication_controller(obj: objects.Object, now: datetime.datetime) -> cells.Cells:
    listed = cells.containers(cells.template_spec(obj))
    return [*_replicas(obj, now), *listed, cells.labels(cells.spec(obj).get("selector"))]


def _replicas(obj: objects.Object, now: datetime.datetime) -> cells.Cells:
    status = cells.status(obj)
    wanted = cells.spec(obj).get("replicas") or 0
    return [
        cells.name(obj), wanted, status.get("replicas") or 0, status.get("readyReplicas") or 0, cells.age(obj, now),
    ]  # fmt: skip


def _selector(obj: objects.Object) -> str:
    return cells.selector(cells.spec(obj).get("selector"))


def deployment(obj: objects.Object, now: datetime.datetime) -> cells.Cells:
    status = cells.status(obj)
    return [
        cells.name(obj),
        f"{status.get('readyReplicas') or 0}/{cells.spec(obj).get('replicas') or 0}",
        status.get("updatedReplicas") or 0,
        status.get("availableReplicas") or 0,
        cells.age(obj, now),
        *cells.containers(cells.template_spec(obj)),
        cells.selector_text(cells.spec(obj).get("selector")),
    ]


def stateful_set(obj: objects.Object, now: datetime.datetime) -> cells.Cells:
    ready = f"{cells.status(obj).get('readyReplicas') or 0}/{cells.spec(obj).get('replicas') or 0}"
    return [cells.name(obj), ready, cells.age(obj, now), *cells.containers(cells.template_spec(obj))]


def daemon_set(obj: objects.Object, now: datetime.datetime) -> cells.Cells:
    status, pod = cells.status(obj), cells.template_spec(obj)
    return [
        cells.name(obj),
        status.get("desiredNumberScheduled") or 0,
        status.get("currentNumberScheduled") or 0,
        status.get("numberReady") or 0,
        status.get("updatedNumberScheduled") or 0,
        status.get("numberAvailable") or 0,
        cells.labels(pod.get("nodeSelector")),
        cells.age(obj, now),
        *cells.containers(pod),
        _selector(obj),
    ]


def job(obj: objects.Object, now: datetime.datetime) -> cells.Cells:
    pod = cells.template_spec(obj)
    return [
        cells.name(obj), _job_status(obj), _completions(obj), _job_duration(obj, now), cells.age(obj, now),
        *cells.containers(pod), _selector(obj),
    ]  # fmt: skip


def _job_status(obj: objects.Object) -> str:
    conditions = cells.status(obj).get("conditions")
    for kind, text in (("Complete", "Complete"), ("Failed", "Failed")):
        if cells.condition_status(conditions, kind) == "True":
            return text
    if objects.is_deleting(obj):
        return "Terminating"
    for kind in ("Suspended", "FailureTarget", "SuccessCriteriaMet"):
        if cells.condition_status(conditions, kind) == "True":
            return kind
    return "Running"


def _completions(obj: objects.Object) -> str:
    spec, succeeded = cells.spec(obj), cells.status(obj).get("succeeded") or 0
    if spec.get("completions") is not None:
        return f"{succeeded}/{spec['completions']}"
    parallelism = spec.get("parallelism") or 0
    return f"{succeeded}/1 of {parallelism}" if parallelism > 1 else f"{succeeded}/1"


def _job_duration(obj: objects.Object, now: datetime.datetime) -> str:
    status = cells.status(obj)
    if not status.get("startTime"):
        return ""
    start = durations.moment(status["startTime"])
    end = durations.moment(status["completionTime"]) if status.get("completionTime") else now
    return durations.human(end - start)


def cron_job(obj: objects.Object, now: datetime.datetime) -> cells.Cells:
    spec, status = cells.spec(obj), cells.status(obj)
    job_spec = objects.dig(spec, "jobTemplate", "spec", default={})
    suspend = spec.get("suspend")
    last = status.get("lastScheduleTime")
    return [
        cells.name(obj),
        spec.get("schedule", ""),
        cells.NONE if spec.get("timeZone") is None else spec["timeZone"],
        cells.UNSET if suspend is None else str(bool(suspend)),
        len(status.get("active") or ()),
        cells.since(last, now) if last else cells.NONE,
        cells.age(obj, now),
        *cells.containers(objects.dig(job_spec, "template", "spec", default={})),
        cells.selector(job_spec.get("selector")),
    ]


def controller_revision(obj: objects.Object, now: datetime.datetime) -> cells.Cells:
    owner = objects.controller_of(obj)
    shown = cells.NONE
    if owner is not None:
        group, _ = resources.split_api_version(owner["apiVersion"])
        kind = f"{owner['kind']}.{group}" if group else owner["kind"]
        shown = f"{kind.lower()}/{owner['name']}"
    return [cells.name(obj), shown, obj.get("revision", 0), cells.age(obj, now)]


def pod_template(obj: objects.Object, _now: datetime.datetime) -> cells.Cells:
    template = obj.get("template") or {}
    template_labels = objects.dig(template, "metadata", "labels", default={})
    return [cells.name(obj), *cells.containers(template.get("spec")), cells.labels(template_labels)]


def pod_disruption_budget(obj: objects.Object, now: datetime.datetime) -> cells.Cells:
    spec = cells.spec(obj)
    least, most = spec.get("minAvailable"), spec.get("maxUnavailable")
    return [
        cells.name(obj),
        "N/A" if least is None else str(least),
        "N/A" if most is None else str(most),
        cells.status(obj).get("disruptionsAllowed") or 0,
        cells.age(obj, now),
    ]


def scale(obj: objects.Object, now: datetime.datetime) -> cells.Cells:
    wanted, there = cells.spec(obj).get("replicas") or 0, cells.status(obj).get("replicas") or 0
    return [cells.name(obj), wanted, there, cells.age(obj, now)]

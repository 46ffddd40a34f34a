"""CronJobs."""

import re
from typing import Any

from kubeshim.machinery import objects
from kubeshim.machinery.errors import FieldError
from kubeshim.machinery.validation import fields, jobs, pod_warnings, schedules, warnings

_POLICIES = ("Allow", "Forbid", "Replace")
_LONGEST_NAME = 52
_ZONE_PART = re.compile(r"[A-Za-z.\-_0-9+]{1,14}").fullmatch


def create(obj: objects.Object) -> list[FieldError]:
    """The controller appends eleven characters to make a job's name of a CronJob's."""
    wrong = _spec(obj, None)
    if len(objects.name(obj)) > _LONGEST_NAME:
        text = f"must be no more than {_LONGEST_NAME} characters"
        wrong.append(fields.invalid("metadata.name", objects.name(obj), text))
    return wrong


def change(obj: objects.Object, old: objects.Object) -> list[FieldError]:
    return _spec(obj, old.get("spec") or {})


def _spec(obj: objects.Object, before: dict[str, Any] | None) -> list[FieldError]:
    spec = obj.get("spec") or {}
    schedule, zone = spec.get("schedule") or "", spec.get("timeZone")
    wrong: list[FieldError] = []
    if not schedule:
        wrong.append(fields.required("spec.schedule"))
    else:
        had_zone = before is not None and "TZ" in (before.get("schedule") or "")
        wrong += _schedule(schedule, zone, "spec.schedule", had_zone=had_zone)
    wrong += fields.non_negative("spec.startingDeadlineSeconds", spec.get("startingDeadlineSeconds"))
    if zone is not None and (before is None or before.get("timeZone") != zone):
        wrong += _zone(zone, "spec.timeZone")
    if policy := spec.get("concurrencyPolicy"):
        wrong += fields.one_of("spec.concurrencyPolicy", policy, _POLICIES)
    else:
        wrong.append(fields.required("spec.concurrencyPolicy"))
    inner, path = objects.dig(spec, "jobTemplate", "spec", default={}) or {}, "spec.jobTemplate.spec"
    wrong += jobs.spec(inner, path)
    if (selector := inner.get("selector")) is not None:
        text = "`selector` will be auto-generated"
        wrong.append(fields.invalid(path + ".selector", fields.shown_selector(selector), text))
    if inner.get("manualSelector"):
        wrong.append(fields.not_supported(path + ".manualSelector", True, ("nil", "false")))
    for field in ("successfulJobsHistoryLimit", "failedJobsHistoryLimit"):
        wrong += fields.non_negative(f"spec.{field}", spec.get(field))
    return wrong


def _schedule(text: str, zone: str | None, path: str, *, had_zone: bool) -> list[FieldError]:
    wrong: list[FieldError] = []
    if complaint := schedules.problem(text):
        wrong.append(fields.invalid(path, text, complaint))
    if "TZ" in text and not had_zone:
        hint = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"
        wrong.append(fields.invalid(path, text, hint))
    elif "TZ" in text and zone is not None:
        wrong.append(fields.invalid(path, text, "cannot use both timeZone field and TZ or CRON_TZ in schedule"))
    return wrong


def _zone(zone: str, path: str) -> list[FieldError]:
    if not zone:
        return [fields.invalid(path, zone, "timeZone must be nil or non-empty string")]
    unknown = fields.invalid(path, zone, f"unknown time zone {zone}")
    for part in zone.split("/"):
        if part in (".", "..") or part.startswith("-") or not _ZONE_PART(part):
            return [unknown]
    wrong: list[FieldError] = []
    if zone.lower() == "local":
        text = "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones"
        wrong.append(fields.invalid(path, zone, text))
    return wrong if schedules.knows_zone(zone) else [*wrong, fields.invalid(path, zone, schedules.unknown_zone(zone))]


def warn(obj: objects.Object, old: objects.Object | None) -> list[str]:
    found = [] if old is not None else warnings.name_of_pods(objects.name(obj))
    spec = obj.get("spec") or {}
    if old is None or objects.dig(obj, "metadata", "generation") != objects.dig(old, "metadata", "generation"):
        template = objects.dig(spec, "jobTemplate", "spec", "template")
        found += pod_warnings.template(template, "spec.jobTemplate.spec.template")
    if old is not None and "TZ" in (spec.get("schedule") or ""):
        found.append(
            "cannot use TZ or CRON_TZ in spec.spec.schedule, use timeZone instead, see "
            "https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ for more details"
        )
    return found

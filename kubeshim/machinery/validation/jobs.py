"""Jobs and CronJobs."""

import re
import zoneinfo
from collections.abc import Mapping
from typing import Any

from kubeshim.machinery import objects, selectors
from kubeshim.machinery.errors import FieldError
from kubeshim.machinery.validation import fields, metadata, pods

_POLICIES = ("Allow", "Forbid", "Replace")
_ACTIONS = ("Count", "FailIndex", "FailJob", "Ignore")
_ONCE_ONLY = (
    "completionMode", "podFailurePolicy", "backoffLimitPerIndex", "managedBy", "successPolicy", "podReplacementPolicy",
)  # fmt: skip


def job(obj: objects.Object) -> list[FieldError]:
    spec = obj.get("spec") or {}
    wrong = job_spec(spec, "spec")
    selector = spec.get("selector")
    if selector is None:
        return [*wrong, fields.required("spec.selector")]
    wrong += metadata.label_selector(selector, "spec.selector")
    labels = objects.dig(spec, "template", "metadata", "labels", default={})
    if not spec.get("manualSelector"):
        wrong += _generated(obj, selector, labels)
    try:
        matches = selectors.from_label_selector(selector).matches(labels)
    except selectors.SelectorError:
        return wrong
    if not matches:
        wrong.append(
            fields.invalid("spec.template.metadata.labels", labels, "`selector` does not match template `labels`")
        )
    return wrong


def _generated(obj: objects.Object, selector: Mapping[str, Any], labels: Mapping[str, str]) -> list[FieldError]:
    """Without ``manualSelector`` the selector and labels are the server's, by the job's own uid."""
    uid = objects.uid(obj)
    wanted = {"batch.kubernetes.io/controller-uid": uid, "batch.kubernetes.io/job-name": objects.name(obj)}
    wrong: list[FieldError] = []
    for key, value in wanted.items():
        path = f"spec.template.metadata.labels[{key}]"
        if key not in labels:
            wrong.append(fields.required(path, f"must be '{value}'"))
        elif labels[key] != value:
            wrong.append(fields.invalid(path, labels, f"must be '{value}'"))
    chosen = (selector.get("matchLabels") or {}).get("batch.kubernetes.io/controller-uid") or (
        selector.get("matchLabels") or {}
    ).get("controller-uid")
    if chosen != uid:
        wrong.append(fields.invalid("spec.selector", selector, "`selector` not auto-generated"))
    return wrong


def job_spec(spec: Mapping[str, Any], path: str) -> list[FieldError]:
    """What holds for a job and for what a CronJob makes jobs of."""
    wrong: list[FieldError] = []
    for field in (
        "parallelism", "completions", "backoffLimit", "activeDeadlineSeconds", "ttlSecondsAfterFinished",
        "backoffLimitPerIndex", "maxFailedIndexes",
    ):  # fmt: skip
        wrong += fields.non_negative(f"{path}.{field}", spec.get(field))
    mode = spec.get("completionMode")
    if mode is not None:
        wrong += fields.one_of(path + ".completionMode", mode, ("Indexed", "NonIndexed"))
    wrong += _indexed(spec, path) if mode == "Indexed" else _not_indexed(spec, path)
    template = spec.get("template")
    wrong += pods.template(template, path + ".template")
    policy = objects.dig(template, "spec", "restartPolicy", default="")
    place = path + ".template.spec.restartPolicy"
    if policy == "Always":
        # what was not said has been defaulted to Always: most likely the field was forgotten
        wrong.append(fields.required(place, 'valid values: "OnFailure", "Never"'))
    elif policy not in ("OnFailure", "Never"):
        wrong.append(fields.not_supported(place, policy, ("OnFailure", "Never")))
    if (failure := spec.get("podFailurePolicy")) is not None:
        if policy != "Never":
            text = 'only "Never" is supported when podFailurePolicy is specified'
            wrong.append(fields.invalid(place, policy, text))
        wrong += _failure_policy(failure, spec, path + ".podFailurePolicy")
        if spec.get("podReplacementPolicy") not in (None, "Failed"):
            place = path + ".podReplacementPolicy"
            wrong.append(fields.not_supported(place, spec["podReplacementPolicy"], ("Failed",)))
    elif spec.get("podReplacementPolicy") is not None:
        supported = ("Failed", "TerminatingOrFailed")
        wrong += fields.one_of(path + ".podReplacementPolicy", spec["podReplacementPolicy"], supported)
    return wrong


def _indexed(spec: Mapping[str, Any], path: str) -> list[FieldError]:
    if spec.get("completions") is None:
        return [fields.required(path + ".completions", "when completion mode is Indexed")]
    wrong: list[FieldError] = []
    if (spec.get("parallelism") or 0) > 100000:
        text = "must be less than or equal to 100000 when completion mode is Indexed"
        wrong.append(fields.invalid(path + ".parallelism", spec["parallelism"], text))
    failures, completions = spec.get("maxFailedIndexes"), spec["completions"]
    if failures is not None and failures > completions:
        text = "must be less than or equal to completions"
        wrong.append(fields.invalid(path + ".maxFailedIndexes", failures, text))
    if spec.get("backoffLimitPerIndex") is None and failures is not None:
        text = "when maxFailedIndexes is specified"
        wrong.append(fields.required(path + ".backoffLimitPerIndex", text))
    return wrong


def _not_indexed(spec: Mapping[str, Any], path: str) -> list[FieldError]:
    wrong: list[FieldError] = []
    for field in ("backoffLimitPerIndex", "maxFailedIndexes"):
        if spec.get(field) is not None:
            text = "requires indexed completion mode"
            wrong.append(fields.invalid(f"{path}.{field}", spec[field], text))
    if spec.get("successPolicy") is not None:
        wrong.append(fields.invalid(path + ".successPolicy", spec["successPolicy"], "requires indexed completion mode"))
    return wrong


def _failure_policy(found: Mapping[str, Any], spec: Mapping[str, Any], path: str) -> list[FieldError]:
    wrong: list[FieldError] = []
    names = {
        container.get("name")
        for field in ("containers", "initContainers")
        for container in objects.dig(spec, "template", "spec", field, default=())
    }
    for index, rule in enumerate(found.get("rules") or ()):
        place = f"{path}.rules[{index}]"
        action, codes, patterns = rule.get("action") or "", rule.get("onExitCodes"), rule.get("onPodConditions")
        if not action:
            wrong.append(fields.required(place + ".action", f"valid values: {list(_ACTIONS)}"))
        else:
            wrong += fields.one_of(place + ".action", action, _ACTIONS)
        if codes is not None and patterns:
            text = "specifying both OnExitCodes and OnPodConditions is not supported"
            wrong.append(fields.invalid(place, rule, text))
        elif codes is None and not patterns:
            text = "specifying one of OnExitCodes and OnPodConditions is required"
            wrong.append(fields.invalid(place, rule, text))
        if codes is not None:
            wrong += _exit_codes(codes, names, place + ".onExitCodes")
    return wrong


def _exit_codes(found: Mapping[str, Any], names: set[Any], path: str) -> list[FieldError]:
    wrong: list[FieldError] = []
    operator, values, container = found.get("operator") or "", found.get("values") or [], found.get("containerName")
    wrong += fields.one_of(path + ".operator", operator, ("In", "NotIn"))
    if container is not None and container not in names:
        text = "must be one of the container or initContainer names in the pod template"
        wrong.append(fields.invalid(path + ".containerName", container, text))
    if not values:
        wrong.append(fields.invalid(path + ".values", values, "at least one value is required"))
    seen: set[int] = set()
    for index, value in enumerate(values):
        place = f"{path}.values[{index}]"
        if value in seen:
            wrong.append(fields.duplicate(place, value))
        if operator == "In" and value == 0:
            wrong.append(fields.invalid(place, value, "must not be 0 for the In operator"))
        seen.add(value)
    return wrong


def job_update(obj: objects.Object, old: objects.Object) -> list[FieldError]:
    spec, before = obj.get("spec") or {}, old.get("spec") or {}
    wrong = _completions(spec, before)
    wrong += fields.immutable("spec.selector", spec.get("selector"), before.get("selector"))
    template, previous = spec.get("template") or {}, before.get("template") or {}
    if template != previous:
        if before.get("suspend") and objects.dig(old, "status", "startTime") is None:
            template = _with_scheduling_of(template, previous)
        wrong += fields.immutable("spec.template", template, previous)
    for field in _ONCE_ONLY[:-1]:
        wrong += fields.immutable(f"spec.{field}", spec.get(field), before.get(field))
    return wrong


def _completions(spec: Mapping[str, Any], before: Mapping[str, Any]) -> list[FieldError]:
    """An Indexed job may be resized as long as completions and parallelism stay equal."""
    new, old = spec.get("completions"), before.get("completions")
    if new == old:
        return []
    if spec.get("completionMode") == "Indexed" and new is not None and old is not None:
        if new == spec.get("parallelism") and old == before.get("parallelism"):
            return []
        text = f"can only be modified in tandem with parallelism; old completions: {old}, new completions: {new}"
        return [fields.invalid("spec.completions", new, text)]
    return [fields.invalid("spec.completions", new, fields.IMMUTABLE)]


def _with_scheduling_of(template: Mapping[str, Any], previous: Mapping[str, Any]) -> dict[str, Any]:
    """A suspended job that never ran may still be told where its pods shall run; puts those fields back."""
    munged = {**template, "spec": dict(template.get("spec") or {})}
    before = previous.get("spec") or {}
    for field in ("nodeSelector", "tolerations", "affinity", "schedulingGates"):
        munged["spec"].pop(field, None)
        if field in before:
            munged["spec"][field] = before[field]
    about, earlier = dict(template.get("metadata") or {}), previous.get("metadata") or {}
    for field in ("labels", "annotations"):
        about.pop(field, None)
        if field in earlier:
            about[field] = earlier[field]
    if about or "metadata" in previous:
        munged["metadata"] = about
    return munged


def cron_job(obj: objects.Object) -> list[FieldError]:
    spec = obj.get("spec") or {}
    wrong: list[FieldError] = []
    if len(objects.name(obj)) > 52:
        # the controller appends eleven characters to make a job's name of it
        wrong.append(fields.invalid("metadata.name", objects.name(obj), "must be no more than 52 characters"))
    schedule = spec.get("schedule") or ""
    if not schedule:
        wrong.append(fields.required("spec.schedule"))
    else:
        wrong += _schedule(schedule, spec.get("timeZone"), "spec.schedule")
    if (zone := spec.get("timeZone")) is not None:
        wrong += _zone(zone, "spec.timeZone")
    for field in ("startingDeadlineSeconds", "successfulJobsHistoryLimit", "failedJobsHistoryLimit"):
        wrong += fields.non_negative(f"spec.{field}", spec.get(field))
    policy = spec.get("concurrencyPolicy") or ""
    if not policy:
        wrong.append(fields.required("spec.concurrencyPolicy"))
    else:
        wrong += fields.one_of("spec.concurrencyPolicy", policy, _POLICIES)
    inner = objects.dig(spec, "jobTemplate", "spec", default={})
    wrong += job_spec(inner, "spec.jobTemplate.spec")
    if inner.get("selector") is not None:
        text = "`selector` will be auto-generated"
        wrong.append(fields.invalid("spec.jobTemplate.spec.selector", inner["selector"], text))
    if inner.get("manualSelector"):
        path = "spec.jobTemplate.spec.manualSelector"
        wrong.append(fields.not_supported(path, inner["manualSelector"], ("nil", "false")))
    return wrong


def _zone(zone: str, path: str) -> list[FieldError]:
    if not zone:
        return [fields.invalid(path, zone, "timeZone must be nil or non-empty string")]
    if zone.lower() == "local":
        text = "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones"
        return [fields.invalid(path, zone, text)]
    try:
        zoneinfo.ZoneInfo(zone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return [fields.invalid(path, zone, f"unknown time zone {zone}")]
    return []


_BOUNDS = ((0, 59, "minute"), (0, 23, "hour"), (1, 31, "day of month"), (1, 12, "month"), (0, 6, "day of week"))
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_NAMES: tuple[Mapping[str, int], ...] = (
    {},
    {},
    {},
    {name: number + 1 for number, name in enumerate(_MONTHS)},
    {name: number for number, name in enumerate(_DAYS)},
)
_DESCRIPTORS = ("@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly")
_DURATION = re.compile(r"([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+").fullmatch


def _schedule(text: str, zone: Any, path: str) -> list[FieldError]:
    wrong: list[FieldError] = []
    if "TZ" in text:
        if zone is not None:
            hint = "cannot use both timeZone field and TZ or CRON_TZ in schedule"
        else:
            hint = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"
        wrong.append(fields.invalid(path, text, hint))
    if complaint := schedule_problem(text):
        wrong.append(fields.invalid(path, text, complaint))
    return wrong


def schedule_problem(text: str) -> str:
    """What upstream's cron parser says against a schedule; empty where it can read it."""
    if text.startswith(("TZ=", "CRON_TZ=")):
        text = text.partition(" ")[2].strip()
    if text.startswith("@"):
        if text in _DESCRIPTORS:
            return ""
        if text.startswith("@every "):
            duration = text[len("@every ") :]
            return (
                "" if _DURATION(duration) else f'failed to parse duration {text}: time: invalid duration "{duration}"'
            )
        return f"unrecognized descriptor: {text}"
    parts = text.split()
    if len(parts) != 5:
        return f"expected exactly 5 fields, found {len(parts)}: [{' '.join(parts)}]"
    for part, bounds, names in zip(parts, _BOUNDS, _NAMES, strict=True):
        for expression in part.split(","):
            if complaint := _range_problem(expression, bounds[0], bounds[1], names):
                return complaint
    return ""


def _range_problem(expression: str, low: int, high: int, names: Mapping[str, int]) -> str:
    body, *steps = expression.split("/")
    if len(steps) > 1:
        return f"too many slashes: {expression}"
    ends = body.split("-")
    if len(ends) > 2:
        return f"too many hyphens: {expression}"
    numbers = []
    if body not in ("*", "?"):
        for end in ends:
            number = names.get(end.lower()) if end.lower() in names else int(end) if end.isdecimal() else None
            if number is None:
                return f'failed to parse int from {end}: strconv.Atoi: parsing "{end}": invalid syntax'
            numbers.append(number)
    if steps and not steps[0].isdecimal():
        return f'failed to parse int from {steps[0]}: strconv.Atoi: parsing "{steps[0]}": invalid syntax'
    if numbers and numbers[0] < low:
        return f"beginning of range ({numbers[0]}) below minimum ({low}): {expression}"
    if numbers and numbers[-1] > high:
        return f"end of range ({numbers[-1]}) above maximum ({high}): {expression}"
    if len(numbers) == 2 and numbers[0] > numbers[1]:
        return f"beginning of range ({numbers[0]}) beyond end of range ({numbers[1]}): {expression}"
    if steps and int(steps[0]) == 0:
        return f"step of range should be a positive number: {expression}"
    return ""

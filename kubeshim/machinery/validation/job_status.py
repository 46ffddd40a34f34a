"""What whoever runs Jobs may say of them.

Most is only held against a status that says something new about it: what was wrong before may stay.
"""

from collections.abc import Mapping
from typing import Any

from kubeshim.machinery import objects
from kubeshim.machinery.errors import FieldError
from kubeshim.machinery.validation import fields, go_structs
from kubeshim.machinery.validation.job_policies import BadIndexes, indexes, interval

_COUNTS = ("active", "succeeded", "failed", "ready", "terminating")
_CONDITIONS = "status.conditions"

_Found = Mapping[str, Any]


class _Status:
    """One status, as the checks ask about it."""

    def __init__(self, obj: objects.Object) -> None:
        self.found: _Found = obj.get("status") or {}
        met = {one.get("type") for one in self.found.get("conditions") or () if one.get("status") == "True"}
        self.complete, self.failed = "Complete" in met, "Failed" in met
        self.target, self.criteria = "FailureTarget" in met, "SuccessCriteriaMet" in met
        self.met = met

    @property
    def finished(self) -> bool:
        return self.complete or self.failed

    def count(self, field: str) -> int:
        return self.found.get(field) or 0


def status(obj: objects.Object, old: objects.Object) -> list[FieldError]:
    new, before, spec = _Status(obj), _Status(old), obj.get("spec") or {}

    def changed(*names: str) -> bool:
        return any(new.found.get(name) != before.found.get(name) for name in names)

    def turned(*names: str) -> bool:
        return any(getattr(new, name) != getattr(before, name) for name in names)

    wrong = _counts(new.found)
    if turned("complete", "failed") and new.complete and new.failed:
        wrong.append(_condition("cannot set Complete=True and Failed=true conditions"))
    if turned("complete", "target") and new.complete and new.target:
        wrong.append(_condition("cannot set Complete=True and FailureTarget=true conditions"))
    if turned("complete") or changed("completionTime"):
        wrong += _completion(new)
    if changed("startTime", "completionTime"):
        wrong += _order(new.found)
    if (turned("failed") or changed("failedIndexes")) and new.failed and not new.target:
        wrong.append(_condition("cannot set Failed=True condition without the FailureTarget=true condition"))
    if turned("complete", "criteria") and new.complete and not new.criteria:
        text = "cannot set Complete=True condition without the SuccessCriteriaMet=true condition"
        wrong.append(_condition(text))
    wrong += _when_finished(new, before, spec)
    wrong += _indexes(new.found, before.found, spec)
    if (turned("finished") or changed("terminating")) and new.finished and new.count("terminating"):
        text = "terminating>0 is invalid for finished job"
        wrong.append(fields.invalid("status.terminating", new.count("terminating"), text))
    if changed("ready", "active") and new.count("ready") > new.count("active"):
        text = "cannot set more ready pods than active"
        wrong.append(fields.invalid("status.ready", new.count("ready"), text))
    wrong += _criteria(new, spec)
    return wrong + _since(new, before, spec)


def _condition(text: str) -> FieldError:
    return fields.omitted(_CONDITIONS, text)


def _counts(found: _Found) -> list[FieldError]:
    wrong = [problem for field in _COUNTS for problem in fields.non_negative(f"status.{field}", found.get(field))]
    seen: set[str] = set()
    for field in ("succeeded", "failed"):
        for index, uid in enumerate((found.get("uncountedTerminatedPods") or {}).get(field) or ()):
            path = f"status.uncountedTerminatedPods.{field}[{index}]"
            if not uid:
                wrong.append(fields.invalid(path, uid, "must not be empty"))
            elif uid in seen:
                wrong.append(fields.duplicate(path, uid))
            seen.add(uid)
    return wrong


def _completion(new: _Status) -> list[FieldError]:
    at, path = new.found.get("completionTime"), "status.completionTime"
    if at is not None and not new.complete:
        text = "cannot set completionTime when there is no Complete=True condition"
        return [fields.invalid(path, at, text)]
    if at is None and new.complete:
        return [fields.required(path, "completionTime is required for Complete jobs")]
    return []


def _order(found: _Found) -> list[FieldError]:
    start, end = found.get("startTime"), found.get("completionTime")
    if start is None or end is None or end >= start:
        return []
    return [fields.invalid("status.completionTime", end, "must be equal to or after `startTime`")]


def _when_finished(new: _Status, before: _Status, spec: _Found) -> list[FieldError]:
    found, turned = new.found, new.finished != before.finished
    if not new.finished:
        return []
    wrong: list[FieldError] = []
    if (turned or found.get("active") != before.found.get("active")) and new.count("active"):
        text = "active>0 is invalid for finished job"
        wrong.append(fields.invalid("status.active", new.count("active"), text))
    never_ran = spec.get("suspend") and spec.get("completions") == 0
    news = turned or found.get("startTime") != before.found.get("startTime")
    if news and not never_ran and found.get("startTime") is None:
        wrong.append(fields.required("status.startTime", "startTime is required for finished job"))
    uncounted = found.get("uncountedTerminatedPods") or {}
    news = turned or uncounted != (before.found.get("uncountedTerminatedPods") or {})
    if news and (uncounted.get("failed") or uncounted.get("succeeded")):
        shown = go_structs.shown(go_structs.UNCOUNTED_PODS, uncounted)
        text = "must be empty for finished job"
        wrong.append(fields.invalid("status.uncountedTerminatedPods", shown, text))
    return wrong


def _indexes(found: _Found, before: _Found, spec: _Found) -> list[FieldError]:
    done, failed, completions = found.get("completedIndexes") or "", found.get("failedIndexes"), spec.get("completions")
    done_changed = done != (before.get("completedIndexes") or "")
    failed_changed = failed != before.get("failedIndexes")
    per_index = spec.get("backoffLimitPerIndex") is not None
    wrong: list[FieldError] = []
    if done_changed and completions is not None:
        wrong += _readable("completedIndexes", done, completions)
    if failed_changed and completions is not None and per_index and failed is not None:
        wrong += _readable("failedIndexes", failed, completions)
    if done_changed and done and spec.get("completionMode") != "Indexed":
        text = "cannot set non-empty completedIndexes when non-indexed completion mode"
        wrong.append(fields.invalid("status.completedIndexes", done, text))
    if failed_changed and failed is not None and not per_index:
        text = "cannot set non-null failedIndexes when backoffLimitPerIndex is null"
        wrong.append(fields.invalid("status.failedIndexes", failed, text))
    if (done_changed or failed_changed) and completions is not None and failed is not None:
        wrong += _overlap(done, failed, completions)
    return wrong


def _readable(field: str, text: str, completions: int) -> list[FieldError]:
    try:
        indexes(text, completions)
    except BadIndexes as why:
        return [fields.invalid(f"status.{field}", text, f"error parsing {field}: {why}")]
    return []


def _overlap(done: str, failed: str, completions: int) -> list[FieldError]:
    for low, high in sorted(_intervals(done, completions)):
        for first, last in sorted(_intervals(failed, completions)):
            if low <= last and first <= high:
                text = f"failedIndexes and completedIndexes overlap at index: {max(low, first)}"
                return [fields.invalid("status.failedIndexes", failed, text)]
    return []


def _intervals(text: str, completions: int) -> list[tuple[int, int]]:
    """Those that can be read; the others have been told of."""
    found = []
    for fragment in text.split(",") if text else ():
        try:
            found.append(interval(fragment, completions))
        except BadIndexes:
            continue
    return found


def _criteria(new: _Status, spec: _Found) -> list[FieldError]:
    wrong: list[FieldError] = []
    if new.criteria and new.failed:
        wrong.append(_condition("cannot set SuccessCriteriaMet=True and Failed=true conditions"))
    if new.criteria and new.target:
        wrong.append(_condition("cannot set SuccessCriteriaMet=True and FailureTarget=true conditions"))
    if spec.get("successPolicy") is not None and not new.criteria and new.complete:
        text = "cannot set Complete=True for Job with SuccessPolicy unless SuccessCriteriaMet=True"
        wrong.append(_condition(text))
    return wrong


def _since(new: _Status, before: _Status, spec: _Found) -> list[FieldError]:
    """What may not be taken back."""
    wrong: list[FieldError] = []
    for kind in ("Failed", "Complete", "FailureTarget"):
        if kind in before.met and kind not in new.met:
            wrong.append(_condition(f"cannot disable the terminal {kind}=True condition"))
    if new.count("failed") < before.count("failed"):
        text = "cannot decrease the failed counter"
        wrong.append(fields.invalid("status.failed", new.count("failed"), text))
    scales = spec.get("completionMode") == "Indexed" and spec.get("completions") == spec.get("parallelism")
    if new.count("succeeded") < before.count("succeeded") and not scales:
        text = "cannot decrease the succeeded counter"
        wrong.append(fields.invalid("status.succeeded", new.count("succeeded"), text))
    end, was = new.found.get("completionTime"), before.found.get("completionTime")
    if end is not None and was is not None and end != was:
        wrong.append(fields.invalid("status.completionTime", end, fields.IMMUTABLE))
    start = before.found.get("startTime")
    resumes = "Suspended" in before.met and "Suspended" not in new.met
    if start is not None and start != new.found.get("startTime") and not spec.get("suspend") and not resumes:
        wrong.append(fields.required("status.startTime", "startTime cannot be removed for unsuspended job"))
    if before.criteria and not new.criteria:
        wrong.append(_condition("cannot disable the SuccessCriteriaMet=True condition"))
    if before.complete and not before.criteria and new.criteria:
        text = "cannot set SuccessCriteriaMet=True for Job already has Complete=true conditions"
        wrong.append(_condition(text))
    return wrong

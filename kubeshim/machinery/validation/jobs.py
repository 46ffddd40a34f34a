"""Jobs: what they must be, and what may change of them."""

from collections.abc import Mapping
from typing import Any

from kubeshim.machinery import objects, selectors
from kubeshim.machinery.errors import FieldError
from kubeshim.machinery.validation import (
    content,
    fields,
    go_structs,
    job_policies,
    metadata,
    pod_warnings,
    pods,
    prefixed,
    warnings,
)

_COUNTS = (
    "parallelism", "completions", "activeDeadlineSeconds", "backoffLimit", "ttlSecondsAfterFinished",
    "backoffLimitPerIndex", "maxFailedIndexes",
)  # fmt: skip
_MOST_AT_ONCE = _MOST_FAILED = _MANY_COMPLETIONS = 100_000
_MOST_OF_MANY = 10_000
_OWNED = ("controller-uid", "job-name", "batch.kubernetes.io/controller-uid", "batch.kubernetes.io/job-name")
_INDEXED = "requires indexed completion mode"

_Spec = Mapping[str, Any]


def job(obj: objects.Object) -> list[FieldError]:
    found = obj.get("spec") or {}
    wrong = _generated(obj, found) + spec(found, "spec")
    selector = found.get("selector")
    if selector is None:
        wrong.append(fields.required("spec.selector"))
    else:
        wrong += metadata.label_selector(selector, "spec.selector")
    labels = objects.dig(found, "template", "metadata", "labels", default=None)
    try:
        if not selectors.from_label_selector(selector).matches(labels or {}):
            text = "`selector` does not match template `labels`"
            wrong.append(fields.invalid("spec.template.metadata.labels", labels, text))
    except selectors.SelectorError:
        pass  # the selector's own check has told
    return wrong + _hostnames(obj, found)


def _hostnames(obj: objects.Object, found: _Spec) -> list[FieldError]:
    """The last pod of an Indexed job must still have a name that hosts may have."""
    completions = found.get("completions") or 0
    if found.get("completionMode") != "Indexed" or completions <= 0:
        return []
    last = f"{objects.name(obj)}-{completions - 1}"
    if not content.dns_label(last):
        return []
    text = f"will not able to create pod with invalid DNS label: {last}"
    return [fields.invalid("metadata.name", objects.name(obj), text)]


def _generated(obj: objects.Object, found: _Spec) -> list[FieldError]:
    """Without ``manualSelector`` the selector and labels are the server's, by the job's own uid."""
    selector = found.get("selector")
    if found.get("manualSelector") or selector is None:
        return []
    uid, name = objects.uid(obj), objects.name(obj)
    labels = objects.dig(found, "template", "metadata", "labels", default={}) or {}
    wanted = {label: uid if label.endswith("uid") else name for label in _OWNED}
    wrong: list[FieldError] = []
    for label, value in wanted.items():
        path = f"spec.template.metadata.labels[{label}]"
        if label not in labels:
            wrong.append(fields.required(path, f"must be '{value}'"))
        elif labels[label] != value:
            wrong.append(fields.invalid(path, labels, f"must be '{value}'"))
    try:
        if not selectors.from_label_selector(selector).matches(wanted):
            shown = fields.shown_selector(selector)
            wrong.append(fields.invalid("spec.selector", shown, "`selector` not auto-generated"))
    except selectors.SelectorError:
        pass  # the selector's own check tells
    return wrong


def spec(found: _Spec, path: str) -> list[FieldError]:
    """What holds for a job and for what a CronJob makes jobs of."""
    wrong: list[FieldError] = []
    for field in _COUNTS:
        wrong += fields.non_negative(f"{path}.{field}", found.get(field))
    if found.get("maxFailedIndexes") is not None and found.get("backoffLimitPerIndex") is None:
        wrong.append(fields.required(path + ".backoffLimitPerIndex", "when maxFailedIndexes is specified"))
    if (manager := found.get("managedBy")) is not None:
        wrong += prefixed.path(manager, path + ".managedBy")
        if len(manager.encode()) > 63:
            wrong.append(fields.too_long(path + ".managedBy", 63))
    mode = found.get("completionMode")
    if mode is not None:
        wrong += fields.one_of(path + ".completionMode", mode, ("NonIndexed", "Indexed"))
    if mode == "Indexed":
        wrong += _indexed(found, path)
    elif mode in (None, "NonIndexed"):
        for field in ("backoffLimitPerIndex", "maxFailedIndexes"):
            if found.get(field) is not None:
                wrong.append(fields.invalid(f"{path}.{field}", found[field], _INDEXED))
    if found.get("podFailurePolicy") is not None:
        wrong += job_policies.failure(found, path + ".podFailurePolicy")
    if (success := found.get("successPolicy")) is not None:
        if mode != "Indexed":
            shown = go_structs.shown(go_structs.SUCCESS_POLICY, success)
            wrong.append(fields.invalid(path + ".successPolicy", shown, _INDEXED))
        else:
            wrong += job_policies.success(success, found.get("completions") or 0, path + ".successPolicy")
    wrong += _replacement(found, path + ".podReplacementPolicy")
    return wrong + pods.template(found.get("template"), path + ".template") + _restarts(found, path)


def _indexed(found: _Spec, path: str) -> list[FieldError]:
    completions, parallelism = found.get("completions"), found.get("parallelism")
    failures = found.get("maxFailedIndexes")
    wrong: list[FieldError] = []
    if completions is None:
        wrong.append(fields.required(path + ".completions", "when completion mode is Indexed"))
    if parallelism is not None and parallelism > _MOST_AT_ONCE:
        text = f"must be less than or equal to {_MOST_AT_ONCE} when completion mode is Indexed"
        wrong.append(fields.invalid(path + ".parallelism", parallelism, text))
    place = path + ".maxFailedIndexes"
    if completions is not None and failures is not None and failures > completions:
        wrong.append(fields.invalid(place, failures, "must be less than or equal to completions"))
    if failures is not None and failures > _MOST_FAILED:
        wrong.append(fields.invalid(place, failures, f"must be less than or equal to {_MOST_FAILED}"))
    if (completions or 0) > _MANY_COMPLETIONS and found.get("backoffLimitPerIndex") is not None:
        if failures is None:
            text = f"must be specified when completions is above {_MANY_COMPLETIONS}"
            wrong.append(fields.required(place, text))
        text = (
            f"must be less than or equal to {_MOST_OF_MANY} when completions are above {_MANY_COMPLETIONS} "
            "and used with backoff limit per index"
        )
        if (parallelism or 0) > _MOST_OF_MANY:
            wrong.append(fields.invalid(path + ".parallelism", parallelism, text))
        if (failures or 0) > _MOST_OF_MANY:
            wrong.append(fields.invalid(place, failures, text))
    return wrong


def _replacement(found: _Spec, path: str) -> list[FieldError]:
    policy = found.get("podReplacementPolicy")
    if policy is None:
        return []
    supported = ("Failed",) if found.get("podFailurePolicy") is not None else ("Failed", "TerminatingOrFailed")
    return fields.one_of(path, policy, supported)


def _restarts(found: _Spec, path: str) -> list[FieldError]:
    policy = objects.dig(found, "template", "spec", "restartPolicy", default="") or ""
    path += ".template.spec.restartPolicy"
    if policy in ("", "Always"):
        # what was not said has been defaulted to Always: most likely the field was forgotten
        return [fields.required(path, 'valid values: "OnFailure", "Never"')]
    if policy not in ("OnFailure", "Never"):
        return [fields.not_supported(path, policy, ("OnFailure", "Never"))]
    if found.get("podFailurePolicy") is not None and policy != "Never":
        return [fields.invalid(path, policy, 'only "Never" is supported when podFailurePolicy is specified')]
    return []


def warn(obj: objects.Object, old: objects.Object | None) -> list[str]:
    """What is allowed but most likely not meant."""
    found = obj.get("spec") or {}
    texts = [] if old is not None else warnings.name_of_pods(objects.name(obj))
    many = (found.get("completions") or 0) > _MANY_COMPLETIONS and (found.get("parallelism") or 0) > _MOST_OF_MANY
    if found.get("completionMode") == "Indexed" and many:
        texts.append(
            "spec: In Indexed Jobs with a number of completions higher than 10^5 and a parallelism higher than 10^4, "
            "a Kubernetes control plane might not be able to track completedIndexes or failedIndexes"
        )
    if old is None or objects.dig(obj, "metadata", "generation") != objects.dig(old, "metadata", "generation"):
        texts += pod_warnings.template(found.get("template"), "spec.template")
    return texts

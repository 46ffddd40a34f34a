"""What may change of a Job."""

from collections.abc import Mapping
from typing import Any

from kubeshim.machinery import objects
from kubeshim.machinery.errors import FieldError
from kubeshim.machinery.validation import fields, go_structs, go_values, jobs

_ONCE_ONLY = ("completionMode", "podFailurePolicy", "backoffLimitPerIndex", "managedBy", "successPolicy")

_SHAPES = {"podFailurePolicy": go_structs.FAILURE_POLICY, "successPolicy": go_structs.SUCCESS_POLICY}

_Spec = Mapping[str, Any]


def change(obj: objects.Object, old: objects.Object) -> list[FieldError]:
    """The spec is told twice: as part of the object, and of the change."""
    spec, before = obj.get("spec") or {}, old.get("spec") or {}
    wrong = jobs.job(obj)
    wrong += [problem for problem in wrong if problem.field.startswith("spec.")]
    wrong += _completions(spec, before)
    if spec.get("selector") != before.get("selector"):
        shown = fields.shown_selector(spec.get("selector"))
        wrong.append(fields.invalid("spec.selector", shown, fields.IMMUTABLE))
    wrong += _template(spec.get("template") or {}, before.get("template") or {}, old)
    for field in _ONCE_ONLY:
        new, shape = spec.get(field), _SHAPES.get(field)
        if new != before.get(field):
            shown = go_structs.shown(shape, new) if shape and new is not None else new
            wrong.append(fields.invalid(f"spec.{field}", shown, fields.IMMUTABLE))
    return wrong


def _completions(spec: _Spec, before: _Spec) -> list[FieldError]:
    """An Indexed job may be resized as long as completions and parallelism are equal then."""
    new, old = spec.get("completions"), before.get("completions")
    if new == old or (spec.get("completionMode") == "Indexed" and new is None):
        return []
    if spec.get("completionMode") != "Indexed":
        return [fields.invalid("spec.completions", new, fields.IMMUTABLE)]
    if new == spec.get("parallelism"):
        return []
    return [fields.invalid("spec.completions", new, "can only be modified in tandem with spec.parallelism")]


def _template(template: _Spec, previous: _Spec, old: objects.Object) -> list[FieldError]:
    """While a job is suspended and has no pods, where these will run and what they get may change."""
    if template == previous:
        return []
    if not _is_at_rest(old):
        return [fields.invalid("spec.template", go_values.internal(go_values.POD_TEMPLATE, template), fields.IMMUTABLE)]
    new, before = _with_scheduling_of(template, previous), dict(previous.get("spec") or {})
    spec = dict(new.get("spec") or {})
    for kind in ("containers", "initContainers"):
        if kind in spec and len(spec[kind]) == len(before.get(kind) or ()):
            spec[kind] = [_with_resources_of(one, was) for one, was in zip(spec[kind], before[kind], strict=True)]
    if spec == before:
        return []
    shown = go_values.internal(go_values.POD_SPEC, template.get("spec") or {})
    return [fields.invalid("spec.template.spec", shown, fields.IMMUTABLE)]


def _is_at_rest(old: objects.Object) -> bool:
    if not objects.dig(old, "spec", "suspend") or objects.dig(old, "status", "active", default=0):
        return False
    if objects.dig(old, "status", "startTime") is None:
        return True
    suspended = objects.condition(old, "Suspended")
    return suspended is not None and suspended.get("status") == "True"


def _with_resources_of(container: _Spec, previous: _Spec) -> _Spec:
    if container.get("name") != previous.get("name"):
        return container
    munged = dict(container)
    munged.pop("resources", None)
    if "resources" in previous:
        munged["resources"] = previous["resources"]
    return munged


def _with_scheduling_of(template: _Spec, previous: _Spec) -> dict[str, Any]:
    """Puts back what says where the pods shall run."""
    munged = {**template, "spec": dict(template.get("spec") or {})}
    spec, before = munged["spec"], previous.get("spec") or {}
    for field in ("nodeSelector", "tolerations", "schedulingGates"):
        spec.pop(field, None)
        if field in before:
            spec[field] = before[field]
    affinity, earlier = dict(spec.get("affinity") or {}), before.get("affinity") or {}
    affinity.pop("nodeAffinity", None)
    if "nodeAffinity" in earlier:
        affinity["nodeAffinity"] = earlier["nodeAffinity"]
    spec.pop("affinity", None)
    if affinity or "affinity" in before:
        spec["affinity"] = affinity
    return munged

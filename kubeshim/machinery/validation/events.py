"""Events, in the core group's form: what that group has always asked for, and what ``events.k8s.io`` asks beyond it."""

from typing import Any

from kubeshim.machinery import objects
from kubeshim.machinery.errors import FieldError
from kubeshim.machinery.validation import content, fields, go_structs

_LONGEST = {"reportingInstance": 128, "action": 128, "reason": 128}
_LONGEST_MESSAGE = 1024
_LATER = ("firstTimestamp", "lastTimestamp", "count", "source")
"""What events of the newer group leave empty: they have a series instead."""
_FIXED = (
    "involvedObject", "reason", "message", "source", "firstTimestamp", "lastTimestamp", "count", "reason", "type",
    "eventTime", "action", "related", "reportingController", "reportingInstance",
)  # fmt: skip
_SHAPES = {
    "involvedObject": go_structs.OBJECT_REFERENCE,
    "related": go_structs.OBJECT_REFERENCE,
    "source": go_structs.EVENT_SOURCE,
}


def event(obj: objects.Object, *, is_newer: bool) -> list[FieldError]:
    wrong = _old_rules(obj, "reportingController" if is_newer else "reportingComponent")
    if not is_newer:
        return wrong
    wrong += _series(obj)
    if not obj.get("eventTime"):
        wrong.append(fields.required("eventTime"))
    if obj.get("type") not in ("Normal", "Warning"):
        wrong.append(fields.invalid("type", "", f"has invalid value: {obj.get('type') or ''}"))
    return wrong + [fields.invalid(field, "", "needs to be unset") for field in _LATER if obj.get(field)]


def change(obj: objects.Object, old: objects.Object, *, is_newer: bool) -> list[FieldError]:
    wrong = _old_rules(obj, "reportingController" if is_newer else "reportingComponent")
    if not is_newer:
        return wrong
    if obj.get("series") != old.get("series"):
        wrong += _series(obj)
    for field in _FIXED:
        stored = "reportingComponent" if field == "reportingController" else field
        new, before = obj.get(stored), old.get(stored)
        if (new or None) != (before or None):
            wrong.append(fields.invalid(field, _shown(field, new), fields.IMMUTABLE))
    return wrong


def _shown(field: str, value: Any) -> Any:
    if field in _SHAPES and (value is not None or field != "related"):
        return go_structs.shown(_SHAPES[field], value or {})
    if value is None and field in ("reason", "message", "type", "action", "reportingController", "reportingInstance"):
        return ""
    return 0 if value is None and field == "count" else value


def _series(obj: objects.Object) -> list[FieldError]:
    series = obj.get("series")
    if series is None:
        return []
    wrong: list[FieldError] = []
    if (series.get("count") or 0) < 2:
        wrong.append(fields.invalid("series.count", "", "should be at least 2"))
    if not series.get("lastObservedTime"):
        wrong.append(fields.required("series.lastObservedTime"))
    return wrong


def _old_rules(obj: objects.Object, controller: str) -> list[FieldError]:
    """``controller``: the name the group asked has for who reports."""
    about, own = objects.dig(obj, "involvedObject", "namespace", default="") or "", objects.namespace(obj)
    is_recent = bool(obj.get("eventTime"))
    if is_recent:
        strays = not about and own not in ("default", "kube-system")
    else:
        strays = about != own if about else own not in ("", "default")
    wrong: list[FieldError] = []
    if strays:
        wrong.append(fields.invalid("involvedObject.namespace", about, "does not match event.namespace"))
    if is_recent:
        wrong += _reported(obj, controller)
    return wrong + fields.all_invalid("namespace", own, content.dns_subdomain(own))


def _reported(obj: objects.Object, controller: str) -> list[FieldError]:
    wrong: list[FieldError] = []
    name = obj.get("reportingComponent") or ""
    if not name:
        wrong.append(fields.required(controller))
    wrong += fields.all_invalid(controller, name, content.qualified_name(name))
    for field, most in _LONGEST.items():
        text = obj.get(field) or ""
        if not text:
            wrong.append(fields.required(field))
        if len(text.encode()) > most:
            wrong.append(fields.invalid(field, "", f"can have at most {most} characters"))
    if len((obj.get("message") or "").encode()) > _LONGEST_MESSAGE:
        wrong.append(fields.invalid("message", "", f"can have at most {_LONGEST_MESSAGE} characters"))
    return wrong

"""What cells of many kinds are made of."""

import datetime
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from kubeshim.machinery import objects
from kubeshim.machinery.tables import durations

Cells = list[Any]
"""A row: strings, integers, booleans, or None, one a column."""

UNSET, NONE, UNKNOWN = "<unset>", "<none>", "<unknown>"


def name(obj: objects.Object) -> str:
    return objects.name(obj)


def since(time: str | None, now: datetime.datetime) -> str:
    """How long ago a ``Time`` or ``MicroTime`` was."""
    if not time:
        return UNKNOWN
    return durations.human(now - durations.moment(time))


def age(obj: objects.Object, now: datetime.datetime) -> str:
    return since(obj["metadata"].get("creationTimestamp"), now)


def spec(obj: objects.Object) -> dict[str, Any]:
    return obj.get("spec") or {}


def status(obj: objects.Object) -> dict[str, Any]:
    return obj.get("status") or {}


def labels(mapping: Mapping[str, str] | None) -> str:
    """``a=b,c=d`` in the keys' order."""
    return ",".join(f"{key}={value}" for key, value in sorted((mapping or {}).items())) or NONE


def selector_text(selector: Mapping[str, Any] | None) -> str:
    """A LabelSelector in the query form (``a=b,c in (d,e)``); ``""`` where it is empty or missing."""
    if not selector:
        return ""
    found = [(key, f"{key}={value}") for key, value in (selector.get("matchLabels") or {}).items()]
    for entry in selector.get("matchExpressions") or ():
        key, values = entry["key"], ",".join(sorted(entry.get("values") or ()))
        forms = {
            "In": f"{key} in ({values})",
            "NotIn": f"{key} notin ({values})",
            "Exists": key,
            "DoesNotExist": f"!{key}",
        }
        found.append((key, forms.get(entry["operator"], "<error>")))
    return ",".join(text for _, text in sorted(found, key=lambda pair: pair[0]))


def selector(value: Mapping[str, Any] | None) -> str:
    return selector_text(value) or NONE


def containers(pod_spec: Mapping[str, Any] | None) -> tuple[str, str]:
    """Names and images of a pod template's containers, each joined by commas."""
    listed = (pod_spec or {}).get("containers") or ()
    return ",".join(entry["name"] for entry in listed), ",".join(entry.get("image", "") for entry in listed)


def template_spec(obj: objects.Object) -> dict[str, Any]:
    found: dict[str, Any] = objects.dig(obj, "spec", "template", "spec", default={})
    return found


def condition_status(conditions: Iterable[Mapping[str, Any]] | None, kind: str) -> str | None:
    for entry in conditions or ():
        if entry.get("type") == kind:
            return str(entry.get("status"))
    return None


def limited(entries: Sequence[str], count: int, most: int) -> str:
    """The first ``most`` entries and how many of ``count`` are left out."""
    text = ",".join(entries[:most])
    return f"{text} + {count - most} more..." if count > most else text

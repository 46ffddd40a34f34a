"""Resource requirements: names of resources, their amounts, requests against limits."""

from collections.abc import Mapping
from typing import Any

from kubeshim.machinery import quantity
from kubeshim.machinery.errors import FieldError
from kubeshim.machinery.validation import content, fields

NEGATIVE = "must be greater than or equal to 0"
NOT_INTEGER = "must be an integer"
HUGE_PAGES = "hugepages-"
_CONTAINER = frozenset(("cpu", "memory", "ephemeral-storage"))
_QUOTA_PREFIXED = ("requests.", "limits.", "count/")
STANDARD = frozenset(
    (
        "cpu", "memory", "ephemeral-storage", "requests.cpu", "requests.memory", "requests.ephemeral-storage",
        "limits.cpu", "limits.memory", "limits.ephemeral-storage", "pods", "resourcequotas", "services",
        "replicationcontrollers", "secrets", "configmaps", "persistentvolumeclaims", "storage", "requests.storage",
        "services.nodeports", "services.loadbalancers",
    )
)  # fmt: skip
_INTEGER = frozenset(
    (
        "pods", "resourcequotas", "services", "replicationcontrollers", "secrets", "configmaps",
        "persistentvolumeclaims", "services.nodeports", "services.loadbalancers",
    )
)  # fmt: skip


def is_extended(name: str) -> bool:
    """A vendor's resource (``example.com/gpu``): qualified, not Kubernetes' own, not a quota's ``requests.`` form."""
    return "/" in name and "kubernetes.io/" not in name and not name.startswith("requests.")


def must_be_whole(name: str) -> bool:
    return name in _INTEGER or is_extended(name)


def requirements(found: Mapping[str, Any] | None, path: str) -> list[FieldError]:
    """A container's ``resources``."""
    if not found:
        return []
    limits, requests = found.get("limits") or {}, found.get("requests") or {}
    wrong: list[FieldError] = []
    for name, amount in limits.items():
        wrong += _entry(name, amount, f"{path}.limits", None)
    for name, amount in requests.items():
        wrong += _entry(name, amount, f"{path}.requests", limits.get(name))
        if name not in limits and _never_overcommitted(name):
            wrong.append(fields.required(path + ".limits", "Limit must be set for non overcommitable resources"))
    names = limits.keys() | requests.keys()
    if any(name.startswith(HUGE_PAGES) for name in names) and not names & {"cpu", "memory"}:
        wrong.append(fields.forbidden(path, "HugePages require cpu or memory"))
    return wrong


def _never_overcommitted(name: str) -> bool:
    return name.startswith(HUGE_PAGES) or is_extended(name)


def _entry(name: str, amount: str, path: str, limit: str | None) -> list[FieldError]:
    wrong: list[FieldError] = []
    if name not in _CONTAINER:
        wrong += _container_resource_name(name, f"{path}[{name}]")
    parsed = quantity.parse(amount)
    if parsed.nano < 0 or (name not in _CONTAINER and must_be_whole(name)):
        wrong += resource_value(name, amount, f"{path}[{name}]")
    if limit is not None:
        ceiling = quantity.parse(limit)
        if parsed > ceiling:
            text = f"must be less than or equal to {name} limit of {ceiling}"
            wrong.append(fields.invalid(path, str(parsed), text))
        elif parsed < ceiling and _never_overcommitted(name):
            wrong.append(fields.invalid(path, str(parsed), f"must be equal to {name} limit of {ceiling}"))
    return wrong


def resource_value(name: str, amount: str, path: str) -> list[FieldError]:
    """An amount of the resource ``name``: never negative, whole where the resource is counted."""
    parsed = quantity.parse(amount)
    wrong = non_negative(amount, path)
    if must_be_whole(name) and parsed.milli() % 1000:
        wrong.append(fields.invalid(path, amount, NOT_INTEGER))
    return wrong


def non_negative(amount: str, path: str) -> list[FieldError]:
    return [fields.invalid(path, amount, NEGATIVE)] if quantity.parse(amount).nano < 0 else []


def positive(amount: str, path: str) -> list[FieldError]:
    return [fields.invalid(path, amount, "must be greater than zero")] if quantity.parse(amount).nano <= 0 else []


def resource_name(name: str, path: str) -> list[FieldError]:
    """A name in a quota, limit range or node."""
    wrong = fields.all_invalid(path, name, content.qualified_name(name))
    if not wrong and "/" not in name and name not in STANDARD and not name.startswith((HUGE_PAGES, "requests.huge")):
        wrong.append(fields.invalid(path, name, "must be a standard resource type or fully qualified"))
    return wrong


def _container_resource_name(name: str, path: str) -> list[FieldError]:
    wrong = resource_name(name, path)
    if "/" not in name:
        if not name.startswith(HUGE_PAGES):
            wrong.append(fields.invalid(path, name, "must be a standard resource for containers"))
    elif "kubernetes.io/" not in name and (not is_extended(name) or content.qualified_name("requests." + name)):
        wrong.append(fields.invalid(path, name, "doesn't follow extended resource name standard"))
    return wrong


def quota_resource_name(name: str, path: str) -> list[FieldError]:
    wrong = resource_name(name, path)
    if "/" not in name and name not in STANDARD and not name.startswith(("requests.hugepages-", HUGE_PAGES)):
        wrong.append(fields.invalid(path, name, "must be a standard resource for quota"))
    return wrong

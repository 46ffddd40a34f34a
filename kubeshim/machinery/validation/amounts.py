"""Resource requirements: names of resources, their amounts, requests against limits."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from kubeshim.machinery import quantity
from kubeshim.machinery.errors import FieldError
from kubeshim.machinery.validation import content, fields

NEGATIVE = "must be greater than or equal to 0"
NOT_INTEGER = "must be an integer"
HUGE_PAGES = "hugepages-"
_QUOTA_HUGE_PAGES = (HUGE_PAGES, "requests.hugepages-")
_CONTAINER = frozenset(("cpu", "memory", "ephemeral-storage"))
_POD_LEVEL = ("cpu", HUGE_PAGES, "memory")
_QUOTA = frozenset(
    (
        "cpu", "memory", "ephemeral-storage", "requests.cpu", "requests.memory", "requests.ephemeral-storage",
        "limits.cpu", "limits.memory", "limits.ephemeral-storage", "pods", "resourcequotas", "services",
        "replicationcontrollers", "secrets", "configmaps", "persistentvolumeclaims", "requests.storage",
        "services.nodeports", "services.loadbalancers",
    )
)  # fmt: skip
STANDARD = _QUOTA | {"storage"}
_INTEGER = frozenset(
    (
        "pods", "resourcequotas", "services", "replicationcontrollers", "secrets", "configmaps",
        "persistentvolumeclaims", "services.nodeports", "services.loadbalancers",
    )
)  # fmt: skip
NameCheck = Callable[[str, str], list[FieldError]]


def is_native(name: str) -> bool:
    """Kubernetes' own: without a domain, or of its domain."""
    return "/" not in name or "kubernetes.io/" in name


def is_extended(name: str) -> bool:
    """A vendor's resource (``example.com/gpu``): qualified, not Kubernetes' own, not a quota's ``requests.`` form."""
    if is_native(name) or name.startswith("requests."):
        return False
    return not content.qualified_name("requests." + name)


def may_overcommit(name: str) -> bool:
    """Whether less may be requested than the limit."""
    return is_native(name) and not name.startswith(HUGE_PAGES)


def must_be_whole(name: str) -> bool:
    return name in _INTEGER or is_extended(name)


def is_standard_for_quotas(name: str) -> bool:
    return name in _QUOTA or name.startswith(_QUOTA_HUGE_PAGES)


def requirements(found: Mapping[str, Any] | None, path: str, claims: Collection[str] = ()) -> list[FieldError]:
    """A container's ``resources``; ``claims`` are the pod's."""
    return _requirements(found, path, claims, container_resource_name) if found else []


def pod_requirements(found: Mapping[str, Any], path: str, claims: Collection[str]) -> list[FieldError]:
    """A pod's own ``resources``."""
    return _requirements(found, path, claims, _pod_resource_name)


def _requirements(
    found: Mapping[str, Any], path: str, claims: Collection[str], name_check: NameCheck
) -> list[FieldError]:
    limits, requests = found.get("limits") or {}, found.get("requests") or {}
    wrong: list[FieldError] = []
    huge = enough = False
    for kind, listed in (("limits", limits), ("requests", requests)):
        for name, amount in listed.items():
            place = f"{path}.{kind}[{name}]"
            plain = name in _CONTAINER
            if not plain or name_check is not container_resource_name:
                wrong += name_check(name, place)
            parsed = quantity.parse(amount)
            if parsed.nano < 0 or not plain:
                wrong += resource_value(name, amount, place)
            if kind == "requests":
                wrong += _against_limit(name, parsed, limits.get(name), path)
            if name.startswith(HUGE_PAGES):
                huge = True
                wrong += _divisible(name, parsed, place)
            enough = enough or name in ("cpu", "memory")
    if huge and not enough:
        wrong.append(fields.forbidden(path, "HugePages require cpu or memory"))
    if found.get("claims"):
        wrong += _claims(found["claims"], claims, path + ".claims")
    return wrong


def _against_limit(name: str, request: quantity.Quantity, limit: str | None, path: str) -> list[FieldError]:
    if limit is None:
        if may_overcommit(name):
            return []
        return [fields.required(path + ".limits", "Limit must be set for non overcommitable resources")]
    ceiling = quantity.parse(limit)
    if request != ceiling and not may_overcommit(name):
        text = f"must be equal to {name} limit of {ceiling}"
    elif request > ceiling:
        text = f"must be less than or equal to {name} limit of {ceiling}"
    else:
        return []
    return [fields.invalid(path + ".requests", str(request), text)]


def _divisible(name: str, amount: quantity.Quantity, path: str) -> list[FieldError]:
    """Whole pages only."""
    try:
        page = quantity.parse(name.removeprefix(HUGE_PAGES)).nano
    except quantity.FormatError:
        page = 0
    if page > 0 and amount.nano >= 0 and amount.nano % page == 0:
        return []
    return [fields.invalid(path, str(amount), f"{amount} is not positive integer multiple of {name}")]


def _claims(found: Sequence[Mapping[str, Any]], of_pod: Collection[str], base: str) -> list[FieldError]:
    """References to the pod's claims: whole or a request of each, no part twice."""
    wrong: list[FieldError] = []
    names: set[str] = set()
    for index, claim in enumerate(found):
        path, name, request = f"{base}[{index}]", claim.get("name") or "", claim.get("request") or ""
        if not name:
            wrong.append(fields.required(path))
            continue
        if name in names:
            wrong.append(fields.duplicate(path, name))
        else:
            key = f"{name}/{request}" if request else name
            if request:
                wrong += fields.all_invalid(path + ".request", request, content.dns_label(request))
            if key in names:
                wrong.append(fields.duplicate(path, key))
            elif not request:
                wrong += [fields.duplicate(path, name) for taken in names if taken.partition("/")[0] == name]
            names.add(key)
        if name not in of_pod:
            problem = fields.not_found(path, name)
            where = f": {', '.join(sorted(of_pod))}" if of_pod else " which is empty"
            text = f"{problem.message}: must be one of the names in pod.spec.resourceClaims{where}"
            wrong.append(FieldError(path, problem.reason, text))
    return wrong


def resource_value(name: str, amount: str, path: str) -> list[FieldError]:
    """An amount of the resource ``name``: never negative, whole where the resource is counted."""
    parsed = quantity.parse(amount)
    wrong = non_negative(amount, path)
    if must_be_whole(name) and parsed.milli() % 1000:
        wrong.append(fields.invalid(path, str(parsed), NOT_INTEGER))
    return wrong


def non_negative(amount: str, path: str) -> list[FieldError]:
    parsed = quantity.parse(amount)
    return [fields.invalid(path, str(parsed), NEGATIVE)] if parsed.nano < 0 else []


def positive(amount: str, path: str) -> list[FieldError]:
    parsed = quantity.parse(amount)
    return [fields.invalid(path, str(parsed), "must be greater than zero")] if parsed.nano <= 0 else []


def basic(amount: str, path: str) -> list[FieldError]:
    value = quantity.parse(amount).value()
    return [fields.invalid(path, value, "must be a valid resource quantity")] if value < 0 else []


def resource_name(name: str, path: str) -> list[FieldError]:
    """A name in a quota, limit range or node."""
    wrong = fields.all_invalid(path, name, content.qualified_name(name))
    if not wrong and "/" not in name and name not in STANDARD and not name.startswith(_QUOTA_HUGE_PAGES):
        wrong.append(fields.invalid(path, name, "must be a standard resource type or fully qualified"))
    return wrong


def container_resource_name(name: str, path: str) -> list[FieldError]:
    if name in _CONTAINER:
        return []
    wrong = resource_name(name, path)
    if "/" not in name:
        if not name.startswith(HUGE_PAGES):
            wrong.append(fields.invalid(path, name, "must be a standard resource for containers"))
    elif not is_native(name) and not is_extended(name):
        wrong.append(fields.invalid(path, name, "doesn't follow extended resource name standard"))
    return wrong


def _pod_resource_name(name: str, path: str) -> list[FieldError]:
    wrong = resource_name(name, path)
    if not wrong and name not in ("cpu", "memory") and not name.startswith(HUGE_PAGES):
        wrong.append(fields.not_supported(path, name, _POD_LEVEL))
    return wrong


def quota_resource_name(name: str, path: str) -> list[FieldError]:
    wrong = resource_name(name, path)
    if "/" not in name and not is_standard_for_quotas(name):
        wrong.append(fields.invalid(path, name, "must be a standard resource for quota"))
    return wrong

"""pods/resize: what of a pod's resources may change while it runs. Pure."""

from typing import Any

from kubeshim.machinery import objects, quantity

_MUTABLE = ("cpu", "memory")
_LISTS = ("containers", "initContainers")


def resized(wanted: objects.Object, spec: objects.Object) -> objects.Object:
    """``spec`` with the resources and resize policies that ``wanted`` names for the same containers."""
    made = dict(spec)
    for field in _LISTS:
        if field not in spec:
            continue
        given = {one.get("name"): one for one in wanted.get(field) or ()}
        made[field] = [_overlaid(container, given.get(container["name"])) for container in spec[field]]
    if "resources" in wanted:
        made["resources"] = wanted["resources"]
    return made


def _overlaid(container: dict[str, Any], given: dict[str, Any] | None) -> dict[str, Any]:
    if given is None:
        return container
    made = dict(container)
    for field in ("resources", "resizePolicy"):
        if field in given:
            made[field] = given[field]
    return made


def _amount(text: Any) -> Any:
    return None if text is None else quantity.parse(str(text))


def qos_class(spec: objects.Object) -> str:
    """``Guaranteed``, ``Burstable`` or ``BestEffort``."""
    containers = [one for field in _LISTS for one in spec.get(field) or ()]
    any_given, all_fixed = False, True
    for container in containers:
        resources = container.get("resources") or {}
        limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
        for name in _MUTABLE:
            limit = _positive(limits.get(name))
            asked = _positive(requests.get(name, limits.get(name)))
            any_given = any_given or limit is not None or asked is not None
            all_fixed = all_fixed and limit is not None and limit == asked
    if not any_given:
        return "BestEffort"
    return "Guaranteed" if all_fixed else "Burstable"


def _positive(text: Any) -> Any:
    amount = _amount(text)
    return amount or None

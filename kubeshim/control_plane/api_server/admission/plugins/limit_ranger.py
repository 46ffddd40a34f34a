"""LimitRanger: a namespace's LimitRanges fill in what containers do not say, and hold what is said within bounds.

A change is judged by what it changes: amounts that stay as they were are not looked at again.
"""

import decimal
from collections.abc import Iterable, Mapping
from typing import Any

from kubeshim.control_plane.api_server.admission import plugin, refusals
from kubeshim.machinery import errors, objects, pod_resources, quantity, resources

_RANGES = resources.GroupVersionResource("", "v1", "limitranges")
_ANNOTATION = "kubernetes.io/limit-ranger"
_LISTS = (("containers", "container"), ("initContainers", "init container"))

Amounts = pod_resources.Amounts
Pair = tuple[Amounts, Amounts]
"""Requests and limits."""


class LimitRanger:
    resources = frozenset(("pods", "persistentvolumeclaims"))

    def admit(self, attributes: plugin.Attributes, reader: plugin.Reader) -> None:
        if attributes.resource.plural != "pods" or attributes.object is None:
            return
        for found in _applying(attributes, reader):
            _fill_in(attributes.object, objects.dig(found, "spec", "limits", default=()))

    def validate(self, attributes: plugin.Attributes, reader: plugin.Reader) -> None:
        obj = attributes.object
        if obj is None:
            return
        for found in _applying(attributes, reader):
            limits = objects.dig(found, "spec", "limits", default=())
            check = _problems_of_pod if attributes.resource.plural == "pods" else _problems_of_claim
            problems = list(dict.fromkeys(check(limits, obj, attributes.old_object)))
            if problems:
                text = problems[0] if len(problems) == 1 else f"[{', '.join(problems)}]"
                raise _forbidden(attributes, text)


def _forbidden(attributes: plugin.Attributes, text: str) -> errors.Forbidden:
    return refusals.forbidden(attributes, text)


def _applying(attributes: plugin.Attributes, reader: plugin.Reader) -> Iterable[objects.Object]:
    is_pod, operation = attributes.resource.plural == "pods", attributes.operation
    if attributes.subresource:
        if not (is_pod and attributes.subresource == "resize" and operation == "UPDATE"):
            return ()
    elif operation != "CREATE" and (is_pod or operation != "UPDATE"):
        return ()
    if attributes.old_object is not None and objects.is_deleting(attributes.old_object):
        return ()
    return reader.list(_RANGES, attributes.namespace)


# --- filling in -----------------------------------------------------------------------------------------------------


def _fill_in(pod: objects.Object, limits: Iterable[Mapping[str, Any]]) -> None:
    defaults: dict[str, dict[str, Any]] = {"requests": {}, "limits": {}}
    for limit in limits:
        if limit.get("type") == "Container":
            defaults["requests"] |= limit.get("defaultRequest") or {}
            defaults["limits"] |= limit.get("default") or {}
    if not (defaults["requests"] or defaults["limits"]):
        return
    notes = []
    for field, what in _LISTS:
        for container in pod["spec"].get(field) or ():
            for part, word in (("requests", "request"), ("limits", "limit")):
                added = _fill(container, part, defaults[part])
                if added:
                    notes.append(f"{', '.join(sorted(added))} {word} for {what} {container.get('name', '')}")
    if notes:
        metadata = pod["metadata"]
        metadata["annotations"] = {
            **(metadata.get("annotations") or {}),
            _ANNOTATION: "LimitRanger plugin set: " + "; ".join(notes),
        }


def _fill(container: dict[str, Any], part: str, defaults: Mapping[str, Any]) -> list[str]:
    """The names that were added."""
    present = (container.get("resources") or {}).get(part) or {}
    added = [name for name in defaults if name not in present]
    if added:
        amounts = {**present, **{name: defaults[name] for name in added}}
        container["resources"] = {**(container.get("resources") or {}), part: amounts}
    return added


# --- checking -------------------------------------------------------------------------------------------------------


def _problems_of_pod(
    limits: Iterable[Mapping[str, Any]], pod: objects.Object, old: objects.Object | None
) -> Iterable[str]:
    for limit in limits:
        if limit.get("type") == "Container":
            before = dict(_containers(old)) if old is not None else {}
            for name, pair in _containers(pod):
                yield from _problems(limit, pair, before.get(name))
        elif limit.get("type") == "Pod":
            yield from _problems(limit, _whole(pod), _whole(old) if old is not None else None)


def _containers(pod: objects.Object) -> Iterable[tuple[tuple[str, str], Pair]]:
    for field, _ in _LISTS:
        for container in pod["spec"].get(field) or ():
            given = container.get("resources") or {}
            pair = pod_resources.parse(given.get("requests")), pod_resources.parse(given.get("limits"))
            yield (field, container["name"]), pair


def _whole(pod: objects.Object) -> Pair:
    return (
        pod_resources.total(pod, "requests", overhead=False),
        pod_resources.total(pod, "limits", overhead=False),
    )


def _problems(limit: Mapping[str, Any], pair: Pair, before: Pair | None) -> Iterable[str]:
    kind = str(limit["type"])
    for field, check in (("min", _below), ("max", _above), ("maxLimitRequestRatio", _too_far_apart)):
        for name, text in sorted((limit.get(field) or {}).items()):
            if before is not None and all(
                now.get(name) == then.get(name) for now, then in zip(pair, before, strict=True)
            ):
                continue
            problem = check(name, kind, quantity.parse(text), pair[0].get(name), pair[1].get(name))
            if problem:
                yield problem


def _below(
    name: str, kind: str, bound: quantity.Quantity, request: quantity.Quantity | None, limit: quantity.Quantity | None
) -> str:
    if request is None:
        return f"minimum {name} usage per {kind} is {bound}.  No request is specified"
    if request < bound:
        return f"minimum {name} usage per {kind} is {bound}, but request is {request}"
    if limit is not None and limit < bound:
        return f"minimum {name} usage per {kind} is {bound}, but limit is {limit}"
    return ""


def _above(
    name: str, kind: str, bound: quantity.Quantity, request: quantity.Quantity | None, limit: quantity.Quantity | None
) -> str:
    if limit is None:
        return f"maximum {name} usage per {kind} is {bound}.  No limit is specified"
    if limit > bound:
        return f"maximum {name} usage per {kind} is {bound}, but limit is {limit}"
    if request is not None and request > bound:
        return f"maximum {name} usage per {kind} is {bound}, but request is {request}"
    return ""


def _too_far_apart(
    name: str, kind: str, bound: quantity.Quantity, request: quantity.Quantity | None, limit: quantity.Quantity | None
) -> str:
    opening = f"{name} max limit to request ratio per {kind} is {bound}, but"
    if not request:
        return f"{opening} no request is specified or request is 0"
    if not limit:
        return f"{opening} no limit is specified or limit is 0"
    if limit.nano * quantity.of(1).nano > request.nano * bound.nano:
        return f"{opening} provided ratio is {_ratio(limit, request)}"
    return ""


def _ratio(limit: quantity.Quantity, request: quantity.Quantity) -> str:
    with decimal.localcontext(prec=60):
        exact = decimal.Decimal(limit.nano) / decimal.Decimal(request.nano)
        return str(exact.quantize(decimal.Decimal("0.000001"), rounding=decimal.ROUND_HALF_EVEN))


def _problems_of_claim(
    limits: Iterable[Mapping[str, Any]], claim: objects.Object, old: objects.Object | None
) -> Iterable[str]:
    requests = pod_resources.parse(objects.dig(claim, "spec", "resources", "requests"))
    before = pod_resources.parse(objects.dig(old, "spec", "resources", "requests"))
    for limit in limits:
        kind = limit.get("type")
        if kind != "PersistentVolumeClaim":
            continue
        for field, check in (("min", _below), ("max", _request_above)):
            for name, text in sorted((limit.get(field) or {}).items()):
                request = requests.get(name)
                if request is not None and request == before.get(name):
                    continue
                problem = check(name, kind, quantity.parse(text), request, None)
                if problem:
                    yield problem


def _request_above(
    name: str, kind: str, bound: quantity.Quantity, request: quantity.Quantity | None, limit: quantity.Quantity | None
) -> str:
    if request is None:
        return f"maximum {name} usage per {kind} is {bound}.  No request is specified"
    return f"maximum {name} usage per {kind} is {bound}, but request is {request}" if request > bound else ""

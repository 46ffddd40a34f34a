"""Priority levels and flow schemas; the four mandatory objects are what they are."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from kubeshim.machinery import objects
from kubeshim.machinery.errors import FieldError
from kubeshim.machinery.validation import content, fields, go_values

_GROUP = "k8s.io.api.flowcontrol.v1."
_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "proxy", "update", "watch")
_HIGHEST_PRECEDENCE = 10000
_MOST_QUEUES = 10_000_000
_HASH_BITS = 60
"""Bits of hash that shuffle sharding may use up."""
_ALL = {
    "resourceRules": [
        {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "clusterScope": True, "namespaces": ["*"]}
    ],
    "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
}


def _groups(*names: str) -> list[dict[str, Any]]:
    return [{"kind": "Group", "group": {"name": name}} for name in names]


_SCHEMAS: dict[str, dict[str, Any]] = {
    "exempt": {
        "priorityLevelConfiguration": {"name": "exempt"},
        "matchingPrecedence": 1,
        "rules": [{"subjects": _groups("system:masters"), **_ALL}],
    },
    "catch-all": {
        "priorityLevelConfiguration": {"name": "catch-all"},
        "matchingPrecedence": 10000,
        "distinguisherMethod": {"type": "ByUser"},
        "rules": [{"subjects": _groups("system:unauthenticated", "system:authenticated"), **_ALL}],
    },
}
_CATCH_ALL_LEVEL = {
    "type": "Limited",
    "limited": {"nominalConcurrencyShares": 5, "lendablePercent": 0, "limitResponse": {"type": "Reject"}},
}


def flow_schema(obj: objects.Object) -> list[FieldError]:
    name, spec = objects.name(obj), obj.get("spec") or {}
    wrong = _schema(name, spec)
    if name in _SCHEMAS and _plain(spec) != _plain(_SCHEMAS[name]):
        shown = go_values.internal(_GROUP + "FlowSchemaSpec", spec)
        wrong.append(fields.invalid("spec", shown, f"spec of '{name}' must equal the fixed value"))
    return wrong


def _plain(value: Any) -> Any:
    """Without what is not set; the subjects of a rule in any order."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items() if item not in (None, [], {})}
    if isinstance(value, list):
        return sorted((_plain(item) for item in value), key=str)
    return value


def _schema(name: str, spec: Mapping[str, Any]) -> list[FieldError]:
    wrong: list[FieldError] = []
    precedence, path = spec.get("matchingPrecedence") or 0, "spec.matchingPrecedence"
    if precedence <= 0:
        wrong.append(fields.invalid(path, precedence, "must be a positive value"))
    if precedence > _HIGHEST_PRECEDENCE:
        wrong.append(fields.invalid(path, precedence, f"must not be greater than {_HIGHEST_PRECEDENCE}"))
    if precedence == 1 and name != "exempt":
        text = "only the schema named 'exempt' may have matchingPrecedence 1"
        wrong.append(fields.invalid(path, precedence, text))
    method = spec.get("distinguisherMethod")
    if method is not None and method.get("type") not in ("ByNamespace", "ByUser"):
        shown = {"Type": method.get("type") or ""}
        wrong.append(fields.not_supported("spec.distinguisherMethod.type", shown, ("ByNamespace", "ByUser")))
    level = objects.dig(dict(spec), "priorityLevelConfiguration", "name", default="") or ""
    if level:
        wrong += fields.all_invalid("spec.priorityLevelConfiguration.name", level, content.dns_subdomain(level))
    else:
        wrong.append(fields.required("spec.priorityLevelConfiguration.name", "must reference a priority level"))
    for index, rule in enumerate(spec.get("rules") or ()):
        wrong += _rule(rule, f"spec.rules[{index}]")
    return wrong


def _rule(rule: Mapping[str, Any], path: str) -> list[FieldError]:
    subjects, resources, rest = rule.get("subjects"), rule.get("resourceRules"), rule.get("nonResourceRules")
    wrong: list[FieldError] = []
    if not subjects:
        wrong.append(fields.required(path + ".subjects", "subjects must contain at least one value"))
    for index, subject in enumerate(subjects or ()):
        wrong += _subject(subject, f"{path}.subjects[{index}]")
    if not resources and not rest:
        text = "at least one of resourceRules and nonResourceRules has to be non-empty"
        wrong.append(fields.required(path, text))
    for index, entry in enumerate(resources or ()):
        wrong += _resource_rule(entry, f"{path}.resourceRules[{index}]")
    for index, entry in enumerate(rest or ()):
        wrong += _path_rule(entry, f"{path}.nonResourceRules[{index}]")
    return wrong


_SUBJECTS = {"ServiceAccount": "serviceAccount", "User": "user", "Group": "group"}


def _subject(subject: Mapping[str, Any], path: str) -> list[FieldError]:
    kind = subject.get("kind") or ""
    if kind not in _SUBJECTS:
        return [fields.not_supported(path + ".kind", kind, sorted(_SUBJECTS))]
    own = _SUBJECTS[kind]
    named = subject.get(own)
    if named is None:
        wrong = [fields.required(f"{path}.{own}", f"{own} is required when subject kind is '{kind}'")]
    else:
        wrong = _named(named, kind, f"{path}.{own}")
    for other, field in _SUBJECTS.items():
        if other != kind and subject.get(field) is not None:
            text = f"{field} is forbidden when subject kind is not '{other}'"
            wrong.append(fields.forbidden(f"{path}.{field}", text))
    return wrong


def _named(found: Mapping[str, Any], kind: str, path: str) -> list[FieldError]:
    name = found.get("name") or ""
    wrong: list[FieldError] = []
    if not name:
        wrong.append(fields.required(path + ".name"))
    if kind != "ServiceAccount":
        return wrong
    if name and name != "*":
        wrong += fields.all_invalid(path + ".name", name, content.dns_subdomain(name))
    space = found.get("namespace") or ""
    if not space:
        wrong.append(fields.required(path + ".namespace", "must specify namespace for service account"))
    else:
        wrong += fields.all_invalid(path + ".namespace", space, content.dns_label(space))
    return wrong


def _verbs(verbs: Sequence[str], path: str) -> list[FieldError]:
    if not verbs:
        return [fields.required(path, "verbs must contain at least one value")]
    if "*" in verbs:
        text = "if '*' is present, must not specify other verbs"
        return [fields.invalid(path, list(verbs), text)] if len(verbs) > 1 else []
    return [] if set(verbs) <= set(_VERBS) else [fields.not_supported(path, list(verbs), _VERBS)]


def _list(values: Sequence[str], path: str, *, empty: str, others: str) -> list[FieldError]:
    if not values:
        return [fields.required(path, empty)]
    if len(values) > 1 and "*" in values:
        return [fields.invalid(path, list(values), f"if '*' is present, must not specify other {others}")]
    return []


def _resource_rule(rule: Mapping[str, Any], path: str) -> list[FieldError]:
    wrong = _verbs(rule.get("verbs") or [], path + ".verbs")
    empty = "resource rules must supply at least one api group"
    wrong += _list(rule.get("apiGroups") or [], path + ".apiGroups", empty=empty, others="api groups")
    empty = "resource rules must supply at least one resource"
    wrong += _list(rule.get("resources") or [], path + ".resources", empty=empty, others="resources")
    spaces = rule.get("namespaces") or []
    if spaces or not rule.get("clusterScope"):
        empty = "resource rules that are not cluster scoped must supply at least one namespace"
        wrong += _list(spaces, path + ".namespaces", empty=empty, others="namespaces")
    if "*" not in spaces:
        for index, space in enumerate(spaces):
            wrong += [
                fields.invalid(
                    f"{path}.namespaces[{index}]", space,
                    f"each member of this list must be '*' or a DNS-1123 label; {complaint}",
                )
                for complaint in content.dns_label(space)
            ]  # fmt: skip
    return wrong


def _path_rule(rule: Mapping[str, Any], path: str) -> list[FieldError]:
    wrong = _verbs(rule.get("verbs") or [], path + ".verbs")
    urls = rule.get("nonResourceURLs") or []
    empty = "nonResourceURLs must contain at least one value"
    wrong += _list(urls, path + ".nonResourceURLs", empty=empty, others="non-resource URLs")
    if "*" not in urls:
        for index, url in enumerate(urls):
            if complaint := _bad_path(url):
                wrong.append(fields.invalid(f"{path}.nonResourceURLs[{index}]", url, complaint))
    return wrong


def _bad_path(path: str) -> str:
    if not path:
        return "must not be empty"
    if not path.startswith("/"):
        return "must start with slash"
    if " " in path:
        return "must not contain white-space"
    if "//" in path:
        return "must not contain double slash"
    stars = path.count("*")
    return "wildcard can only do suffix matching" if stars > 1 or (stars and not path.endswith("/*")) else ""


def priority_level(obj: objects.Object) -> list[FieldError]:
    name, spec = objects.name(obj), obj.get("spec") or {}
    kind, limited, exempt = spec.get("type") or "", spec.get("limited"), spec.get("exempt")
    wrong: list[FieldError] = []
    if (name == "exempt") != (kind == "Exempt"):
        wrong.append(fields.invalid("spec.type", kind, "type must be 'Exempt' if and only if name is 'exempt'"))
    if kind == "Exempt":
        if limited is not None:
            wrong.append(fields.forbidden("spec.limited", "must be nil if the type is not Limited"))
        wrong += _shares(exempt or {}, "spec.exempt")
    elif kind == "Limited":
        if exempt is not None:
            wrong.append(fields.forbidden("spec.exempt", "must be nil if the type is Limited"))
        if limited is None:
            wrong.append(fields.required("spec.limited", "must not be empty when type is Limited"))
        else:
            wrong += _limited(limited, "spec.limited")
    else:
        wrong.append(fields.not_supported("spec.type", kind, ("Exempt", "Limited")))
    why = ""
    if name == "catch-all" and spec != _CATCH_ALL_LEVEL:
        why = "must equal the fixed value"
    elif name == "exempt" and (kind != "Exempt" or limited is not None):
        why = "except the 'spec.exempt' field must equal the fixed value"
    if why:
        shown = go_values.internal(_GROUP + "PriorityLevelConfigurationSpec", spec)
        wrong.append(fields.invalid("spec", shown, f"spec of '{name}' {why}"))
    return wrong


def _shares(found: Mapping[str, Any], path: str) -> list[FieldError]:
    shares, lendable = found.get("nominalConcurrencyShares"), found.get("lendablePercent")
    wrong: list[FieldError] = []
    if shares is not None and shares < 0:
        wrong.append(fields.invalid(path + ".nominalConcurrencyShares", shares, "must be a non-negative integer"))
    if lendable is not None and not 0 <= lendable <= 100:
        wrong.append(fields.invalid(path + ".lendablePercent", lendable, content.between(0, 100)))
    return wrong


def _limited(limited: Mapping[str, Any], path: str) -> list[FieldError]:
    wrong = _shares(limited, path)
    borrowing = limited.get("borrowingLimitPercent")
    if borrowing is not None and borrowing < 0:
        text = "if specified, must be a non-negative integer"
        wrong.append(fields.invalid(path + ".borrowingLimitPercent", borrowing, text))
    answer, path = limited.get("limitResponse") or {}, path + ".limitResponse"
    kind, queuing = answer.get("type") or "", answer.get("queuing")
    if kind == "Reject":
        if queuing is not None:
            text = "must be nil if limited.limitResponse.type is not Limited"
            wrong.append(fields.forbidden(path + ".queuing", text))
    elif kind == "Queue":
        if queuing is None:
            text = "must not be empty if limited.limitResponse.type is Limited"
            wrong.append(fields.required(path + ".queuing", text))
        else:
            wrong += _queuing(queuing, path + ".queuing")
    else:
        wrong.append(fields.not_supported(path + ".type", kind, ("Queue", "Reject")))
    return wrong


def _queuing(queuing: Mapping[str, Any], path: str) -> list[FieldError]:
    length, queues, hand = (queuing.get(field) or 0 for field in ("queueLengthLimit", "queues", "handSize"))
    wrong: list[FieldError] = []
    if length <= 0:
        wrong.append(fields.invalid(path + ".queueLengthLimit", length, "must be positive"))
    if queues <= 0:
        wrong.append(fields.invalid(path + ".queues", queues, "must be positive"))
    elif queues > _MOST_QUEUES:
        wrong.append(fields.invalid(path + ".queues", queues, f"must not be greater than {_MOST_QUEUES}"))
    if hand <= 0:
        wrong.append(fields.invalid(path + ".handSize", hand, "must be positive"))
    elif hand > queues:
        wrong.append(fields.invalid(path + ".handSize", hand, f"should not be greater than queues ({queues})"))
    elif math.ceil(math.log2(queues) * hand) > _HASH_BITS:
        text = f"required entropy bits of deckSize {queues} and handSize {hand} should not be greater than {_HASH_BITS}"
        wrong.append(fields.invalid(path + ".handSize", hand, text))
    return wrong


def status(obj: objects.Object, old: objects.Object) -> list[FieldError]:
    """Of either kind."""
    wrong: list[FieldError] = []
    found = objects.dig(obj, "status", "conditions", default=())
    kinds = [condition.get("type") or "" for condition in found]
    for index, kind in enumerate(kinds):
        path = f"status.conditions[{index}].type"
        if kind in kinds[:index]:
            wrong.append(fields.duplicate(path, kind))
        if not kind:
            wrong.append(fields.required(path, "must not be empty"))
    return wrong

"""RBAC rules: does one allow a request, and does one set of rules cover another? Pure.

A ``Rule`` is a ``PolicyRule`` compiled once for the many times it is asked. Its lists stay tuples in the order they
were written, which is the order messages show; they are so short that a set would not be faster.
"""

import dataclasses
import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

ALL = "*"


@dataclasses.dataclass(frozen=True, slots=True)
class Rule:
    verbs: tuple[str, ...]
    groups: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    urls: tuple[str, ...] = ()

    def allows(self, verb: str, group: str, resource: str, subresource: str, name: str) -> bool:
        """``resource`` without the subresource."""
        if verb not in self.verbs and ALL not in self.verbs:
            return False
        if group not in self.groups and ALL not in self.groups:
            return False
        if self.names and name not in self.names:
            return False
        if ALL in self.resources:
            return True
        if not subresource:
            return resource in self.resources
        return f"{resource}/{subresource}" in self.resources or f"*/{subresource}" in self.resources

    def allows_url(self, verb: str, path: str) -> bool:
        if verb not in self.verbs and ALL not in self.verbs:
            return False
        return any(_url_matches(pattern, path) for pattern in self.urls)


def _url_matches(pattern: str, path: str) -> bool:
    return pattern in (ALL, path) or (pattern.endswith(ALL) and path.startswith(pattern.rstrip(ALL)))


def compile_rules(rules: Iterable[Mapping[str, Any]] | None) -> tuple[Rule, ...]:
    """``rules`` of a Role or ClusterRole."""
    return tuple(
        Rule(
            tuple(rule.get("verbs") or ()),
            tuple(rule.get("apiGroups") or ()),
            tuple(rule.get("resources") or ()),
            tuple(rule.get("resourceNames") or ()),
            tuple(rule.get("nonResourceURLs") or ()),
        )
        for rule in rules or ()
    )


# --------------------------------------------------------------------------------------------------- covering


def uncovered(held: Sequence[Rule], wanted: Iterable[Rule]) -> list[Rule]:
    """What of ``wanted`` the ``held`` rules do not grant, as rules for one verb, group, resource and name each."""
    return [one for rule in wanted for one in breakdown(rule) if not any(_covers(holder, one) for holder in held)]


def breakdown(rule: Rule) -> list[Rule]:
    """The rule as rules that each name one thing."""
    single = [
        Rule((verb,), (group,), (resource,), names)
        for group, resource, verb in itertools.product(rule.groups, rule.resources, rule.verbs)
        for names in _each(rule.names)
    ]
    return single + [Rule((verb,), urls=(url,)) for url in rule.urls for verb in rule.verbs]


def _each(names: tuple[str, ...]) -> list[tuple[str, ...]]:
    return [(name,) for name in names] if names else [()]


def _covers(holder: Rule, wanted: Rule) -> bool:
    return (
        _all_in(wanted.verbs, holder.verbs)
        and _all_in(wanted.groups, holder.groups)
        and all(_resource_covered(resource, holder.resources) for resource in wanted.resources)
        and (not holder.names or (bool(wanted.names) and set(wanted.names) <= set(holder.names)))
        and all(any(_url_covers(url, one) for url in holder.urls) for one in wanted.urls)
    )


def _all_in(wanted: tuple[str, ...], held: tuple[str, ...]) -> bool:
    return ALL in held or all(one in held for one in wanted)


def _resource_covered(resource: str, held: tuple[str, ...]) -> bool:
    if ALL in held or resource in held:
        return True
    _, slash, subresource = resource.partition("/")
    return bool(slash) and f"*/{subresource}" in held


def _url_covers(held: str, wanted: str) -> bool:
    return held in (ALL, wanted) or (held.endswith(ALL) and wanted.startswith(held.rstrip(ALL)))


# -------------------------------------------------------------------------------------------------- for people


def compact(rules: Iterable[Rule]) -> list[Rule]:
    """Joins rules about the same group and resource (or URL) into one with all their verbs."""
    merged: dict[tuple[tuple[str, ...], ...], dict[str, None]] = {}
    for rule in rules:
        verbs = merged.setdefault((rule.groups, rule.resources, rule.names, rule.urls), {})
        verbs.update(dict.fromkeys(rule.verbs))
    return [Rule(tuple(verbs), *rest) for rest, verbs in merged.items()]


def text(rule: Rule) -> str:
    """``{APIGroups:[""], Resources:["pods"], Verbs:["get" "list"]}``, as escalation errors show rules."""
    parts = [
        f"{label}:[{' '.join(f'{chr(34)}{value}{chr(34)}' for value in values)}]"
        for label, values in (
            ("APIGroups", rule.groups), ("Resources", rule.resources), ("NonResourceURLs", rule.urls),
            ("ResourceNames", rule.names), ("Verbs", rule.verbs),
        )
        if values
    ]  # fmt: skip
    return "{" + ", ".join(parts) + "}"

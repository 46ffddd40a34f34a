"""Roles and bindings."""

from collections.abc import Mapping
from typing import Any

from kubeshim.machinery import objects
from kubeshim.machinery import selectors as selectors_
from kubeshim.machinery.errors import FieldError
from kubeshim.machinery.validation import content, fields, go_structs, metadata

GROUP = "rbac.authorization.k8s.io"


def role(obj: objects.Object) -> list[FieldError]:
    return _rules(obj, namespaced=True)


def cluster_role(obj: objects.Object) -> list[FieldError]:
    wrong = _rules(obj, namespaced=False)
    aggregation = obj.get("aggregationRule")
    if aggregation is not None:
        selectors = aggregation.get("clusterRoleSelectors") or ()
        path = "aggregationRule.clusterRoleSelectors"
        if not selectors:
            wrong.append(
                fields.required(path, "at least one clusterRoleSelector required if aggregationRule is non-nil")
            )
        for index, selector in enumerate(selectors):
            wrong += metadata.label_selector(selector, f"{path}[{index}]")
            try:
                selectors_.from_label_selector(selector)
            except selectors_.SelectorError:
                wrong.append(fields.invalid(f"{path}[{index}]", None, "invalid label selector."))
    return wrong


def _rules(obj: objects.Object, *, namespaced: bool) -> list[FieldError]:
    wrong: list[FieldError] = []
    for index, rule in enumerate(obj.get("rules") or ()):
        wrong += _rule(rule, f"rules[{index}]", namespaced)
    return wrong


def _rule(rule: Mapping[str, Any], path: str, namespaced: bool) -> list[FieldError]:
    wrong: list[FieldError] = []
    if not rule.get("verbs"):
        wrong.append(fields.required(path + ".verbs", "verbs must contain at least one value"))
    urls = rule.get("nonResourceURLs")
    if urls:
        place = path + ".nonResourceURLs"
        if namespaced:
            wrong.append(fields.invalid(place, urls, "namespaced rules cannot apply to non-resource URLs"))
        if any(rule.get(field) for field in ("apiGroups", "resources", "resourceNames")):
            text = "rules cannot apply to both regular resources and non-resource URLs"
            wrong.append(fields.invalid(place, urls, text))
        return wrong
    if not rule.get("apiGroups"):
        wrong.append(fields.required(path + ".apiGroups", "resource rules must supply at least one api group"))
    if not rule.get("resources"):
        wrong.append(fields.required(path + ".resources", "resource rules must supply at least one resource"))
    return wrong


def role_binding(obj: objects.Object) -> list[FieldError]:
    return _binding(obj, ("Role", "ClusterRole"), namespaced=True)


def cluster_role_binding(obj: objects.Object) -> list[FieldError]:
    return _binding(obj, ("ClusterRole",), namespaced=False)


def _binding(obj: objects.Object, kinds: tuple[str, ...], *, namespaced: bool) -> list[FieldError]:
    reference = obj.get("roleRef") or {}
    group, kind, name = (reference.get(field) or "" for field in ("apiGroup", "kind", "name"))
    wrong: list[FieldError] = []
    if group != GROUP:
        wrong.append(fields.not_supported("roleRef.apiGroup", group, (GROUP,)))
    wrong += fields.one_of("roleRef.kind", kind, kinds)
    if not name:
        wrong.append(fields.required("roleRef.name"))
    else:
        wrong += fields.all_invalid("roleRef.name", name, content.path_segment(name))
    for index, subject in enumerate(obj.get("subjects") or ()):
        wrong += _subject(subject, f"subjects[{index}]", namespaced)
    return wrong


def _subject(subject: Mapping[str, Any], path: str, namespaced: bool) -> list[FieldError]:
    kind, name, group = subject.get("kind") or "", subject.get("name") or "", subject.get("apiGroup") or ""
    wrong: list[FieldError] = []
    if not name:
        wrong.append(fields.required(path + ".name"))
    if kind == "ServiceAccount":
        if name:
            wrong += fields.all_invalid(path + ".name", name, content.dns_subdomain(name))
        if group:
            wrong.append(fields.not_supported(path + ".apiGroup", group, ("",)))
        if not namespaced and not subject.get("namespace"):
            wrong.append(fields.required(path + ".namespace"))
    elif kind in ("User", "Group"):
        if group != GROUP:
            wrong.append(fields.not_supported(path + ".apiGroup", group, (GROUP,)))
    else:
        wrong.append(fields.not_supported(path + ".kind", kind, ("ServiceAccount", "User", "Group")))
    return wrong


def binding_update(obj: objects.Object, old: objects.Object) -> list[FieldError]:
    if obj.get("roleRef") == old.get("roleRef"):
        return []
    shown = go_structs.shown(go_structs.ROLE_REFERENCE, obj.get("roleRef") or {})
    return [fields.invalid("roleRef", shown, "cannot change roleRef")]

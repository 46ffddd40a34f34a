"""What of a pod concerns where it may run: affinity, tolerations, topology spread; taints of nodes."""

from collections.abc import Mapping, Sequence
from typing import Any

from kubeshim.machinery.errors import FieldError
from kubeshim.machinery.validation import content, fields, go_structs, metadata

EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
_BAD_OPERATOR = "not a valid selector operator"


def tolerations(found: Sequence[Mapping[str, Any]], base: str) -> list[FieldError]:
    wrong: list[FieldError] = []
    for index, toleration in enumerate(found):
        path = f"{base}[{index}]"
        key, operator = toleration.get("key") or "", toleration.get("operator") or ""
        effect, value = toleration.get("effect") or "", toleration.get("value") or ""
        if key:
            wrong += fields.all_invalid(path + ".key", key, content.qualified_name(key))
        elif operator != "Exists":
            text = 'operator must be Exists when `key` is empty, which means "match all values and all keys"'
            wrong.append(fields.invalid(path + ".operator", operator, text))
        if toleration.get("tolerationSeconds") is not None and effect != "NoExecute":
            text = "effect must be 'NoExecute' when `tolerationSeconds` is set"
            wrong.append(fields.invalid(path + ".effect", effect, text))
        if operator in ("", "Equal"):
            if complaints := content.label_value(value):
                wrong.append(fields.invalid(path + ".operator", value, ";".join(complaints)))
        elif operator == "Exists":
            if value:
                text = "value must be empty when `operator` is 'Exists'"
                wrong.append(fields.invalid(path + ".operator", value, text))
        else:
            # comparing numbers is behind a gate that is off; upstream lists its operators only to who asks for them
            supported = ("Equal", "Exists", "Lt", "Gt") if operator in ("Lt", "Gt") else ("Equal", "Exists")
            wrong.append(fields.not_supported(path + ".operator", operator, supported))
        if effect:
            wrong += fields.one_of(path + ".effect", effect, EFFECTS)
    return wrong


def taints(found: Sequence[Mapping[str, Any]], base: str) -> list[FieldError]:
    wrong: list[FieldError] = []
    seen: set[tuple[str, str]] = set()
    for index, taint in enumerate(found):
        path = f"{base}[{index}]"
        key, value, effect = taint.get("key") or "", taint.get("value") or "", taint.get("effect") or ""
        wrong += fields.all_invalid(path + ".key", key, content.qualified_name(key))
        if complaints := content.label_value(value):
            wrong.append(fields.invalid(path + ".value", value, ";".join(complaints)))
        if not effect:
            wrong.append(fields.required(path + ".effect"))
        else:
            wrong += fields.one_of(path + ".effect", effect, EFFECTS)
        if (key, effect) in seen:
            problem = fields.duplicate(path, go_structs.shown(go_structs.TAINT, taint))
            text = problem.message + ": taints must be unique by key and effect pair"
            wrong.append(FieldError(path, problem.reason, text))
        seen.add((key, effect))
    return wrong


def affinity(found: Mapping[str, Any], path: str) -> list[FieldError]:
    wrong: list[FieldError] = []
    if node := found.get("nodeAffinity"):
        place = path + ".nodeAffinity"
        if (required := node.get(_REQUIRED)) is not None:
            wrong += node_selector(required, f"{place}.{_REQUIRED}")
        for index, term in enumerate(node.get(_PREFERRED) or ()):
            where = f"{place}.{_PREFERRED}[{index}]"
            wrong += _weight(term, where)
            wrong += _node_term(term.get("preference") or {}, where + ".preference", judge_values=False)
    for field in ("podAffinity", "podAntiAffinity"):
        if pods := found.get(field):
            place = f"{path}.{field}"
            for index, term in enumerate(pods.get(_REQUIRED) or ()):
                wrong += _pod_term(term, f"{place}.{_REQUIRED}[{index}]")
            for index, term in enumerate(pods.get(_PREFERRED) or ()):
                where = f"{place}.{_PREFERRED}[{index}]"
                wrong += _weight(term, where)
                wrong += _pod_term(term.get("podAffinityTerm") or {}, where + ".podAffinityTerm")
    return wrong


def _weight(term: Mapping[str, Any], path: str) -> list[FieldError]:
    weight = term.get("weight") or 0
    return [] if 1 <= weight <= 100 else [fields.invalid(path + ".weight", weight, "must be in the range 1-100")]


def node_selector(found: Mapping[str, Any], path: str) -> list[FieldError]:
    terms = found.get("nodeSelectorTerms") or ()
    if not terms:
        return [fields.required(path + ".nodeSelectorTerms", "must have at least one node selector term")]
    wrong: list[FieldError] = []
    for index, term in enumerate(terms):
        wrong += _node_term(term, f"{path}.nodeSelectorTerms[{index}]", judge_values=True)
    return wrong


def _node_term(term: Mapping[str, Any], path: str, *, judge_values: bool) -> list[FieldError]:
    wrong: list[FieldError] = []
    for index, expression in enumerate(term.get("matchExpressions") or ()):
        wrong += _node_expression(expression, f"{path}.matchExpressions[{index}]", judge_values)
    for index, expression in enumerate(term.get("matchFields") or ()):
        wrong += _node_field(expression, f"{path}.matchFields[{index}]")
    return wrong


def _node_expression(term: Mapping[str, Any], path: str, judge_values: bool) -> list[FieldError]:
    operator, listed = term.get("operator") or "", term.get("values") or ()
    wrong: list[FieldError] = []
    if operator in ("In", "NotIn"):
        if not listed:
            wrong.append(fields.required(path + ".values", "must be specified when `operator` is 'In' or 'NotIn'"))
    elif operator in ("Exists", "DoesNotExist"):
        if listed:
            text = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
            wrong.append(fields.forbidden(path + ".values", text))
    elif operator in ("Gt", "Lt"):
        if len(listed) != 1:
            text = "must be specified single value when `operator` is 'Lt' or 'Gt'"
            wrong.append(fields.required(path + ".values", text))
    else:
        wrong.append(fields.invalid(path + ".operator", operator, _BAD_OPERATOR))
    wrong += fields.all_invalid(path + ".key", term.get("key") or "", content.qualified_name(term.get("key") or ""))
    if judge_values:
        for index, value in enumerate(listed):
            wrong += fields.all_invalid(f"{path}.values[{index}]", value, content.label_value(value))
    return wrong


def _node_field(term: Mapping[str, Any], path: str) -> list[FieldError]:
    operator, listed, key = term.get("operator") or "", term.get("values") or (), term.get("key") or ""
    wrong: list[FieldError] = []
    if operator not in ("In", "NotIn"):
        wrong.append(fields.invalid(path + ".operator", operator, _BAD_OPERATOR))
    elif len(listed) != 1:
        text = "must be only one value when `operator` is 'In' or 'NotIn' for node field selector"
        wrong.append(fields.required(path + ".values", text))
    if key != "metadata.name":
        wrong.append(fields.invalid(path + ".key", key, "not a valid field selector key"))
    else:
        for index, value in enumerate(listed):
            wrong += fields.all_invalid(f"{path}.values[{index}]", value, content.dns_subdomain(value))
    return wrong


def _pod_term(term: Mapping[str, Any], path: str) -> list[FieldError]:
    wrong = metadata.label_selector(term.get("labelSelector"), path + ".labelSelector")
    wrong += metadata.label_selector(term.get("namespaceSelector"), path + ".namespaceSelector")
    for name in term.get("namespaces") or ():
        wrong += fields.all_invalid(path + ".namespace", name, content.dns_label(name))
    wrong += _label_keys(term, path)
    key = term.get("topologyKey") or ""
    if not key:
        wrong.append(fields.required(path + ".topologyKey", "can not be empty"))
    return wrong + fields.all_invalid(path + ".topologyKey", key, content.qualified_name(key))


def _label_keys(found: Mapping[str, Any], path: str) -> list[FieldError]:
    """``matchLabelKeys`` and ``mismatchLabelKeys``: labels whose values the pod itself gives to the selector."""
    match, mismatch, selector = (
        found.get(name) for name in ("matchLabelKeys", "mismatchLabelKeys", "labelSelector")
    )  # fmt: skip
    wrong: list[FieldError] = []
    for name, keys in (("matchLabelKeys", match), ("mismatchLabelKeys", mismatch)):
        if keys and selector is None:
            text = "must not be specified when labelSelector is not set"
            wrong.append(fields.forbidden(f"{path}.{name}", text))
        elif keys:
            for index, key in enumerate(keys):
                wrong += fields.all_invalid(f"{path}.{name}[{index}]", key, content.qualified_name(key))
    if match and selector is not None:
        # by now the selector has a term for each key; a second one the author wrote
        known = set(selector.get("matchLabels") or ())
        for term in selector.get("matchExpressions") or ():
            key = term.get("key") or ""
            if key in match and key in known:
                place = f"{path}[{len(match) - 1 - match[::-1].index(key)}]"
                wrong.append(fields.invalid(place, key, "exists in both matchLabelKeys and labelSelector"))
            known.add(key)
    for index, key in enumerate(match or ()):
        if key in (mismatch or ()):
            text = "exists in both matchLabelKeys and mismatchLabelKeys"
            wrong.append(fields.invalid(f"{path}.matchLabelKeys[{index}]", key, text))
    return wrong


def topology_spread(found: Sequence[Mapping[str, Any]], base: str) -> list[FieldError]:
    wrong: list[FieldError] = []
    pairs = [(one.get("topologyKey") or "", one.get("whenUnsatisfiable") or "") for one in found]
    for index, constraint in enumerate(found):
        path = f"{base}[{index}]"
        key, action = constraint.get("topologyKey") or "", constraint.get("whenUnsatisfiable") or ""
        skew = constraint.get("maxSkew") or 0
        if skew <= 0:
            wrong.append(fields.invalid(path + ".maxSkew", skew, "must be greater than zero"))
        if not key:
            wrong.append(fields.required(path + ".topologyKey", "can not be empty"))
        wrong += fields.one_of(path + ".whenUnsatisfiable", action, ("DoNotSchedule", "ScheduleAnyway"))
        if (key, action) in pairs[index + 1 :]:
            wrong.append(fields.duplicate(path + ".{topologyKey, whenUnsatisfiable}", f"{{{key}, {action}}}"))
        wrong += _spread_options(constraint, action, path)
    return wrong


def _spread_options(constraint: Mapping[str, Any], action: str, path: str) -> list[FieldError]:
    wrong: list[FieldError] = []
    domains = constraint.get("minDomains")
    if domains is not None:
        if domains <= 0:
            wrong.append(fields.invalid(path + ".minDomains", domains, "must be greater than zero"))
        if action != "DoNotSchedule":
            text = f"can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {action}"
            wrong.append(fields.invalid(path + ".minDomains", domains, text))
    for field in ("nodeAffinityPolicy", "nodeTaintsPolicy"):
        if constraint.get(field) is not None:
            wrong += fields.one_of(f"{path}.{field}", constraint[field], ("Honor", "Ignore"))
    wrong += _label_keys(constraint, path)
    return wrong + metadata.label_selector(constraint.get("labelSelector"), path + ".labelSelector")

"""Admission webhook configurations, and the ``clientConfig`` other kinds have as well."""

import urllib.parse
from collections.abc import Mapping, Sequence
from typing import Any

from kubeshim.machinery import objects
from kubeshim.machinery.errors import FieldError
from kubeshim.machinery.validation import admission_rules, content, fields, metadata

_REVIEW_VERSIONS = ("v1", "v1beta1")
_HARMLESS = ("None", "NoneOnDryRun")
_SIDE_EFFECTS = ("None", "NoneOnDryRun", "Some", "Unknown")


REVIEWS = frozenset(
    f"{kind}.{group}"
    for group, kinds in {
        "authentication.k8s.io": ("selfsubjectreviews", "tokenreviews"),
        "authorization.k8s.io": (
            "localsubjectaccessreviews", "selfsubjectaccessreviews", "selfsubjectrulesreviews", "subjectaccessreviews",
        ),
    }.items()
    for kind in kinds
)  # fmt: skip
"""Questions about who somebody is and what one may do: they are not kept, and nobody is asked about them."""


def configuration(obj: objects.Object) -> list[FieldError]:
    """A Validating- or MutatingWebhookConfiguration that is new."""
    return _webhooks(obj.get("webhooks") or (), harmless=True, recognized=True, unique=True, known=frozenset())


def configuration_update(obj: objects.Object, old: objects.Object) -> list[FieldError]:
    """What was wrong with the old one already may stay so."""
    before: Sequence[Mapping[str, Any]] = old.get("webhooks") or ()
    names = [hook.get("name") for hook in before]
    return _webhooks(
        obj.get("webhooks") or (),
        harmless=all(hook.get("sideEffects") in _HARMLESS for hook in before),
        recognized=all(_recognized(hook) for hook in before if hook.get("admissionReviewVersions")),
        unique=len(set(names)) == len(names),
        known=frozenset(
            condition.get("expression") or "" for hook in before for condition in hook.get("matchConditions") or ()
        ),
    )


def warn(obj: objects.Object, old: objects.Object | None) -> list[str]:
    """Rules that name what webhooks are not asked about; one with a wildcard may mean something else."""
    found: list[str] = []
    for number, hook in enumerate(obj.get("webhooks") or ()):
        for index, rule in enumerate(hook.get("rules") or ()):
            groups, plurals = rule.get("apiGroups") or (), rule.get("resources") or ()
            if "*" in groups or "*" in plurals:
                continue
            named = dict.fromkeys(f"{plural}.{group}" for group in groups for plural in plurals)
            path = f"webhooks[{number}].rules[{index}]"
            text = "is excluded from admission webhooks; this rule will have no effect"
            found += [f"{path}: {name} {text}" for name in named if name in REVIEWS]
    return found


def _recognized(hook: Mapping[str, Any]) -> bool:
    return any(version in _REVIEW_VERSIONS for version in hook.get("admissionReviewVersions") or ())


def _webhooks(
    found: Sequence[Mapping[str, Any]], *, harmless: bool, recognized: bool, unique: bool, known: frozenset[str]
) -> list[FieldError]:
    """``known`` are expressions that stood there before: they are not judged again."""
    wrong: list[FieldError] = []
    seen: set[str] = set()
    for index, hook in enumerate(found):
        path, name = f"webhooks[{index}]", hook.get("name") or ""
        wrong += _webhook(hook, path, _HARMLESS if harmless else _SIDE_EFFECTS)
        conditions = hook.get("matchConditions")
        wrong += admission_rules.match_conditions(conditions, path + ".matchConditions", known=known)
        versions = hook.get("admissionReviewVersions") or []
        missing = f"must specify one of {_KNOWN}"
        wrong += review_versions(versions, path + ".admissionReviewVersions", missing, recognized=recognized)
        if unique and name and name in seen:
            wrong.append(fields.duplicate(path + ".name", name))
        seen.add(name)
    return wrong


def _webhook(hook: Mapping[str, Any], path: str, side_effects: Sequence[str]) -> list[FieldError]:
    wrong = qualified_name(hook.get("name") or "", path + ".name")
    for index, rule in enumerate(hook.get("rules") or ()):
        wrong += admission_rules.rule(rule, f"{path}.rules[{index}]")
    choices = (
        ("failurePolicy", admission_rules.FAILURE_POLICIES),
        ("matchPolicy", admission_rules.MATCH_POLICIES),
    )
    for field, known in choices:
        if hook.get(field) is not None:
            wrong += fields.one_of(f"{path}.{field}", hook[field], known)
    if hook.get("sideEffects") is None:
        wrong.append(fields.required(path + ".sideEffects", "must specify one of " + ", ".join(side_effects)))
    else:
        wrong += fields.one_of(path + ".sideEffects", hook["sideEffects"], side_effects)
    seconds = hook.get("timeoutSeconds")
    if seconds is not None and not 1 <= seconds <= 30:
        text = "the timeout value must be between 1 and 30 seconds"
        wrong.append(fields.invalid(path + ".timeoutSeconds", seconds, text))
    for field in ("namespaceSelector", "objectSelector"):
        if hook.get(field) is not None:
            wrong += metadata.label_selector(hook[field], f"{path}.{field}")
    if hook.get("reinvocationPolicy") is not None:
        policy = hook["reinvocationPolicy"]
        wrong += fields.one_of(path + ".reinvocationPolicy", policy, admission_rules.REINVOCATION_POLICIES)
    return wrong + client_config(hook.get("clientConfig") or {}, path + ".clientConfig")


def qualified_name(name: str, path: str) -> list[FieldError]:
    """A domain with at least three segments."""
    if not name:
        return [fields.required(path)]
    if complaints := content.dns_subdomain(name):
        return [fields.invalid(path, name, ",".join(complaints))]
    if name.count(".") < 2:
        return [fields.invalid(path, name, "should be a domain with at least three segments separated by dots")]
    return []


_KNOWN = ", ".join(_REVIEW_VERSIONS)


def review_versions(versions: Sequence[str], path: str, missing: str = "", *, recognized: bool) -> list[FieldError]:
    """Of the reviews that a webhook takes. ``recognized``: one of them must be spoken here."""
    if not versions:
        return [fields.required(path, missing)]
    wrong: list[FieldError] = []
    for index, version in enumerate(versions):
        if version in versions[:index]:
            wrong.append(fields.invalid(f"{path}[{index}]", version, "duplicate version"))
        else:
            wrong += fields.all_invalid(f"{path}[{index}]", version, content.dns_1035_label(version))
    if recognized and not any(version in _REVIEW_VERSIONS for version in versions):
        wrong.append(fields.invalid(path, list(versions), f"must include at least one of {_KNOWN}"))
    return wrong


def client_config(config: Mapping[str, Any], path: str) -> list[FieldError]:
    address, service = config.get("url"), config.get("service")
    if (address is None) == (service is None):
        return [fields.required(path, "exactly one of url or service is required")]
    if address is not None:
        return url(address, path + ".url")
    return service_reference(service or {}, path + ".service")


_FORM = "; desired format: https://host[/path]"


def url(address: str, path: str) -> list[FieldError]:
    """Where a webhook is called; HTTPS only."""
    try:
        parts = urllib.parse.urlsplit(address)
    except ValueError as problem:
        return [fields.required(path, f"url must be a valid URL: {problem}{_FORM}")]
    wrong: list[FieldError] = []
    if parts.scheme != "https":
        wrong.append(fields.invalid(path, parts.scheme, f"'https' is the only allowed URL scheme{_FORM}"))
    if not parts.netloc:
        wrong.append(fields.invalid(path, parts.netloc, f"host must be specified{_FORM}"))
    if "@" in parts.netloc:
        user = parts.netloc.rpartition("@")[0]
        wrong.append(fields.invalid(path, user, "user information is not permitted in the URL"))
    if parts.fragment:
        wrong.append(fields.invalid(path, parts.fragment, "fragments are not permitted in the URL"))
    if parts.query:
        wrong.append(fields.invalid(path, parts.query, "query parameters are not permitted in the URL"))
    return wrong


def service_reference(service: Mapping[str, Any], path: str) -> list[FieldError]:
    wrong = [
        fields.required(f"{path}.{field}", f"service {field} is required")
        for field in ("name", "namespace")
        if not service.get(field)
    ]
    port = service.get("port", 443)
    if not 1 <= port <= 65535:
        text = "port is not valid: " + content.between(1, 65535)
        wrong.append(fields.invalid(path + ".port", port, text))
    if service.get("path") is not None:
        wrong += _service_path(service["path"], path + ".path")
    return wrong


def _service_path(text: str, path: str) -> list[FieldError]:
    if text in ("/", ""):
        return []
    if text == "//":
        return [fields.invalid(path, text, "segment[0] may not be empty")]
    wrong: list[FieldError] = []
    if not text.startswith("/"):
        wrong.append(fields.invalid(path, text, "must start with a '/'"))
    steps = (text[1:-1] if text.endswith("/") else text[1:]).split("/")
    for index, step in enumerate(steps):
        if not step:
            wrong.append(fields.invalid(path, text, f"segment[{index}] may not be empty"))
            continue
        wrong += [
            fields.invalid(path, text, f"segment[{index}]: {complaint}") for complaint in content.dns_subdomain(step)
        ]
    return wrong

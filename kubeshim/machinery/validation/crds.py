"""CustomResourceDefinitions, new and changed.

Field paths are those of upstream's internal form: what all versions of a definition have alike (a single version
always has) stands at the top there, so a schema's complaints begin with ``spec.validation.openAPIV3Schema``, and only
where versions differ with ``spec.versions[1].schema.openAPIV3Schema``.
"""

import unicodedata
from collections.abc import Mapping
from typing import Any

from kubeshim.machinery import errors, objects
from kubeshim.machinery.validation import ca_bundles, content, crd_internals, crd_versions, fields, webhooks

Problems = list[errors.FieldError]

APPROVAL = "api-approved.kubernetes.io"
_PROTECTED = ("k8s.io", "kubernetes.io")
_PULL_REQUEST = "https://github.com/kubernetes/enhancements/pull/1111"


def validate_create(obj: objects.Object) -> Problems:
    """What is wrong with a new definition, beyond its metadata's own form."""
    spec, metadata = obj.get("spec") or {}, obj.get("metadata") or {}
    wrong: Problems = []
    wanted = f"{objects.dig(spec, 'names', 'plural', default='')}.{spec.get('group') or ''}"
    if metadata.get("name") and metadata["name"] != wanted:
        wrong.append(fields.invalid("metadata.name", metadata["name"], 'must be spec.names.plural+"."+spec.group'))
    return wrong + _spec(spec) + _status(obj) + _approval(obj, None) + _preserving(spec, {})


def validate_update(obj: objects.Object, old: objects.Object) -> Problems:
    """What is wrong with a changed definition, and with the change."""
    spec, before = obj.get("spec") or {}, old.get("spec") or {}
    return (
        _spec(spec, check_bundle=not _may_have_any_bundle(old)) + _immutable(spec, before, old) + _status(obj)
        + _approval(obj, old) + _preserving(spec, before)
    )  # fmt: skip


def _immutable(spec: Mapping[str, Any], before: Mapping[str, Any], old: objects.Object) -> Problems:
    wrong: Problems = []
    established = objects.condition(old, "Established")
    paths: tuple[tuple[str, ...], ...] = (("group",), ("names", "plural"))
    if established and established.get("status") == "True":
        paths = (("scope",), ("names", "kind"), *paths)
    for path in paths:
        now, then = objects.dig(spec, *path, default=""), objects.dig(before, *path, default="")
        wrong += fields.immutable(".".join(("spec", *path)), now, then)
    return wrong


def _status(obj: objects.Object) -> Problems:
    status = obj.get("status") or {}
    wrong = names(status.get("acceptedNames") or {}, "status.acceptedNames")
    return wrong + stored_versions(status.get("storedVersions") or [], objects.dig(obj, "spec", "versions") or [])


def _preserving(spec: Mapping[str, Any], before: Mapping[str, Any]) -> Problems:
    if not spec.get("preserveUnknownFields") or before.get("preserveUnknownFields"):
        return []
    text = "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead"
    return [fields.invalid("spec.preserveUnknownFields", True, text)]


def _spec(spec: Mapping[str, Any], *, check_bundle: bool = False) -> Problems:
    wrong = _group(spec.get("group") or "") + _scope(spec.get("scope") or "")
    versions = spec.get("versions") or []
    shared = crd_versions.shared(versions)
    for index, version in enumerate(versions):
        if objects.dig(version, "schema", "openAPIV3Schema") is None:
            path = f"spec.versions[{index}].schema.openAPIV3Schema"
            wrong.append(fields.required(path, "schemas are required"))
    preserving = bool(spec.get("preserveUnknownFields"))
    if preserving and any(crd_versions.has_defaults(version) for version in versions):
        text = "must be false in order to use defaults in the schema"
        wrong.append(fields.invalid("spec.preserveUnknownFields", True, text))
    for index, version in enumerate(versions):
        path = f"spec.versions[{index}]"
        if complaints := content.dns_1035_label(version.get("name") or ""):
            wrong.append(fields.invalid(f"{path}.name", version.get("name") or "", ",".join(complaints)))
        wrong += _deprecation(version, f"{path}.deprecationWarning")
        wrong += crd_versions.validate(version, path, shared)
    wrong += _versions(versions)
    given = spec.get("names") or {}
    for name in ("plural", "singular", "kind", "listKind"):
        if not given.get(name):
            wrong.append(fields.required(f"spec.names.{name}"))
    wrong += names(given, "spec.names")
    wrong += crd_versions.validate_shared(versions, shared)
    conversion = spec.get("conversion") or {}
    if preserving and conversion.get("strategy") != "None":
        text = "must be None if spec.preserveUnknownFields is true"
        wrong.append(fields.invalid("spec.conversion.strategy", conversion.get("strategy") or "", text))
    return wrong + _conversion(conversion, check_bundle)


def _group(group: str) -> Problems:
    if not group:
        return [fields.required("spec.group")]
    if complaints := content.dns_subdomain(group):
        return [fields.invalid("spec.group", group, ",".join(complaints))]
    if "." not in group:
        return [fields.invalid("spec.group", group, "should be a domain with at least one dot")]
    return []


def _scope(scope: str) -> Problems:
    if not scope:
        return [fields.required("spec.scope")]
    return fields.one_of("spec.scope", scope, ("Cluster", "Namespaced"))


def _deprecation(version: Mapping[str, Any], path: str) -> Problems:
    warning = version.get("deprecationWarning")
    if warning is None:
        return []
    if not version.get("deprecated"):
        return [fields.invalid(path, warning, "can only be set for deprecated versions")]
    wrong = []
    if len(warning.encode()) > 256:
        wrong.append("must be <= 256 characters long")
    if not warning:
        wrong.append("must not be an empty string")
    offset = 0
    for char in warning:
        if char != " " and unicodedata.category(char)[0] in "CZ":
            text = "must only contain printable UTF-8 characters; non-printable character found at index"
            wrong.append(f"{text} {offset}")
            break
        offset += len(char.encode())
    return fields.all_invalid(path, warning, wrong)


def _versions(versions: list[Mapping[str, Any]]) -> Problems:
    wrong: Problems = []
    if len({version.get("name") for version in versions}) != len(versions):
        wrong.append(_invalid_versions(versions, "must contain unique version names"))
    if sum(bool(version.get("storage")) for version in versions) != 1:
        wrong.append(_invalid_versions(versions, "must have exactly one version marked as storage version"))
    return wrong


def _invalid_versions(versions: list[Mapping[str, Any]], why: str) -> errors.FieldError:
    shown = crd_internals.versions(versions, crd_versions.shared(versions)) if versions else None
    return fields.invalid("spec.versions", shown, why)


def strange_formats(obj: objects.Object) -> list[str]:
    """Formats of strings, each once, that nothing is known of."""
    found = [
        name for version in objects.dig(obj, "spec", "versions") or () for name in crd_versions.strange_formats(version)
    ]
    return list(dict.fromkeys(found))


def names(given: Mapping[str, Any], path: str) -> Problems:
    """The names a type goes by, asked for or accepted."""
    wrong: Problems = []
    for name in ("plural", "singular"):
        if given.get(name) and (complaints := content.dns_1035_label(given[name])):
            wrong.append(fields.invalid(f"{path}.{name}", given[name], ",".join(complaints)))
    for name in ("kind", "listKind"):
        if given.get(name) and (complaints := content.dns_1035_label(given[name].lower())):
            text = "may have mixed case, but should otherwise match: " + ",".join(complaints)
            wrong.append(fields.invalid(f"{path}.{name}", given[name], text))
    wrong += _labels(given.get("shortNames") or (), f"{path}.shortNames")
    if given.get("kind") and given["kind"] == given.get("listKind"):
        wrong.append(fields.invalid(f"{path}.listKind", given["listKind"], "kind and listKind may not be the same"))
    return wrong + _labels(given.get("categories") or (), f"{path}.categories")


def _labels(found: Any, path: str) -> Problems:
    return [
        fields.invalid(f"{path}[{index}]", name, ",".join(complaints))
        for index, name in enumerate(found)
        if (complaints := content.dns_1035_label(name))
    ]


def _may_have_any_bundle(old: objects.Object) -> bool:
    """Whether the certificates of the webhook may be no certificates: they were not, or are not yet in use."""
    established = objects.condition(old, "Established")
    if established is None or established.get("status") != "True":
        return True
    before = objects.dig(old, "spec", "conversion", "webhook", "clientConfig", "caBundle")
    return bool(before and ca_bundles.problem(before))


def _conversion(conversion: Mapping[str, Any], check_bundle: bool) -> Problems:
    """Paths are of upstream's internal form, where the webhook's parts stand by themselves."""
    path, strategy = "spec.conversion", conversion.get("strategy") or ""
    if strategy:
        wrong = fields.one_of(f"{path}.strategy", strategy, ("None", "Webhook"))
    else:
        wrong = [fields.required(f"{path}.strategy")]
    webhook = conversion.get("webhook") or {}
    client, versions = webhook.get("clientConfig"), webhook.get("conversionReviewVersions")
    if strategy != "Webhook":
        text = "should not be set when strategy is not set to Webhook"
        for name, value in (("webhookClientConfig", client), ("conversionReviewVersions", versions)):
            if value or (value is client and value is not None):
                wrong.append(fields.forbidden(f"{path}.{name}", text))
        return wrong
    if client is None:
        wrong.append(fields.required(f"{path}.webhookClientConfig", "required when strategy is set to Webhook"))
    else:
        wrong += webhooks.client_config(client, f"{path}.webhookClientConfig")
        bundle = client.get("caBundle") if check_bundle else None
        if bundle and (why := ca_bundles.problem(bundle)):
            wrong.append(fields.invalid(f"{path}.webhookClientConfig.caBundle", bundle, why))
    return wrong + webhooks.review_versions(versions or [], f"{path}.conversionReviewVersions", recognized=True)


def stored_versions(stored: list[str], versions: list[Mapping[str, Any]]) -> Problems:
    """Versions in which objects may still be stored must exist."""
    path = "status.storedVersions"
    if not stored:
        return [fields.invalid(path, stored or None, "must have at least one stored version")]
    wrong: Problems = []
    known = {version.get("name") for version in versions}
    for version in versions:
        if version.get("storage") and version.get("name") not in stored:
            wrong.append(fields.invalid(path, stored, f"must have the storage version {version.get('name')}"))
    for index, name in enumerate(stored):
        if name not in known:
            text = (
                f"missing from spec.versions; {name} was previously a storage version, and must remain in "
                f"spec.versions until a storage migration ensures no data remains persisted in {name} and removes "
                f"{name} from status.storedVersions"
            )
            wrong.append(fields.invalid(f"{path}[{index}]", name, text))
    return wrong


# --- groups of Kubernetes' own -----------------------------------------------------------------------------------


def is_protected(group: str) -> bool:
    """Whether a group's definitions need the approval annotation."""
    return group in _PROTECTED or group.endswith(tuple("." + name for name in _PROTECTED))


def approval(value: str | None) -> tuple[str, str]:
    """``(state, why)`` of an approval annotation: ``missing``, ``approved``, ``bypassed`` or ``invalid``."""
    if value is None or value == "":
        return "missing", f'protected groups must have approval annotation "{APPROVAL}", see {_PULL_REQUEST}'
    if value.startswith("unapproved"):
        return "bypassed", f'not approved: "{value}"'
    host = value.split("://", 1)[1].split("/", 1)[0] if "://" in value else ""
    if host and " " not in value:
        return "approved", f"approved in {value}"
    text = (
        'protected groups must have approval annotation "{}" with either a URL or a reason starting with "unapproved"'
    )
    return "invalid", f"{text.format(APPROVAL)}, see {_PULL_REQUEST}"


def _approval(obj: objects.Object, old: objects.Object | None) -> Problems:
    if not is_protected(objects.dig(obj, "spec", "group", default="") or ""):
        return []
    value = objects.annotations(obj).get(APPROVAL)
    state, why = approval(value)
    if old is not None and approval(objects.annotations(old).get(APPROVAL))[0] == state:
        return []
    path = f"metadata.annotations[{APPROVAL}]"
    if state == "missing":
        return [fields.required(path, why)]
    return [fields.invalid(path, value, why)] if state == "invalid" else []

"""Object metadata: names by kind, labels, annotations, owners, finalizers, and what an update may not touch."""

from collections.abc import Mapping, Sequence
from typing import Any

from kubeshim.machinery import objects, resources
from kubeshim.machinery.errors import FieldError
from kubeshim.machinery.validation import cluster_ranges, content, fields

ANNOTATIONS_LIMIT = 256 * 1024
_STANDARD_FINALIZERS = ("kubernetes", "orphan", "foregroundDeletion")

_NAMES: dict[str, content.Check] = {
    "services": content.dns_label,
    "statefulsets.apps": content.dns_label,
    "events": content.path_segment,
    "namespaces": content.dns_label,
    "roles.rbac.authorization.k8s.io": content.path_segment,
    "clusterroles.rbac.authorization.k8s.io": content.path_segment,
    "rolebindings.rbac.authorization.k8s.io": content.path_segment,
    "clusterrolebindings.rbac.authorization.k8s.io": content.path_segment,
    "ipaddresses.networking.k8s.io": cluster_ranges.address_name,
    "apiservices.apiregistration.k8s.io": content.path_segment,
    "certificatesigningrequests.certificates.k8s.io": content.path_segment,
    "clustertrustbundles.certificates.k8s.io": content.path_segment,
}
"""Kinds whose names are not DNS subdomains; custom resources' are."""

_PATH_NAMES = frozenset(name for name, check in _NAMES.items() if check is content.path_segment)


def name_check(resource: resources.Resource) -> content.Check:
    return _NAMES.get(resource.group_resource, content.dns_subdomain)


def validate(resource: resources.Resource, obj: objects.Object) -> list[FieldError]:
    """What is wrong with a new object's metadata, its name already generated."""
    metadata = obj.get("metadata") or {}
    check = name_check(resource)
    wrong: list[FieldError] = []
    prefix = metadata.get("generateName")
    if prefix:
        judged = prefix if resource.group_resource in _PATH_NAMES else content.mask_trailing_dash(prefix)
        wrong += fields.all_invalid("metadata.generateName", prefix, check(judged))
    name = metadata.get("name")
    if not name:
        wrong.append(fields.required("metadata.name", "name or generateName is required"))
    else:
        wrong += fields.all_invalid("metadata.name", name, check(name))
    wrong += _namespace(resource.namespaced, metadata.get("namespace") or "")
    wrong += fields.non_negative("metadata.generation", metadata.get("generation"))
    wrong += common(metadata, "metadata")
    return wrong + _of_domains(resource, metadata)


def _namespace(namespaced: bool, namespace: str) -> list[FieldError]:
    if not namespaced:
        return [fields.forbidden("metadata.namespace", "not allowed on this type")] if namespace else []
    if not namespace:
        return [fields.required("metadata.namespace")]
    return fields.all_invalid("metadata.namespace", namespace, content.dns_label(namespace))


def common(metadata: Mapping[str, Any], path: str, *, with_finalizers: bool = True) -> list[FieldError]:
    """Labels, annotations, ownerReferences and finalizers, wherever metadata stands."""
    wrong: list[FieldError] = []
    if found := metadata.get("labels"):
        wrong += labels(found, path + ".labels")
    if found := metadata.get("annotations"):
        wrong += annotations(found, path + ".annotations")
    if found := metadata.get("ownerReferences"):
        wrong += owner_references(found, path + ".ownerReferences")
    if with_finalizers and (found := metadata.get("finalizers")):
        wrong += finalizers(found, path + ".finalizers")
    return wrong


def labels(found: Mapping[str, str], path: str) -> list[FieldError]:
    wrong: list[FieldError] = []
    for key, value in found.items():
        if complaints := content.qualified_name(key):
            wrong += fields.all_invalid(path, key, complaints)
        if complaints := content.label_value(value):
            wrong += fields.all_invalid(path, value, complaints)
    return wrong


def annotations(found: Mapping[str, str], path: str) -> list[FieldError]:
    wrong: list[FieldError] = []
    size = 0
    for key, value in found.items():
        if complaints := content.qualified_name(key.lower()):
            wrong += fields.all_invalid(path, key, complaints)
        size += len(key) + len(value)
    # characters first: encoding megabytes only to count them is for the few that are near the limit
    if size * 4 > ANNOTATIONS_LIMIT:
        size = sum(len(key.encode()) + len(value.encode()) for key, value in found.items())
        if size > ANNOTATIONS_LIMIT:
            wrong.append(fields.too_long(path, ANNOTATIONS_LIMIT))
    return wrong


_OWNER_FIELDS = ("apiVersion", "kind", "name", "uid", "controller", "blockOwnerDeletion")


def _shown_owner(reference: Mapping[str, Any]) -> fields.Struct:
    shown = fields.Struct.fromkeys(("apiVersion", "kind", "name", "uid"), "")
    shown.update({name: reference[name] for name in _OWNER_FIELDS if reference.get(name) is not None})
    return fields.Struct(shown)


def owner_references(found: Sequence[Mapping[str, Any]], path: str) -> list[FieldError]:
    wrong: list[FieldError] = []
    controller = ""
    for reference in found:
        api_version, kind = reference.get("apiVersion") or "", reference.get("kind") or ""
        if not resources.split_api_version(api_version)[1]:
            wrong.append(fields.invalid(path + ".apiVersion", api_version, "version must not be empty"))
        for field in ("kind", "name", "uid"):
            if not reference.get(field):
                wrong.append(fields.invalid(f"{path}.{field}", reference.get(field) or "", "must not be empty"))
        if (api_version, kind) == ("v1", "Event"):
            text = f"/v1, Kind={kind} is disallowed from being an owner"
            wrong.append(fields.invalid(path, _shown_owner(reference), text))
        if reference.get("controller"):
            named = f"{kind}/{reference.get('name') or ''}"
            if controller:
                text = (
                    'Only one reference can have Controller set to true. Found "true" in references for '
                    f"{controller} and {named}"
                )
                wrong.append(fields.invalid(path, [_shown_owner(one) for one in found], text))
            else:
                controller = named
    return wrong


def finalizers(found: Sequence[str], path: str) -> list[FieldError]:
    wrong: list[FieldError] = []
    for finalizer in found:
        wrong += fields.all_invalid(path, finalizer, content.qualified_name(finalizer))
    if "orphan" in found and "foregroundDeletion" in found:
        text = "finalizer orphan and foregroundDeletion cannot be both set"
        wrong.append(fields.invalid(path, list(found), text))
    return wrong


def finalizer_name(finalizer: str, path: str) -> list[FieldError]:
    """A finalizer of a namespace."""
    wrong = fields.all_invalid(path, finalizer, content.qualified_name(finalizer))
    return wrong + _of_a_domain(finalizer, path)


def _of_a_domain(finalizer: str, path: str) -> list[FieldError]:
    """Kinds of Kubernetes' own take, besides its own finalizers, those of a domain only."""
    if "/" in finalizer or finalizer in _STANDARD_FINALIZERS:
        return []
    text = "name is neither a standard finalizer name nor is it fully qualified"
    return [fields.invalid(path, finalizer, text)]


def _of_domains(resource: resources.Resource, found: Mapping[str, Any]) -> list[FieldError]:
    if not found.get("finalizers") or not _is_kubernetes(resource):
        return []
    return [
        problem
        for index, finalizer in enumerate(found["finalizers"])
        for problem in _of_a_domain(finalizer, f"metadata.finalizers[{index}]")
    ]


def _is_kubernetes(resource: resources.Resource) -> bool:
    return resource.strategy != "custom" and resource.group != "apiextensions.k8s.io"


def finalizer_warnings(obj: objects.Object, old: objects.Object | None) -> list[str]:
    """For kinds that take any name: what to say of new finalizers without a domain."""
    before = (old or {}).get("metadata", {}).get("finalizers") or ()
    added = sorted(set(obj["metadata"].get("finalizers") or ()) - set(before) - set(_STANDARD_FINALIZERS))
    text = (
        "prefer a domain-qualified finalizer name including a path (/) to avoid accidental conflicts with other "
        "finalizer writers"
    )
    return [f'metadata.finalizers: "{name}": {text}' for name in added if "/" not in name]


_FIXED = ("name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds")
_NOT_IN_TEMPLATES = (
    "name", "generateName", "namespace", "selfLink", "uid", "resourceVersion", "generation", "creationTimestamp",
    "deletionTimestamp", "deletionGracePeriodSeconds", "ownerReferences", "finalizers", "managedFields",
)  # fmt: skip
_INHERITED = ("uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds")


def inherit(obj: objects.Object, old: objects.Object) -> None:
    """Puts back what an update may leave out but not change; call before ``validate_update``."""
    metadata, before = obj.setdefault("metadata", {}), old.get("metadata") or {}
    for field in _INHERITED:
        if metadata.get(field) is None or metadata[field] == "":
            if before.get(field) is not None:
                metadata[field] = before[field]
            else:
                metadata.pop(field, None)


def validate_update(resource: resources.Resource, obj: objects.Object, old: objects.Object) -> list[FieldError]:
    """What is wrong with changed metadata and with the change.

    That a resourceVersion must be given, where a kind wants it, is the verb's to say: it fills in the current one
    everywhere else.
    """
    metadata, before = obj.get("metadata") or {}, old.get("metadata") or {}
    wrong: list[FieldError] = []
    if not resource.namespaced and metadata.get("namespace"):
        wrong += _namespace(False, metadata["namespace"])
    if before.get("deletionTimestamp"):
        new = sorted(set(metadata.get("finalizers") or ()) - set(before.get("finalizers") or ()))
        if new:
            listed = "[]string{" + ", ".join(fields.quote(name) for name in new) + "}"
            text = f"no new finalizers can be added if the object is being deleted, found new finalizers {listed}"
            wrong.append(fields.forbidden("metadata.finalizers", text))
    if (metadata.get("generation") or 0) < (before.get("generation") or 0):
        wrong.append(fields.invalid("metadata.generation", metadata.get("generation") or 0, "must not be decremented"))
    for field in _FIXED:
        if metadata.get(field) != before.get(field):
            wrong.append(fields.invalid(f"metadata.{field}", metadata.get(field), fields.IMMUTABLE))
    if metadata != before:
        wrong += common(metadata, "metadata", with_finalizers=False) + _of_domains(resource, metadata)
    return wrong


def template(found: Mapping[str, Any], path: str) -> list[FieldError]:
    """Metadata of an object to be made: labels and annotations, nothing else."""
    wrong = annotations(found.get("annotations") or {}, path + ".annotations")
    wrong += labels(found.get("labels") or {}, path + ".labels")
    return wrong + [
        fields.forbidden(f"{path}.{name}", "cannot be set") for name in _NOT_IN_TEMPLATES if found.get(name)
    ]


def label_selector(selector: Mapping[str, Any] | None, path: str) -> list[FieldError]:
    """A ``metav1.LabelSelector``."""
    if not selector:
        return []
    wrong: list[FieldError] = []
    if found := selector.get("matchLabels"):
        wrong += labels(found, path + ".matchLabels")
    for index, term in enumerate(selector.get("matchExpressions") or ()):
        wrong += label_requirement(term, f"{path}.matchExpressions[{index}]")
    return wrong


def label_requirement(term: Mapping[str, Any], path: str, *, any_operator: bool = False) -> list[FieldError]:
    """A ``metav1.LabelSelectorRequirement``; ``any_operator`` lets operators of later versions through."""
    operator, listed = term.get("operator") or "", term.get("values") or []
    wrong: list[FieldError] = []
    if operator in ("In", "NotIn"):
        if not listed:
            wrong.append(fields.required(path + ".values", "must be specified when `operator` is 'In' or 'NotIn'"))
    elif operator in ("Exists", "DoesNotExist"):
        if listed:
            text = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
            wrong.append(fields.forbidden(path + ".values", text))
    elif not any_operator:
        wrong.append(fields.invalid(path + ".operator", operator, "not a valid selector operator"))
    wrong += fields.all_invalid(path + ".key", term.get("key") or "", content.qualified_name(term.get("key") or ""))
    for index, value in enumerate(listed):
        wrong += fields.all_invalid(f"{path}.values[{index}]", value, content.label_value(value))
    return wrong

"""Whether a request is what rules of webhooks and admission policies speak of. Pure.

A rule names operations, groups, versions, resources with subresources, and a scope; selectors look at labels. With
``matchPolicy: Equivalent`` a rule that names another version of the same type fits as well, and the caller shows the
object in the version that was named.
"""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from kubeshim.control_plane.api_server.admission import plugin
from kubeshim.machinery import objects, resources, selectors
from kubeshim.machinery.validation import webhooks

NAMESPACES = resources.GroupVersionResource("", "v1", "namespaces")
_GROUP = "admissionregistration.k8s.io"
_EXEMPT = webhooks.REVIEWS | {
    f"{kind}.{_GROUP}"
    for kind in (
        "validatingwebhookconfigurations", "mutatingwebhookconfigurations", "validatingadmissionpolicies",
        "validatingadmissionpolicybindings", "mutatingadmissionpolicies", "mutatingadmissionpolicybindings",
    )
}  # fmt: skip
"""Whoever could stop changes of configurations could not be stopped any more; and questions about who somebody is and
what one may do are not kept: webhooks and policies are not asked about either."""


def is_exempt(attributes: plugin.Attributes) -> bool:
    return attributes.resource.group_resource in _EXEMPT


@dataclasses.dataclass(frozen=True, slots=True)
class Rule:
    """``RuleWithOperations``; ``names`` are a policy's ``resourceNames``."""

    operations: frozenset[str]
    groups: frozenset[str]
    versions: frozenset[str]
    about: frozenset[str]
    """``resources``."""
    scope: str = "*"
    names: frozenset[str] = frozenset()

    def fits(self, attributes: plugin.Attributes, resource: resources.Resource) -> bool:
        """``resource`` is the request's type, in its own or in another version."""
        return (
            _has(self.operations, attributes.operation)
            and _has(self.groups, resource.group)
            and _has(self.versions, resource.version)
            and self._in_scope(attributes, resource)
            and self._about(resource.plural, attributes.subresource)
            and (not self.names or attributes.name in self.names)
        )

    def _in_scope(self, attributes: plugin.Attributes, resource: resources.Resource) -> bool:
        if self.scope == "*":
            return True
        # upstream takes a Namespace, whose requests have its own name for a namespace, for cluster-scoped
        namespaced = resource.namespaced and bool(attributes.namespace)
        return namespaced == (self.scope == "Namespaced")

    def _about(self, plural: str, subresource: str) -> bool:
        if subresource:
            return not self.about.isdisjoint((f"{plural}/{subresource}", f"{plural}/*", f"*/{subresource}", "*/*"))
        return not self.about.isdisjoint((plural, "*", "*/*"))


def _has(choices: frozenset[str], value: str) -> bool:
    return "*" in choices or value in choices


def rules(found: Iterable[Mapping[str, Any]] | None) -> tuple[Rule, ...]:
    return tuple(
        Rule(
            frozenset(rule.get("operations") or ()), frozenset(rule.get("apiGroups") or ()),
            frozenset(rule.get("apiVersions") or ()), frozenset(rule.get("resources") or ()),
            rule.get("scope") or "*", frozenset(rule.get("resourceNames") or ()),
        )
        for rule in found or ()
    )  # fmt: skip


Equivalents = Callable[[resources.Resource], Iterator[resources.Resource]]
"""The other versions in which a type is served."""


def find(
    wanted: Sequence[Rule], attributes: plugin.Attributes, policy: str, equivalents: Equivalents
) -> resources.Resource | None:
    """The type, in the version of the rule that fits; None where none does."""
    own = attributes.resource
    if any(rule.fits(attributes, own) for rule in wanted):
        return own
    if policy == "Exact":
        return None
    for other in equivalents(own):
        if any(rule.fits(attributes, other) for rule in wanted):
            return other
    return None


def in_namespace(selector: Mapping[str, Any] | None, attributes: plugin.Attributes, reader: plugin.Reader) -> bool:
    """Whether the request's namespace is chosen. Cluster-scoped objects are in none and always are; a Namespace is in
    itself."""
    if not selector:
        return True
    if attributes.resource.group_resource == "namespaces" and not attributes.subresource:
        subject = attributes.object or attributes.old_object
    elif not attributes.namespace or not attributes.resource.namespaced:
        return True
    else:
        subject = reader.get(NAMESPACES, "", attributes.namespace)
    return _selects(selector, subject)


def by_labels(selector: Mapping[str, Any] | None, attributes: plugin.Attributes) -> bool:
    """Whether the new or the old object is chosen by its labels."""
    if not selector:
        return True
    return _selects(selector, attributes.object) or _selects(selector, attributes.old_object)


def _selects(selector: Mapping[str, Any], subject: objects.Object | None) -> bool:
    if subject is None:
        return False
    return selectors.from_label_selector(selector).matches(objects.labels(subject))

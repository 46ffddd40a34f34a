"""From one request to the policies, bindings and parameters that concern it."""

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING

from kubeshim.control_plane.api_server import conversion
from kubeshim.control_plane.api_server.admission import plugin, rules, variables
from kubeshim.control_plane.api_server.admission.policies import definitions, params
from kubeshim.control_plane.api_server.admission.webhooks import review
from kubeshim.machinery import objects, resources

if TYPE_CHECKING:
    from kubeshim.control_plane.api_server import server as servers
    from kubeshim.machinery.cel import policies


class Unusable(Exception):
    """A policy or a binding that cannot be asked; ``failurePolicy`` says what follows."""


@dataclasses.dataclass(frozen=True, slots=True)
class Case:
    """One binding with one parameter (or none)."""

    binding: definitions.Binding
    param: objects.Object | None
    resource: resources.Resource
    """The request's type, in the version that the policy names."""


def cases(
    server: "servers.Server", found: definitions.Definition, bindings: tuple[definitions.Binding, ...],
    attributes: plugin.Attributes, reader: plugin.Reader,
) -> Iterator[Case | tuple[definitions.Binding | None, Unusable]]:  # fmt: skip
    resource = concerned(server, found.match, attributes, reader)
    if resource is None:
        return
    if found.broken:
        yield None, Unusable(f"failed to configure policy: {found.broken}")
        return
    for one in bindings:
        if one.match is not None and concerned(server, one.match, attributes, reader) is None:
            continue
        try:
            given = params.find(server, found.param_kind, one, attributes)
        except params.Unfit as problem:
            yield one, Unusable(f"failed to configure binding: {problem}")
            continue
        for param in given:
            yield Case(one, param, resource)


def concerned(
    server: "servers.Server", match: definitions.Match, attributes: plugin.Attributes, reader: plugin.Reader
) -> resources.Resource | None:
    def others(of: resources.Resource) -> Iterator[resources.Resource]:
        return conversion.equivalents(server, of)

    if not rules.in_namespace(match.namespaces, attributes, reader) or not rules.by_labels(match.labels, attributes):
        return None
    if match.excluded and rules.find(match.excluded, attributes, match.policy, others) is not None:
        return None
    return rules.find(match.rules, attributes, match.policy, others) if match.rules else attributes.resource


def evaluation(
    server: "servers.Server", policy: "policies.Policy", case: Case, attributes: plugin.Attributes,
    reader: plugin.Reader,
) -> "policies.Evaluation":  # fmt: skip
    from kubeshim.machinery.cel import policies

    obj, old = (
        None if found is None else conversion.convert(server, found, attributes.resource, case.resource)
        for found in (attributes.object, attributes.old_object)
    )
    question = review.question(attributes, case.resource, obj, old, "")
    given = variables.of(server, attributes, question, obj, old)
    space = attributes.namespace if attributes.resource.namespaced else ""
    given["namespaceObject"] = reader.get(rules.NAMESPACES, "", space) if space else None
    given["params"] = case.param
    return policies.Evaluation(policy, given)

"""MutatingAdmissionPolicy: expressions that change what is about to be written.

A policy's mutations are made one after another, each for what those before it made: configurations are merged in as
server-side apply merges them, without anybody's ownership; JSON patches are applied. What comes out is brought into
the form of its type again.
"""

import logging
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from kubeshim.control_plane.api_server import conversion
from kubeshim.control_plane.api_server.admission import plugin, refusals, rules, settling
from kubeshim.control_plane.api_server.admission.policies import asking, definitions
from kubeshim.machinery import errors, field_types, field_values, objects, resources, schemas
from kubeshim.machinery.patches import json_patch

if TYPE_CHECKING:
    from kubeshim.control_plane.api_server import server as servers
    from kubeshim.machinery.cel import policies

_log = logging.getLogger(__name__)
_GROUP = "admissionregistration.k8s.io"
_POLICIES = resources.GroupVersionResource(_GROUP, "v1", "mutatingadmissionpolicies")
_BINDINGS = resources.GroupVersionResource(_GROUP, "v1", "mutatingadmissionpolicybindings")


def _compile(spec: Mapping[str, Any]) -> "tuple[policies.Policy, policies.Problems]":
    """The engine is loaded with the first policy."""
    from kubeshim.machinery.cel import policies

    return policies.compile_mutating(spec)


class MutatingAdmissionPolicy:
    def __init__(self, server: "servers.Server") -> None:
        self._server = server
        self._definitions = definitions.Definitions(_compile)
        server.storage.subscribe(_POLICIES, self._definitions.follow_policies)
        server.storage.subscribe(_BINDINGS, self._definitions.follow_bindings)

    def admit(self, attributes: plugin.Attributes, reader: plugin.Reader) -> None:
        if not self._definitions.all or rules.is_exempt(attributes) or attributes.object is None:
            return
        rounds = attributes.reinvocation
        for found, bindings in self._definitions.all:
            for case in asking.cases(self._server, found, bindings, attributes, reader):
                if isinstance(case, tuple):
                    binding, problem = case
                    self._failed(found, binding, attributes, problem)
                    continue
                key = f"policy/{found.name}/{case.binding.name}/{objects.name(case.param) if case.param else ''}"
                if rounds.second and key not in rounds.again:
                    continue
                if self._change(found, case, attributes, reader):
                    rounds.object_changed()
                if found.again:
                    rounds.remember(key)

    def _failed(
        self, found: definitions.Definition, binding: definitions.Binding | None, attributes: plugin.Attributes,
        problem: Exception,
    ) -> None:  # fmt: skip
        if found.fails_open:
            _log.warning("failing open: policy %s: %s", found.name, problem)
            return
        by = f"policy '{found.name}'" + (f" with binding '{binding.name}'" if binding is not None else "")
        raise refusals.forbidden(attributes, f"{by} denied request: {problem}") from problem

    def _change(
        self, found: definitions.Definition, case: asking.Case, attributes: plugin.Attributes, reader: plugin.Reader
    ) -> bool:
        """Whether the object is another now."""
        from kubeshim.machinery.cel import policies

        present = attributes.object
        assert present is not None
        try:
            if not asking.evaluation(self._server, found.policy, case, attributes, reader).concerned():
                return False
            made = present
            for mutation in found.policy.mutations:
                made = self._mutated(found.policy, mutation, case, attributes, reader, made)
        except (policies.Failed, errors.APIStatusError, field_values.NotTyped, field_types.MissingKey) as problem:
            self._failed(found, case.binding, attributes, problem)
            return False
        if made == present:
            return False
        present.clear()
        present.update(made)
        return True

    def _mutated(
        self, policy: "policies.Policy", mutation: "policies.Mutation", case: asking.Case,
        attributes: plugin.Attributes, reader: plugin.Reader, present: objects.Object,
    ) -> objects.Object:  # fmt: skip
        from kubeshim.machinery.cel import policies

        held, attributes.object = attributes.object, present
        try:
            evaluation = asking.evaluation(self._server, policy, case, attributes, reader)
            wanted = policies.built(evaluation.value(mutation.expression))
        finally:
            attributes.object = held
        shown = conversion.convert(self._server, present, attributes.resource, case.resource)
        if mutation.kind == "JSONPatch":
            made: Any = json_patch.apply(shown, wanted)
            if not isinstance(made, dict):
                raise policies.Failed("the patched object is no object")
        else:
            made = self._merged(case.resource, attributes.subresource, shown, wanted)
        result = conversion.convert(self._server, made, case.resource, attributes.resource)
        settling.settle(self._server, attributes.resource, result)
        return result

    def _merged(
        self, resource: resources.Resource, subresource: str, shown: objects.Object, wanted: dict[str, Any]
    ) -> objects.Object:
        from kubeshim.machinery.cel import policies

        group, version = resources.split_api_version(shown.get("apiVersion") or "")
        schema = self._server.schema(resources.GroupVersionKind(group, version, str(shown.get("kind") or "")))
        for path in atomic_places(wanted, schema, ""):
            why = f"may not mutate atomic arrays, maps or structs: {path}"
            raise policies.Failed(f"error applying patch: invalid ApplyConfiguration: {why}")
        field_values.field_set(wanted, schema)
        merged: objects.Object = field_values.merge(shown, wanted, schema)
        return merged


def atomic_places(value: Any, schema: schemas.Schema, path: str) -> Iterator[str]:
    """Where a configuration names what can only be replaced whole: it does not say what would be lost."""
    if field_types.is_deduced(schema):
        return
    if isinstance(value, dict):
        if not field_types.is_granular_map(schema):
            yield path
            return
        for key, inner in value.items():
            below = field_types.child(schema, key)
            if below is not None:
                yield from atomic_places(inner, below, f"{path}.{key}")
    elif isinstance(value, list):
        if not field_types.is_granular_list(schema):
            yield path
            return
        for item in value:
            if schema.items is not None:
                yield from atomic_places(item, schema.items, path)

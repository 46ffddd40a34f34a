"""MutatingAdmissionPolicy: expressions that change what is about to be written.

A policy's mutations are made one after another, each for what those before it made: configurations are merged in as
server-side apply merges them, without anybody's ownership; JSON patches are applied. What comes out is brought into
the form of its type again.
"""

import dataclasses
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


@dataclasses.dataclass(frozen=True, slots=True)
class _Failure:
    policy: definitions.Definition
    binding: definitions.Binding | None
    problem: str
    reason: str = "Forbidden"

    def __str__(self) -> str:
        if self.binding is None:
            return f'policy "{self.policy.name}" denied request: {self.problem}'
        return f"policy '{self.policy.name}' with binding '{self.binding.name}' denied request: {self.problem}"


def _refuse(attributes: plugin.Attributes, failures: list[_Failure]) -> None:
    """The first failure is the answer's message; all of them are its causes."""
    for failure in failures:
        if failure.policy.fails_open:
            _log.warning("failing open: %s", failure)
    told = [failure for failure in failures if not failure.policy.fails_open]
    if told:
        base = refusals.forbidden(attributes, "").status()
        details = {**(base.get("details") or {}), "causes": [{"message": str(failure)} for failure in told]}
        raise errors.from_status({**base, "message": str(told[0]), "reason": told[0].reason, "details": details})


class MutatingAdmissionPolicy:
    def __init__(self, server: "servers.Server") -> None:
        self._server = server
        self._definitions = definitions.Definitions(_compile)
        server.storage.subscribe(_POLICIES, self._definitions.follow_policies)
        server.storage.subscribe(_BINDINGS, self._definitions.follow_bindings)

    def admit(self, attributes: plugin.Attributes, reader: plugin.Reader) -> None:
        if not self._definitions.all or rules.is_exempt(attributes) or attributes.object is None:
            return
        failures: list[_Failure] = []
        concerned: list[tuple[definitions.Definition, asking.Case]] = []
        # Whom a policy concerns is decided by the object as it came, before any of them has changed it.
        for found, bindings in self._definitions.all:
            for case in asking.cases(self._server, found, bindings, attributes, reader):
                if isinstance(case, tuple):
                    failures.append(_Failure(found, case[0], str(case[1])))
                else:
                    concerned.append((found, case))
        rounds = attributes.reinvocation
        for found, case in concerned:
            key = f"policy/{found.name}/{case.binding.name}/{objects.name(case.param) if case.param else ''}"
            if rounds.second and key not in rounds.again:
                continue
            if self._change(found, case, attributes, reader, failures):
                rounds.object_changed()
            if found.again:
                rounds.remember(key)
        _refuse(attributes, failures)

    def _change(
        self, found: definitions.Definition, case: asking.Case, attributes: plugin.Attributes, reader: plugin.Reader,
        failures: list[_Failure],
    ) -> bool:  # fmt: skip
        """Whether the object is another now. A mutation that fails leaves the others their turn."""
        from kubeshim.machinery.cel import policies

        present = attributes.object
        assert present is not None
        try:
            if not asking.evaluation(self._server, found.policy, case, attributes, reader).concerned():
                return False
        except policies.Failed as problem:
            failures.append(_Failure(found, case.binding, str(problem), "Invalid"))
            return False
        made = present
        for mutation in found.policy.mutations:
            try:
                made = self._mutated(found.policy, mutation, case, attributes, reader, made)
            except policies.Failed as problem:
                failures.append(_Failure(found, case.binding, str(problem), "Invalid"))
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
            value = evaluation.value(mutation.expression)
        finally:
            attributes.object = held
        _check_names(mutation, value)
        wanted = policies.built(value)
        shown = conversion.convert(self._server, present, attributes.resource, case.resource)
        if mutation.kind == "JSONPatch":
            try:
                made: Any = json_patch.apply(shown, wanted)
            except json_patch.TestFailed:
                return present
            except json_patch.DoesNotApply as problem:
                raise policies.Failed(f"JSONPath: {problem.why}") from problem
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
        try:
            field_values.field_set(wanted, schema)
        except (field_values.NotTyped, field_types.MissingKey) as problem:
            why = f"failed to convert patch object to typed object: {problem}"
            raise policies.Failed(f"error applying patch: {why}") from problem
        if places := list(atomic_places(wanted, schema, "")):
            why = f"may not mutate atomic arrays, maps or structs: {', '.join(places)}"
            raise policies.Failed(f"error applying patch: invalid ApplyConfiguration: {why}")
        try:
            merged: objects.Object = field_values.merge(shown, wanted, schema)
        except (field_values.NotTyped, field_types.MissingKey) as problem:
            why = f"failed to convert original object to typed object: {problem}"
            raise policies.Failed(f"error applying patch: {why}") from problem
        return merged


def _check_names(mutation: "policies.Mutation", value: Any) -> None:
    """Raises ``Failed`` where a struct stands where another belongs."""
    from kubeshim.machinery.cel import policies

    patches = value if mutation.kind == "JSONPatch" else [value]
    for each in patches:
        found = policies.mismatch(each.data.get("value") if mutation.kind == "JSONPatch" else each)
        if found:
            raise policies.Failed(f"type mismatch: {found}")


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

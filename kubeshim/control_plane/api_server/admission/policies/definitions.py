"""The policies there are, with their bindings: compiled when they are written, in the order of their names."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from kubeshim.control_plane.api_server.admission import rules as matching
from kubeshim.machinery import objects, resources

if TYPE_CHECKING:
    from kubeshim.control_plane.api_server import storage as storages
    from kubeshim.machinery.cel import policies

_GROUP = "admissionregistration.k8s.io"
Compile = Callable[[Mapping[str, Any]], "tuple[policies.Policy, policies.Problems]"]


@dataclasses.dataclass(frozen=True, slots=True)
class Match:
    """``MatchResources``. Without rules it is about everything."""

    rules: tuple[matching.Rule, ...]
    excluded: tuple[matching.Rule, ...]
    policy: str
    namespaces: Mapping[str, Any] | None
    labels: Mapping[str, Any] | None


@dataclasses.dataclass(frozen=True, slots=True)
class Definition:
    name: str
    match: Match
    policy: "policies.Policy"
    broken: str
    """Why it cannot be asked; empty if it can."""
    fails_open: bool
    param_kind: resources.GroupVersionKind | None
    again: bool


@dataclasses.dataclass(frozen=True, slots=True)
class Binding:
    name: str
    policy: str
    match: Match | None
    params: Mapping[str, Any] | None
    """``paramRef``."""
    actions: frozenset[str]


class Definitions:
    """Follows policies and bindings of one kind."""

    def __init__(self, compile_policy: Compile) -> None:
        self._compile = compile_policy
        self._definitions: dict[str, Definition] = {}
        self._bindings: dict[str, Binding] = {}
        self.all: tuple[tuple[Definition, tuple[Binding, ...]], ...] = ()
        """Policies that are bound; the others say nothing."""

    def follow_policies(self, change: "storages.Change") -> None:
        name = objects.name(change.obj)
        if change.kind == "DELETED":
            self._definitions.pop(name, None)
        else:
            held = change.previous
            if held is not None and held.get("spec") == change.obj.get("spec") and name in self._definitions:
                return
            self._definitions[name] = definition(change.obj, self._compile)
        self._arrange()

    def follow_bindings(self, change: "storages.Change") -> None:
        name = objects.name(change.obj)
        if change.kind == "DELETED":
            self._bindings.pop(name, None)
        else:
            self._bindings[name] = binding(change.obj)
        self._arrange()

    def _arrange(self) -> None:
        bound: dict[str, list[Binding]] = {}
        for _, one in sorted(self._bindings.items()):
            bound.setdefault(one.policy, []).append(one)
        self.all = tuple(
            (found, tuple(bound[name])) for name, found in sorted(self._definitions.items()) if name in bound
        )


def definition(obj: objects.Object, compile_policy: Compile) -> Definition:
    spec = obj.get("spec") or {}
    policy, problems = compile_policy(spec)
    kind = spec.get("paramKind")
    return Definition(
        name=objects.name(obj),
        match=match(spec.get("matchConstraints") or {}),
        policy=policy,
        broken=str(problems[0].message) if problems else "",
        fails_open=spec.get("failurePolicy") == "Ignore",
        param_kind=_kind(kind) if kind is not None else None,
        again=spec.get("reinvocationPolicy") == "IfNeeded",
    )


def _kind(found: Mapping[str, Any]) -> resources.GroupVersionKind:
    group, version = resources.split_api_version(found.get("apiVersion") or "")
    return resources.GroupVersionKind(group, version, found.get("kind") or "")


def binding(obj: objects.Object) -> Binding:
    spec = obj.get("spec") or {}
    about = spec.get("matchResources")
    return Binding(
        objects.name(obj), spec.get("policyName") or "", match(about) if about is not None else None,
        spec.get("paramRef"), frozenset(spec.get("validationActions") or ()),
    )  # fmt: skip


def match(found: Mapping[str, Any]) -> Match:
    return Match(
        matching.rules(found.get("resourceRules")), matching.rules(found.get("excludeResourceRules")),
        found.get("matchPolicy") or "Equivalent", found.get("namespaceSelector"), found.get("objectSelector"),
    )  # fmt: skip

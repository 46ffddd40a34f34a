"""ValidatingAdmissionPolicy: expressions that must be true of what is about to be written."""

import dataclasses
import logging
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from kubeshim.control_plane.api_server.admission import plugin, refusals, rules
from kubeshim.control_plane.api_server.admission.policies import asking, definitions
from kubeshim.machinery import errors, resources

if TYPE_CHECKING:
    from kubeshim.control_plane.api_server import server as servers
    from kubeshim.machinery.cel import policies

_log = logging.getLogger(__name__)
_GROUP = "admissionregistration.k8s.io"
_POLICIES = resources.GroupVersionResource(_GROUP, "v1", "validatingadmissionpolicies")
_BINDINGS = resources.GroupVersionResource(_GROUP, "v1", "validatingadmissionpolicybindings")
_CODES = {"Forbidden": 403, "Unauthorized": 401, "RequestEntityTooLarge": 413, "Invalid": 422}


@dataclasses.dataclass(frozen=True, slots=True)
class Denial:
    policy: str
    binding: definitions.Binding | None
    message: str
    reason: str = ""
    whatever: bool = False
    """Denies whatever the binding's actions are: it cannot be asked, or what it would note down has no value."""


def _compile(spec: Mapping[str, Any]) -> "tuple[policies.Policy, policies.Problems]":
    """The engine is loaded with the first policy."""
    from kubeshim.machinery.cel import policies

    return policies.compile_validating(spec)


class ValidatingAdmissionPolicy:
    def __init__(self, server: "servers.Server") -> None:
        self._server = server
        self._definitions = definitions.Definitions(_compile)
        server.storage.subscribe(_POLICIES, self._definitions.follow_policies)
        server.storage.subscribe(_BINDINGS, self._definitions.follow_bindings)

    def validate(self, attributes: plugin.Attributes, reader: plugin.Reader) -> None:
        if not self._definitions.all or rules.is_exempt(attributes):
            return
        refused: list[Denial] = []
        for found, bindings in self._definitions.all:
            for denial in self._denials(found, bindings, attributes, reader):
                if denial.whatever or denial.binding is None:
                    refused.append(denial)
                    continue
                actions = denial.binding.actions
                if "Deny" in actions:
                    refused.append(denial)
                if "Warn" in actions:
                    attributes.warnings.append(
                        f"Validation failed for ValidatingAdmissionPolicy '{denial.policy}' with binding "
                        f"'{denial.binding.name}': {denial.message}"
                    )
        if refused:
            raise refusal(attributes, refused[0])

    def _denials(
        self, found: definitions.Definition, bindings: tuple[definitions.Binding, ...],
        attributes: plugin.Attributes, reader: plugin.Reader,
    ) -> Iterator[Denial]:  # fmt: skip
        for case in asking.cases(self._server, found, bindings, attributes, reader):
            if isinstance(case, tuple):
                binding, problem = case
                if found.fails_open:
                    _log.warning("failing open: policy %s: %s", found.name, problem)
                else:
                    yield Denial(found.name, binding, str(problem), whatever=True)
                continue
            yield from self._judge(found, case, attributes, reader)

    def _judge(
        self, found: definitions.Definition, case: asking.Case, attributes: plugin.Attributes, reader: plugin.Reader
    ) -> Iterator[Denial]:
        from kubeshim.machinery.cel import policies

        evaluation = asking.evaluation(self._server, found.policy, case, attributes, reader)
        try:
            if not evaluation.concerned():
                return
        except policies.Failed as problem:
            if not found.fails_open:
                yield Denial(found.name, case.binding, str(problem))
            return
        for validation in found.policy.validations:
            try:
                good = evaluation.value(validation.expression)
            except policies.Failed as problem:
                if not found.fails_open:
                    yield Denial(found.name, case.binding, str(problem))
                continue
            if not good:
                yield Denial(found.name, case.binding, evaluation.message(validation), validation.reason)
        noted = policies.Evaluation(found.policy, evaluation.given)
        for annotation in found.policy.annotations:
            try:
                noted.value(annotation)
            except policies.Failed as problem:
                if not found.fails_open:
                    yield Denial(found.name, case.binding, str(problem), whatever=True)


def refusal(attributes: plugin.Attributes, denial: Denial) -> errors.APIStatusError:
    """What the client is told; upstream tells of the first denial only."""
    by = f"ValidatingAdmissionPolicy '{denial.policy}'"
    if denial.binding is not None:
        by += f" with binding '{denial.binding.name}'"
    message = f"{by} denied request: {denial.message}"
    base = refusals.forbidden(attributes, message).status()
    reason = denial.reason or "Invalid"
    details = {**(base.get("details") or {}), "causes": [{"message": message}]}
    return errors.from_status({**base, "reason": reason, "code": _CODES.get(reason, 422), "details": details})

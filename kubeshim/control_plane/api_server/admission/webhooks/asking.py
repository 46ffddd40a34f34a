"""Asking one webhook about one request, from "is it about this?" to its answer."""

import dataclasses
import time
from typing import TYPE_CHECKING

from kubeshim.control_plane.api_server import conversion, webhook_client
from kubeshim.control_plane.api_server.admission import plugin, refusals, rules, variables
from kubeshim.control_plane.api_server.admission.webhooks import hook, review
from kubeshim.machinery import errors, objects, resources

if TYPE_CHECKING:
    from kubeshim.control_plane.api_server import server as servers


class CallFailed(Exception):
    """There is no answer. ``str()`` is upstream's text, for the client of a hook that fails closed."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__(f'failed calling webhook "{name}": {why}')


@dataclasses.dataclass(frozen=True, slots=True)
class Asked:
    answer: review.Answer
    resource: resources.Resource
    object: objects.Object | None
    """As the webhook saw it."""


def ask(
    server: "servers.Server", one: hook.Hook, attributes: plugin.Attributes, reader: plugin.Reader, *, mutating: bool
) -> Asked | None:
    """None where the hook is not about the request. Raises ``CallFailed`` and ``errors.APIStatusError``."""
    resource = _concerned(server, one, attributes, reader)
    if resource is None:
        return None
    obj, old = (
        None if found is None else conversion.convert(server, found, attributes.resource, resource)
        for found in (attributes.object, attributes.old_object)
    )
    uid = objects.new_uid()
    question = review.question(attributes, resource, obj, old, uid)
    if not _conditions_hold(server, one, attributes, question, obj, old):
        return None
    if attributes.dry_run and not one.harmless:
        raise errors.BadRequest(f'admission webhook "{one.name}" does not support dry run')
    try:
        version = review.version_of(one.review_versions)
        seconds = min(one.seconds, max(attributes.until - time.monotonic(), 0.001))
        body = webhook_client.post(server, one.client, review.body(version, question), seconds)
        answer = review.read(body, version, uid, mutating=mutating)
    except webhook_client.Unreachable as problem:
        raise CallFailed(one.name, f"failed to call webhook: {problem}") from problem
    except review.BadAnswer as problem:
        raise CallFailed(one.name, f"received invalid webhook response: {problem}") from problem
    attributes.warnings += answer.warnings
    if not answer.allowed:
        raise review.refusal(one.name, answer.result)
    return Asked(answer, resource, obj)


def _concerned(
    server: "servers.Server", one: hook.Hook, attributes: plugin.Attributes, reader: plugin.Reader
) -> resources.Resource | None:
    resource = rules.find(one.rules, attributes, one.policy, lambda found: conversion.equivalents(server, found))
    if resource is None or not rules.in_namespace(one.namespaces, attributes, reader):
        return None
    return resource if rules.by_labels(one.labels, attributes) else None


def _conditions_hold(
    server: "servers.Server", one: hook.Hook, attributes: plugin.Attributes, question: dict[str, object],
    obj: objects.Object | None, old: objects.Object | None,
) -> bool:  # fmt: skip
    if not one.conditions and not one.broken:
        return True
    from kubeshim.machinery.cel import admission, environment

    try:
        if one.broken:
            raise admission.Unmatched(one.broken)
        seen = variables.of(server, attributes, question, obj, old)
        return admission.match(one.conditions, seen, environment.CONDITIONS_BUDGET)[0]
    except admission.Unmatched as problem:
        if one.fails_open:
            return False
        raise refusals.forbidden(attributes, str(problem)) from problem


def closed(failure: CallFailed) -> errors.APIStatusError:
    """What a hook that fails closed makes of a failure."""
    return errors.InternalError(f"Internal error occurred: {failure}", details={"causes": [{"message": str(failure)}]})

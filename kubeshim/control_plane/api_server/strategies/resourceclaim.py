"""Claims for devices and their templates: who may ask for an administrator's access, and who writes which part of the
status."""

from collections.abc import Iterable, Mapping
from typing import Any

from kubeshim.control_plane.api_server.authorization import attributes as questions
from kubeshim.control_plane.api_server.strategies import strategy
from kubeshim.control_plane.api_server.strategies.checked import Checked
from kubeshim.machinery import errors, objects, resources
from kubeshim.machinery.validation import fields

_NAMESPACES = resources.GroupVersionResource("", "v1", "namespaces")
_ADMIN = "resource.kubernetes.io/admin-access"
_NODE_NAME = "authentication.kubernetes.io/node-name"
_ACCOUNT = "system:serviceaccount:"


class ResourceClaim(Checked):
    def prepare_for_status_update(self, resource: resources.Resource, obj: objects.Object, old: objects.Object) -> None:
        """What is said of a device goes with its allocation."""
        super().prepare_for_status_update(resource, obj, old)
        gone = set(map(_device, _results(old))) - set(map(_device, _results(obj)))
        status = obj.get("status") or {}
        kept = [one for one in status.get("devices") or () if _device(one) not in gone]
        if kept:
            status["devices"] = kept
        else:
            status.pop("devices", None)

    def permitted(
        self, resource: resources.Resource, obj: objects.Object, old: objects.Object | None, asker: strategy.Asker
    ) -> list[errors.FieldError]:
        if old is None:
            return _admin(obj, objects.dig(obj, "spec", "devices", "requests", default=()) or (), asker)
        if asker.subresource != "status":
            return []
        wrong: list[errors.FieldError] = []
        path = _granted(obj)
        if path and not _granted(old):
            wrong = _labelled(obj, path, asker)
        return wrong + _binding(resource, obj, old, asker) + _devices(resource, obj, old, asker)


class ResourceClaimTemplate(Checked):
    def permitted(
        self, resource: resources.Resource, obj: objects.Object, old: objects.Object | None, asker: strategy.Asker
    ) -> list[errors.FieldError]:
        if old is not None:
            return []
        return _admin(obj, objects.dig(obj, "spec", "spec", "devices", "requests", default=()) or (), asker)


def _results(claim: objects.Object) -> list[dict[str, Any]]:
    return objects.dig(claim, "status", "allocation", "devices", "results", default=[]) or []


def _device(found: Mapping[str, Any]) -> tuple[str, str, str, str]:
    driver, pool, device, share = (str(found.get(field) or "") for field in ("driver", "pool", "device", "shareID"))
    return driver, pool, device, share


def _admin(
    obj: objects.Object, requests: Iterable[Mapping[str, Any]], asker: strategy.Asker
) -> list[errors.FieldError]:
    """The path is a claim's in a template too, as upstream's."""
    for index, request in enumerate(requests):
        if (request.get("exactly") or {}).get("adminAccess"):
            return _labelled(obj, f"spec.devices.requests[{index}].adminAccess", asker)
    return []


def _granted(claim: objects.Object) -> str:
    """Where the first access of an administrator stands that was given."""
    for index, result in enumerate(_results(claim)):
        if result.get("adminAccess"):
            return f"status.allocation.devices.results[{index}].adminAccess"
    return ""


def _labelled(obj: objects.Object, path: str, asker: strategy.Asker) -> list[errors.FieldError]:
    namespace = asker.reader.get(_NAMESPACES, "", objects.namespace(obj))
    if namespace is not None and objects.labels(namespace).get(_ADMIN) == "true":
        return []
    text = f"admin access to devices requires the `{_ADMIN}: true` label on the containing namespace"
    return [fields.forbidden(path, text)]


def _binding(
    resource: resources.Resource, obj: objects.Object, old: objects.Object, asker: strategy.Asker
) -> list[errors.FieldError]:
    """Giving devices to a claim, and the claim to pods, is the scheduler's."""
    after, before = obj.get("status") or {}, old.get("status") or {}
    if all((after.get(field) or None) == (before.get(field) or None) for field in ("allocation", "reservedFor")):
        return []
    refusal = _refusal(resource, asker, asker.verb, "binding")
    if not refusal:
        return []
    text = (
        'changing status.allocation or status.reservedFor requires resource="resourceclaims/binding", '
        f'verb="{asker.verb}" permission: {refusal}'
    )
    return [fields.forbidden("status", text)]


def _devices(
    resource: resources.Resource, obj: objects.Object, old: objects.Object, asker: strategy.Asker
) -> list[errors.FieldError]:
    """What is said of devices is their drivers'."""
    after, before = (
        {_device(one): one for one in objects.dig(claim, "status", "devices", default=()) or ()} for claim in (obj, old)
    )
    drivers = {key[0] for key in after.keys() | before.keys() if after.get(key) != before.get(key)}
    verbs = [f"arbitrary-node:{asker.verb}"]
    if _is_on_node(asker, _node(obj)):
        verbs.insert(0, f"associated-node:{asker.verb}")
    wrong: list[errors.FieldError] = []
    for driver in sorted(drivers):
        refusals = [_refusal(resource, asker, verb, "driver", objects.namespace(obj), driver) for verb in verbs]
        if all(refusals):
            asked = f'resource="resourceclaims/driver", verb="[{" ".join(verbs)}]"'
            text = f"changing status.devices requires {asked} permission: {refusals[0]}"
            wrong.append(fields.forbidden("status", text))
    return wrong


def _refusal(
    resource: resources.Resource,
    asker: strategy.Asker,
    verb: str,
    subresource: str,
    namespace: str = "",
    name: str = "",
) -> str:
    """Why something is not allowed, or nothing."""
    question = questions.Attributes(
        asker.user, verb, resource.group, resource.version, resource.plural, subresource, namespace, name
    )
    decision = asker.authorizer.authorize(question)
    return "" if decision.allowed else questions.forbidden(question, decision.reason).message


def _node(claim: objects.Object) -> str:
    """The node that the allocation names, and nothing but that."""
    terms: list[Any] = objects.dig(claim, "status", "allocation", "nodeSelector", "nodeSelectorTerms", default=[]) or []
    if len(terms) != 1 or terms[0].get("matchExpressions") or len(terms[0].get("matchFields") or ()) != 1:
        return ""
    field = terms[0]["matchFields"][0]
    if field.get("key") != "metadata.name" or field.get("operator") != "In" or len(field.get("values") or ()) != 1:
        return ""
    return str(field["values"][0])


def _is_on_node(asker: strategy.Asker, node: str) -> bool:
    return bool(node) and asker.user.name.startswith(_ACCOUNT) and asker.user.extra.get(_NODE_NAME) == (node,)

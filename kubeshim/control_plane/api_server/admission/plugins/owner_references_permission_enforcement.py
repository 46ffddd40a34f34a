"""OwnerReferencesPermissionEnforcement: who changes owners could delete the object; who blocks the owner's deletion
could write the owner's finalizers. Off by default, as upstream."""

from collections.abc import Callable
from typing import Any

from kubeshim.control_plane.api_server.admission import plugin, refusals
from kubeshim.control_plane.api_server.authorization import attributes as questions
from kubeshim.machinery import objects, resources


class OwnerReferencesPermissionEnforcement:
    def __init__(self, registry: resources.Registry, authorizer: Callable[[], questions.Authorizer]) -> None:
        self._registry = registry
        self._authorizer = authorizer

    def validate(self, attributes: plugin.Attributes, reader: plugin.Reader) -> None:
        resource, new, old = attributes.resource, attributes.object, attributes.old_object
        if new is None or attributes.operation not in ("CREATE", "UPDATE"):
            return
        if resource.group_resource == "pods" and attributes.subresource == "status":
            return
        if _owners(new) == _owners(old):
            return
        authorizer = self._authorizer()
        if attributes.operation == "UPDATE":
            decision = authorizer.authorize(
                questions.Attributes(
                    attributes.user, "delete", resource.group, resource.version, resource.plural,
                    attributes.subresource, attributes.namespace, attributes.name,
                )
            )  # fmt: skip
            if not decision.allowed:
                raise refusals.forbidden(
                    attributes, f"cannot set an ownerRef on a resource you can't delete: {decision.reason}, <nil>"
                )
        for reference in _newly_blocking(new, old):
            self._check_owner(attributes, authorizer, reference)

    def _check_owner(
        self, attributes: plugin.Attributes, authorizer: questions.Authorizer, reference: dict[str, Any]
    ) -> None:
        api_version, kind = str(reference.get("apiVersion") or ""), str(reference.get("kind") or "")
        owner = self._registry.by_kind(*resources.split_api_version(api_version), kind)
        if owner is None:
            raise refusals.forbidden(
                attributes,
                f"cannot set blockOwnerDeletion in this case because cannot find RESTMapping for APIVersion "
                f'{api_version} Kind {kind}: no matches for kind "{kind}" in version "{api_version}"',
            )
        decision = authorizer.authorize(
            questions.Attributes(
                attributes.user, "update", owner.group, owner.version, owner.plural, "finalizers",
                attributes.namespace if owner.namespaced else "", str(reference.get("name") or ""),
            )
        )  # fmt: skip
        if not decision.allowed:
            raise refusals.forbidden(
                attributes,
                "cannot set blockOwnerDeletion if an ownerReference refers to a resource you can't set finalizers on: "
                f"{decision.reason}, <nil>",
            )


def _owners(obj: objects.Object | None) -> list[dict[str, Any]]:
    return (obj or {}).get("metadata", {}).get("ownerReferences") or []


def _newly_blocking(new: objects.Object, old: objects.Object | None) -> list[dict[str, Any]]:
    before = {reference.get("uid") for reference in _owners(old) if reference.get("blockOwnerDeletion")}
    return [
        reference
        for reference in _owners(new)
        if reference.get("blockOwnerDeletion") and reference.get("uid") not in before
    ]

"""Admission policies and their bindings: who lets a policy read parameters must be allowed to read them.

Only what is well formed is judged by who writes it.
"""

from kubeshim.control_plane.api_server import request
from kubeshim.control_plane.api_server.authorization import attributes as questions
from kubeshim.control_plane.api_server.strategies import strategy
from kubeshim.control_plane.api_server.strategies.checked import Checked
from kubeshim.machinery import errors, objects, resources
from kubeshim.machinery.validation import fields


class Policy(Checked):
    def permitted(
        self, resource: resources.Resource, obj: objects.Object, old: objects.Object | None, asker: strategy.Asker
    ) -> list[errors.FieldError]:
        kind = objects.dig(obj, "spec", "paramKind")
        if not kind or kind == objects.dig(old or {}, "spec", "paramKind") or _is_spared(self, resource, obj, asker):
            return []
        if _may_read(kind, "*", "*", asker):
            return []
        text = (
            f'user {_shown(asker.user)} must have "get" permission on all objects of the referenced paramKind '
            f"(kind={kind.get('kind') or ''}, apiVersion={kind.get('apiVersion') or ''})"
        )
        return [fields.forbidden("spec.paramKind", text)]


class Binding(Checked):
    def permitted(
        self, resource: resources.Resource, obj: objects.Object, old: objects.Object | None, asker: strategy.Asker
    ) -> list[errors.FieldError]:
        reference = objects.dig(obj, "spec", "paramRef")
        if not reference or _is_spared(self, resource, obj, asker):
            return []
        policies = resource.gvr._replace(resource=resource.plural.replace("policybindings", "policies"))
        policy = asker.reader.get(policies, "", objects.dig(obj, "spec", "policyName", default="") or "")
        kind = objects.dig(policy or {}, "spec", "paramKind", default={}) or {}
        if _may_read(kind, reference.get("namespace") or "", reference.get("name") or "", asker):
            return []
        text = f'user {_shown(asker.user)} does not have "get" permission on the object referenced by paramRef'
        return [fields.forbidden("spec.paramRef", text)]


def _is_spared(found: Checked, resource: resources.Resource, obj: objects.Object, asker: strategy.Asker) -> bool:
    """Administrators, the status endpoint, and what is refused anyway."""
    if asker.subresource or request.MASTERS in asker.user.groups:
        return True
    return bool(found.validate(resource, obj) or found.validate_create(resource, obj))


def _may_read(kind: dict[str, str], namespace: str, name: str, asker: strategy.Asker) -> bool:
    """Of what cannot be told, all is asked for."""
    group, version, plural = "*", "*", "*"
    if kind:
        group, _, version = (kind.get("apiVersion") or "").rpartition("/")
        found = asker.registry.by_kind(group, version, kind.get("kind") or "") if asker.registry else None
        plural = found.plural if found is not None else "*"
    question = questions.Attributes(asker.user, "get", group, version, plural, "", namespace, name)
    return asker.authorizer.authorize(question).allowed


def _shown(user: request.UserInfo) -> str:
    """As Go prints the structure."""
    extra = " ".join(f"{key}:[{' '.join(user.extra[key])}]" for key in sorted(user.extra))
    return f"&{{{user.name} {user.uid} [{' '.join(user.groups)}] map[{extra}]}}"

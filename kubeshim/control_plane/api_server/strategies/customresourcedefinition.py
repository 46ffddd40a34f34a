"""CustomResourceDefinitions: their schemas, and a deletion that waits for the instances."""

from typing import Any

from kubeshim.control_plane.api_server.custom_resources import conditions
from kubeshim.control_plane.api_server.strategies import strategy
from kubeshim.machinery import errors, objects, resources, schemas
from kubeshim.machinery.codecs import strict
from kubeshim.machinery.validation import crds, decoding, fields

CLEANUP = "customresourcecleanup.apiextensions.k8s.io"
"""The finalizer that holds a definition until its instances are gone."""
_SCHEMA = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps"


class CustomResourceDefinition(strategy.Strategy):
    allow_unconditional_update = False

    def prepare_for_create(self, resource: resources.Resource, obj: objects.Object) -> None:
        _canonical(resource, obj)
        obj["status"] = {"conditions": None, "acceptedNames": {"plural": "", "kind": ""}, "storedVersions": []}
        _note_storage(obj)

    def prepare_for_update(self, resource: resources.Resource, obj: objects.Object, old: objects.Object) -> None:
        super().prepare_for_update(resource, obj, old)
        _canonical(resource, obj)
        _note_storage(obj)

    def validate_create(self, resource: resources.Resource, obj: objects.Object) -> list[errors.FieldError]:
        return crds.validate_create(obj)

    def validate_update(
        self, resource: resources.Resource, obj: objects.Object, old: objects.Object
    ) -> list[errors.FieldError]:
        return crds.validate_update(obj, old)

    def validate_status_update(
        self, resource: resources.Resource, obj: objects.Object, old: objects.Object
    ) -> list[errors.FieldError]:
        return crds.names(objects.dig(obj, "status", "acceptedNames", default={}) or {}, "status.acceptedNames")

    def warnings(self, resource: resources.Resource, obj: objects.Object, old: objects.Object | None) -> list[str]:
        """Formats of strings that are not known; on a change, those that were not there before."""
        if old is not None and old.get("spec") == obj.get("spec"):
            return []
        known = crds.strange_formats(old) if old is not None else []
        return [f"unrecognized format {fields.quote(name)}" for name in crds.strange_formats(obj) if name not in known]

    def begin_deletion(self, obj: objects.Object, now: str) -> bool:
        """The first request only marks the definition; the rest is done when its instances are gone."""
        metadata = obj["metadata"]
        if metadata.get("deletionTimestamp"):
            return False
        metadata["deletionTimestamp"] = now
        if CLEANUP not in (metadata.get("finalizers") or ()):
            metadata["finalizers"] = [*(metadata.get("finalizers") or ()), CLEANUP]
        text = "CustomResourceDefinition marked for deletion; CustomResource deletion will be initiated soon"
        conditions.put(obj, conditions.condition("Terminating", True, "InstanceDeletionPending", text), now)
        return True


def _note_storage(obj: objects.Object) -> None:
    """From now on objects may be stored in the storage version."""
    status = obj.setdefault("status", {})
    stored = status.get("storedVersions") or []
    for version in objects.dig(obj, "spec", "versions", default=[]) or []:
        if version.get("storage"):
            if version.get("name") not in stored:
                status["storedVersions"] = [*stored, version.get("name")]
            return


def _canonical(resource: resources.Resource, obj: objects.Object) -> None:
    """Schemas below ``items`` and ``additionalProperties`` have no type of their own in upstream's definitions."""
    node = schemas.definitions().schema_of(_SCHEMA)
    for version in objects.dig(obj, "spec", "versions", default=[]) or []:
        found = objects.dig(version, "schema", "openAPIV3Schema")
        if isinstance(found, dict):
            _walk(found, node, resource)


def _walk(found: dict[str, Any], node: schemas.Schema, resource: resources.Resource) -> None:
    for slot in ("items", "additionalProperties"):
        if isinstance(found.get(slot), dict):
            decoding.decode(found[slot], node, resource.gvk)
            strict.prune(found[slot], node)
            _walk(found[slot], node, resource)
    for child in (found.get("properties") or {}).values():
        if isinstance(child, dict):
            _walk(child, node, resource)
    for slot in ("allOf", "anyOf", "oneOf"):
        for child in found.get(slot) or ():
            _walk(child, node, resource)
    if isinstance(found.get("not"), dict):
        _walk(found["not"], node, resource)

"""Storage version migrations: what is migrated never changes; their conditions contradict neither each other nor
themselves of before."""

from kubeshim.machinery import objects
from kubeshim.machinery.errors import FieldError
from kubeshim.machinery.validation import conditions, content, fields, go_values


def migration(obj: objects.Object) -> list[FieldError]:
    target = objects.dig(obj, "spec", "resource", default={}) or {}
    resource, group = target.get("resource") or "", target.get("group") or ""
    wrong: list[FieldError] = []
    if not resource:
        wrong.append(fields.required("spec.resource.resource", "resource is required to be set"))
    elif complaints := content.dns_1035_label(resource):
        wrong.append(fields.invalid("spec.resource.resource", resource, ",".join(complaints)))
    if group and (complaints := content.dns_subdomain(group)):
        wrong.append(fields.invalid("spec.resource.group", group, ",".join(complaints)))
    return wrong


def migration_update(obj: objects.Object, old: objects.Object) -> list[FieldError]:
    message = "k8s.io.api.storagemigration.v1.StorageVersionMigrationSpec"
    return go_values.immutable("spec", message, obj.get("spec"), old.get("spec"))


def migration_status(obj: objects.Object, old: objects.Object) -> list[FieldError]:
    status, path = obj.get("status") or {}, "status.conditions"
    found, version = status.get("conditions") or [], status.get("resourceVersion") or ""
    before = objects.dig(old, "status", "resourceVersion", default="")
    wrong: list[FieldError] = []
    if version and not (version.isdecimal() and version.isascii() and not version.startswith("0")):
        text = f"resource version is not well formed: {version}"
        wrong.append(fields.invalid("status.resourceVersion", version, text))
    wrong += conditions.validate(found, path)
    if before and before != version:
        wrong.append(fields.invalid("status.resourceVersion", version, fields.IMMUTABLE))
    succeeded, failed, running = (_holds(obj, kind) for kind in ("Succeeded", "Failed", "Running"))
    texts = (
        (succeeded and failed, "Both success and failed conditions cannot be true at the same time"),
        (succeeded and running, "Running condition cannot be true when success condition is true"),
        (failed and running, "Running condition cannot be true when failed condition is true"),
        (_holds(old, "Succeeded") and not succeeded, "Success condition cannot be set to false once it is true"),
        (_holds(old, "Failed") and not failed, "Failed condition cannot be set to false once it is true"),
    )
    shown = [go_values.written(conditions.MESSAGE, one) for one in found] or None
    return wrong + [fields.invalid(path, shown, text) for broken, text in texts if broken]


def _holds(obj: objects.Object, kind: str) -> bool:
    condition = objects.condition(obj, kind)
    return condition is not None and condition.get("status") == "True"

"""Who owns the replicas, seen from the ``scale`` subresource and back.

Server-side apply of a Scale decides over the owners of the object's replicas alone, in the words of a Scale:
``f:spec`` ``f:replicas`` of ``autoscaling/v1``, wherever the object keeps that number and whatever its own version.
Upstream: apimachinery ``util/managedfields`` ``ScaleHandler``.
"""

from collections.abc import Sequence

from kubeshim.machinery import fieldsets, managed_fields

API_VERSION = "autoscaling/v1"
_IN_SCALE = ("spec", "replicas")


def of_scale(entries: Sequence[managed_fields.Entry], path: Sequence[str]) -> list[managed_fields.Entry]:
    """The entries of an object that own its replicas (at ``path``), as those of its Scale."""
    owned = fieldsets.of_path(_IN_SCALE)
    return [{**entry, "apiVersion": API_VERSION, "fieldsV1": owned} for entry in entries if _has(entry, path)]


def of_object(
    entries: Sequence[managed_fields.Entry], changed: Sequence[managed_fields.Entry], path: Sequence[str],
    api_version: str,
) -> list[managed_fields.Entry]:  # fmt: skip
    """The entries of the object once those of its Scale are ``changed``: who lost the replicas there has lost them."""
    owners = {_who(entry): entry for entry in changed if _has(entry, _IN_SCALE)}
    result: list[managed_fields.Entry] = []
    for entry in entries:
        if not _has(entry, path) or _who(entry) in owners:
            owners.pop(_who(entry), None)
            result.append(entry)
            continue
        rest = fieldsets.difference(entry["fieldsV1"], fieldsets.of_path(path))
        if rest:
            result.append({**entry, "fieldsV1": rest})
    for entry in owners.values():
        result.append({**entry, "apiVersion": api_version, "fieldsV1": fieldsets.of_path(path)})
    return managed_fields.arranged(result)


def _has(entry: managed_fields.Entry, path: Sequence[str]) -> bool:
    at = entry.get("fieldsV1")
    for step in path:
        if not isinstance(at, dict) or f"f:{step}" not in at:
            return False
        at = at[f"f:{step}"]
    return True


def _who(entry: managed_fields.Entry) -> tuple[str, str, str]:
    return entry.get("manager") or "", entry.get("operation") or "", entry.get("subresource") or ""

"""Reading API objects, which are plain dicts as JSON gives them."""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

Object: TypeAlias = dict[str, Any]
"""A Kubernetes object: ``{"apiVersion": …, "kind": …, "metadata": {…}, …}``."""


def name(obj: Mapping[str, Any]) -> str:
    return str(obj.get("metadata", {}).get("name") or "")


def namespace(obj: Mapping[str, Any]) -> str:
    """The namespace, or ``""`` for an object of cluster scope."""
    return str(obj.get("metadata", {}).get("namespace") or "")


def uid(obj: Mapping[str, Any]) -> str:
    return str(obj.get("metadata", {}).get("uid") or "")


def resource_version(obj: Mapping[str, Any]) -> str:
    return str(obj.get("metadata", {}).get("resourceVersion") or "")


def labels(obj: Mapping[str, Any]) -> dict[str, str]:
    return obj.get("metadata", {}).get("labels") or {}


def annotations(obj: Mapping[str, Any]) -> dict[str, str]:
    return obj.get("metadata", {}).get("annotations") or {}


def is_deleting(obj: Mapping[str, Any]) -> bool:
    return bool(obj.get("metadata", {}).get("deletionTimestamp"))


def key(obj: Mapping[str, Any]) -> str:
    """``namespace/name``, or the bare name for an object of cluster scope."""
    space = namespace(obj)
    return f"{space}/{name(obj)}" if space else name(obj)


def split_key(text: str) -> tuple[str, str]:
    """The inverse of ``key``: ``(namespace, name)``."""
    space, _, rest = text.rpartition("/")
    return space, rest


def dig(obj: Any, *path: str | int, default: Any = None) -> Any:
    """The value at ``path``, or ``default`` where a step is missing or null."""
    for step in path:
        if isinstance(obj, Mapping):
            obj = obj.get(step)
        elif isinstance(obj, list) and isinstance(step, int) and -len(obj) <= step < len(obj):
            obj = obj[step]
        else:
            return default
        if obj is None:
            return default
    return obj


def controller_of(obj: Mapping[str, Any]) -> dict[str, Any] | None:
    """The ownerReference with ``controller: true``, if any."""
    for reference in obj.get("metadata", {}).get("ownerReferences") or ():
        if reference.get("controller"):
            return dict(reference)
    return None


def owner_reference(owner: Mapping[str, Any], *, controller: bool = True) -> dict[str, Any]:
    """An ownerReference to ``owner``, as controllers write it."""
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": name(owner),
        "uid": uid(owner),
        "controller": controller,
        "blockOwnerDeletion": controller,
    }


def condition(obj: Mapping[str, Any], kind: str) -> dict[str, Any] | None:
    """``status.conditions`` entry of that type."""
    for entry in dig(obj, "status", "conditions", default=()):
        if entry.get("type") == kind:
            return dict(entry)
    return None


def with_condition(entries: Sequence[Object], new: Object) -> list[Object]:
    """``status.conditions`` with one of them replaced where it stands, or added."""
    known = any(entry.get("type") == new["type"] for entry in entries)
    changed = [new if entry.get("type") == new["type"] else entry for entry in entries]
    return changed if known else [*changed, new]


def observed_generation(pod: Mapping[str, Any]) -> dict[str, Any]:
    """What a condition of a pod says of the generation it was written for."""
    generation = dig(pod, "metadata", "generation")
    return {"observedGeneration": generation} if generation else {}


def new_uid() -> str:
    return str(uuid.uuid4())

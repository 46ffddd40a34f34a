"""An object of which nothing is said, as Go writes its struct: what a bookmark shows besides its resourceVersion."""

import functools
from typing import Any

from kubeshim.machinery import objects, resources
from kubeshim.machinery.codecs import descriptors, json, protobuf_special

_NULL = frozenset((f"{descriptors.META}.Time", f"{descriptors.META}.MicroTime"))


def bookmark(gvk: resources.GroupVersionKind, metadata: objects.Object) -> objects.Object:
    """An object with nothing but its metadata."""
    return {
        "kind": gvk.kind,
        "apiVersion": gvk.group_version,
        "metadata": metadata,
        **json.decode(_rest(gvk), strict=False)[0],
    }


@functools.lru_cache(maxsize=1024)
def _rest(gvk: resources.GroupVersionKind) -> bytes:
    message = descriptors.message_for_kind(*gvk)
    found = {} if message is None else _struct(message.name)
    return json.encode({key: value for key, value in found.items() if key != "metadata"})


def _struct(name: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for field in descriptors.messages()[name].fields:
        if field.presence == "inline":
            found.update(_struct(field.type))
        elif field.presence in ("always", "struct"):
            found[field.name] = _value(field)
    return found


def _value(field: descriptors.Field) -> Any:
    if field.label != "optional" or field.type in _NULL:
        return None
    if field.type in descriptors.SCALARS:
        return {"string": "", "bytes": None, "bool": False}.get(field.type, 0)
    special = protobuf_special.TABLE.get(field.type)
    if special is None:
        return _struct(field.type)
    value = special[0]({})
    return None if value is protobuf_special.OMIT else value

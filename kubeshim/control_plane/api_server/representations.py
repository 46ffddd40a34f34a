"""Objects as bytes that are made once and shared by GETs, LISTs and watches: JSON and protobuf, whole or as metadata.

JSON is what the cache holds. Protobuf messages are made from it when somebody asks (``stored.Stored.message``); what
stands around them, the envelope, a list's head, costs next to nothing. A ``PartialObjectMetadata`` in protobuf is the
beginning of an object's message, cut off. Every other form is None here, and made elsewhere from the parsed object.
"""

import functools
from typing import Any

import gevent

from kubeshim.control_plane.api_server import stored
from kubeshim.machinery import objects, resources
from kubeshim.machinery.codecs import json, negotiation, protobuf

_PARTIAL = resources.GroupVersionKind("meta.k8s.io", "v1", "PartialObjectMetadata")
_YIELD_AFTER = 50
"""Messages made before others get their turn."""


@functools.lru_cache(maxsize=1024)
def has_message(gvk: resources.GroupVersionKind) -> bool:
    """Whether a kind has a protobuf form: all built-in ones do, custom ones do not."""
    return protobuf.has_form(gvk)


def one(resource: resources.Resource, item: stored.Stored, media: negotiation.MediaType) -> bytes | None:
    """An answer with one object."""
    if media.essence == negotiation.PROTOBUF:
        return enveloped(resource, item, media)
    if media.essence == negotiation.JSON and not media.kind:
        return item.bytes + b"\n"
    return None


def enveloped(resource: resources.Resource, item: stored.Stored, media: negotiation.MediaType) -> bytes | None:
    """An object as a protobuf body, or inside a watch event."""
    if not media.kind:
        return protobuf.wrap(item.message(resource.gvk), resource.gvk)
    if media.kind == "PartialObjectMetadata":
        return protobuf.wrap(_metadata(resource, item), _PARTIAL._replace(version=media.version))
    return None


def many(
    resource: resources.Resource, items: list[stored.Stored], metadata: dict[str, Any], media: negotiation.MediaType
) -> bytes | None:
    """An answer with a list. May give way to other requests while it makes messages."""
    if media.essence == negotiation.JSON and not media.kind:
        return _json_list(resource, items, metadata)
    if media.essence != negotiation.PROTOBUF or media.kind == "PartialObjectMetadata":
        return None
    _make_messages(resource, items)
    if media.kind:
        gvk = _PARTIAL._replace(version=media.version, kind=media.kind)
        return protobuf.encode_list({"metadata": metadata}, [_metadata(resource, item) for item in items], gvk)
    gvk = resource.gvk._replace(kind=list_kind(resource))
    return protobuf.encode_list({"metadata": metadata}, [item.message(resource.gvk) for item in items], gvk)


def _message_kind(resource: resources.Resource) -> resources.GroupVersionKind:
    return resource.gvk if has_message(resource.gvk) else _PARTIAL


def _metadata(resource: resources.Resource, item: stored.Stored) -> bytes:
    return protobuf.metadata_alone(item.message(_message_kind(resource)))


def _make_messages(resource: resources.Resource, items: list[stored.Stored]) -> None:
    gvk = _message_kind(resource)
    made = 0
    for item in items:
        if not item.has_message:
            item.message(gvk)
            made += 1
            if made % _YIELD_AFTER == 0:
                gevent.sleep(0)


def list_kind(resource: resources.Resource) -> str:
    return resource.list_kind or f"{resource.kind}List"


def _json_list(resource: resources.Resource, items: list[stored.Stored], metadata: dict[str, Any]) -> bytes:
    """``{"kind":"PodList",…,"items":[…]}``. Items of built-in kinds do not repeat kind and apiVersion."""
    head = json.encode({"kind": list_kind(resource), "apiVersion": resource.api_version, "metadata": metadata})
    parts: list[Any] = [head[:-1], b',"items":[']
    if has_message(resource.gvk):
        # Everything before the metadata is cut off without copying the rest.
        start = len(stored.head_of(resource.kind, resource.api_version))
        separator = b'{"metadata":{'
        for item in items:
            parts.append(separator)
            parts.append(memoryview(item.bytes)[start:])
            separator = b',{"metadata":{'
    elif items:
        parts.append(b",".join([item.bytes for item in items]))
    parts.append(b"]}\n")
    return b"".join(parts)


def bare(resource: resources.Resource, item: stored.Stored) -> objects.Object:
    """A parsed object as it stands in a list."""
    if not has_message(resource.gvk):
        return item.obj
    return {key: value for key, value in item.obj.items() if key not in ("kind", "apiVersion")}

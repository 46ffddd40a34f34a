"""Answers: which form the client wants, and objects in that form.

Clients that accept both protobuf and JSON get JSON: it is what is kept as bytes. Protobuf is encoded for those that
take nothing else.
"""

import functools
import zlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import gevent

from kubeshim.control_plane.api_server import native, request, stored
from kubeshim.machinery import errors, objects, resources, tables
from kubeshim.machinery.codecs import json, negotiation, protobuf, yaml

if TYPE_CHECKING:
    from kubeshim.control_plane.api_server import server as servers

GZIP_FROM = 128 << 10
"""Responses from this size on are compressed for who accepts it."""
_IN_THREAD_FROM = 1 << 20
_TABLE_ROWS = 250
_JSON = ("Content-Type", negotiation.JSON)
_HEADERS = [("Cache-Control", "no-cache, private"), _JSON]


@functools.lru_cache(maxsize=1024)
def negotiate(accept: str, offers: negotiation.Offers = negotiation.OBJECTS) -> negotiation.MediaType:
    """The form to answer in, JSON before protobuf. Raises ``errors.NotAcceptable``."""
    if negotiation.PROTOBUF in offers.media_types:
        textual = tuple(name for name in offers.media_types if name != negotiation.PROTOBUF)
        narrow = negotiation.Offers(textual, offers.tables, offers.partial, offers.converts, offers.streams)
        try:
            return negotiation.negotiate(accept, narrow)
        except errors.NotAcceptable:
            pass
    return negotiation.negotiate(accept, offers)


def offers_of(resource: resources.Resource, *, watch: bool = False) -> negotiation.Offers:
    if has_protobuf(resource.gvk):
        return negotiation.WATCH if watch else negotiation.OBJECTS
    return negotiation.CUSTOM_WATCH if watch else negotiation.CUSTOM_OBJECTS


@functools.lru_cache(maxsize=1024)
def has_protobuf(gvk: resources.GroupVersionKind) -> bool:
    return protobuf.has_form(gvk)


def form(asked: request.Request, resource: resources.Resource) -> negotiation.MediaType:
    return negotiate(asked.header("accept"), offers_of(resource))


def of_stored(
    asked: request.Request, server: "servers.Server", resource: resources.Resource, item: stored.Stored, code: int = 200
) -> request.Response:
    """One object."""
    media = form(asked, resource)
    if media.essence == negotiation.JSON and not media.kind and not is_pretty(asked, media):
        return request.Response(code, _HEADERS, item.bytes + b"\n")
    return of_object(asked, server, resource, item.obj, code)


def of_object(
    asked: request.Request, server: "servers.Server", resource: resources.Resource, obj: objects.Object, code: int = 200
) -> request.Response:
    """One object that is not in the store, or in a form other than its bytes."""
    media = form(asked, resource)
    if media.kind:
        listing = {"resourceVersion": objects.resource_version(obj)}
        obj = _converted(asked, server, resource, media, [obj], listing, single=True)
    return encoded(asked, media, obj, code)


def encoded(
    asked: request.Request, media: negotiation.MediaType, obj: objects.Object, code: int = 200
) -> request.Response:
    """Any object in an agreed form."""
    if media.essence == negotiation.YAML:
        body = yaml.encode(obj)
    elif media.essence == negotiation.PROTOBUF:
        body = protobuf.encode(obj)
    elif is_pretty(asked, media):
        body = json.encode_pretty(obj)
    else:
        body = json.encode(obj) + b"\n"
    return request.Response(code, [("Cache-Control", "no-cache, private"), ("Content-Type", media.header())], body)


def is_pretty(asked: request.Request, media: negotiation.MediaType) -> bool:
    if media.pretty is not None:
        return media.pretty
    return negotiation.pretty(asked.query["pretty"][0] if "pretty" in asked.query else None, asked.header("user-agent"))


def of_list(
    asked: request.Request, server: "servers.Server", resource: resources.Resource, items: list[stored.Stored],
    metadata: dict[str, Any],
) -> request.Response:  # fmt: skip
    """A list of objects, joined from their bytes where the form allows."""
    media = form(asked, resource)
    if media.kind:
        found = [item.obj for item in items] if len(items) < 500 else _parsed(items)
        return encoded(asked, media, _converted(asked, server, resource, media, found, metadata))
    if media.essence == negotiation.JSON and not is_pretty(asked, media):
        return request.Response(200, list(_HEADERS), _joined(resource, items, metadata))
    head = {"kind": list_kind(resource), "apiVersion": resource.api_version, "metadata": metadata}
    if media.essence == negotiation.PROTOBUF:
        messages = [protobuf.encode_item(item.obj, resource.gvk) for item in items]
        gvk = resource.gvk._replace(kind=list_kind(resource))
        body = protobuf.encode_list(head, messages, gvk)
        return request.Response(200, [_HEADERS[0], ("Content-Type", negotiation.PROTOBUF)], body)
    return encoded(asked, media, {**head, "items": [_bare(resource, item) for item in items]})


def list_kind(resource: resources.Resource) -> str:
    return resource.list_kind or f"{resource.kind}List"


def _joined(resource: resources.Resource, items: list[stored.Stored], metadata: dict[str, Any]) -> bytes:
    """``{"kind":"PodList",…,"items":[…]}``. Items of built-in kinds do not repeat kind and apiVersion."""
    head = json.encode({"kind": list_kind(resource), "apiVersion": resource.api_version, "metadata": metadata})
    parts: list[Any] = [head[:-1], b',"items":[']
    if has_protobuf(resource.gvk):
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


def _bare(resource: resources.Resource, item: stored.Stored) -> objects.Object:
    if not has_protobuf(resource.gvk):
        return item.obj
    return {key: value for key, value in item.obj.items() if key not in ("kind", "apiVersion")}


def _parsed(items: Iterable[stored.Stored]) -> list[objects.Object]:
    """Parsed forms of many objects, giving way to other requests from time to time."""
    found = []
    for index, item in enumerate(items, 1):
        found.append(item.copy())
        if index % 500 == 0:
            gevent.sleep(0)
    return found


def _converted(
    asked: request.Request, server: "servers.Server", resource: resources.Resource, media: negotiation.MediaType,
    found: list[objects.Object], metadata: dict[str, Any], *, single: bool = False,
) -> objects.Object:  # fmt: skip
    """A ``Table``, or metadata alone."""
    if media.kind == "Table":
        include = asked.param("includeObject") or "Metadata"
        if include not in ("Object", "Metadata", "None"):
            raise errors.BadRequest(f'unrecognized includeObject value: "{include}"')
        table = _table(server, resource, found, include)
        return {**table, "apiVersion": f"meta.k8s.io/{media.version}", "metadata": metadata}
    partial = [{**tables.partial(obj), "apiVersion": f"meta.k8s.io/{media.version}"} for obj in found]
    if single:
        if media.kind == "PartialObjectMetadataList":
            raise errors.NotAcceptable(
                "you requested PartialObjectMetadataList, but the requested object is not a list"
            )
        return partial[0]
    if media.kind == "PartialObjectMetadata":
        raise errors.NotAcceptable("you requested PartialObjectMetadata, but the requested object is a list")
    return {
        "kind": "PartialObjectMetadataList",
        "apiVersion": f"meta.k8s.io/{media.version}",
        "metadata": metadata,
        "items": partial,
    }


def _table(
    server: "servers.Server", resource: resources.Resource, found: list[objects.Object], include: str
) -> objects.Object:
    """The rows of many objects take long, so others get their turn in between."""
    now = server.clock.now()
    table = tables.table(resource, found[:_TABLE_ROWS], now=now, include_object=include)
    for start in range(_TABLE_ROWS, len(found), _TABLE_ROWS):
        gevent.sleep(0)
        rest = tables.table(resource, found[start : start + _TABLE_ROWS], now=now, include_object=include)
        table["rows"] += rest["rows"]
    return table


def convert_event(
    asked: request.Request, server: "servers.Server", resource: resources.Resource, media: negotiation.MediaType,
    obj: objects.Object,
) -> objects.Object:  # fmt: skip
    """The object of one watch event in the agreed form."""
    return _converted(
        asked, server, resource, media, [obj], {"resourceVersion": objects.resource_version(obj)}, single=True
    )


def of_error(asked: request.Request | None, error: errors.APIStatusError) -> request.Response:
    """The one place where a refusal becomes a ``Status`` on the wire."""
    media = negotiation.MediaType()
    if asked is not None:
        try:
            media = negotiate(asked.header("accept"), negotiation.STATUS_ONLY)
        except errors.NotAcceptable:
            pass
    status = error.status()
    if asked is not None:
        answer = encoded(asked, media, status, error.status_code)
    else:
        answer = request.Response(error.status_code, list(_HEADERS), json.encode(status) + b"\n")
    if error.retry_after is not None:
        answer.headers = [*answer.headers, ("Retry-After", str(error.retry_after))]
    return answer


def plain(status: int, text: str, *headers: tuple[str, str]) -> request.Response:
    """What upstream's outer handlers say: a line of text, no ``Status``."""
    typed = [("Content-Type", "text/plain; charset=utf-8"), ("X-Content-Type-Options", "nosniff")]
    return request.Response(status, [*typed, *headers], f"{text}\n".encode())


def of_status(asked: request.Request, status: objects.Object, code: int = 200) -> request.Response:
    """A ``Status`` that is no refusal (a deletion's)."""
    return encoded(asked, negotiate(asked.header("accept"), negotiation.OBJECTS), status, code)


def gzip(asked: request.Request, answer: request.Response) -> None:
    """Compresses a large answer for a client that accepts it; large work is done in a native thread."""
    body = answer.body
    if not isinstance(body, bytes) or len(body) < GZIP_FROM or "gzip" not in asked.header("accept-encoding"):
        return
    if any(name == "Content-Encoding" for name, _ in answer.headers):
        return
    if len(body) >= _IN_THREAD_FROM:
        answer.body = native.run(_deflate, body)
    else:
        answer.body = _deflate(body)
    answer.headers = [*answer.headers, ("Content-Encoding", "gzip"), ("Vary", "Accept-Encoding")]


def _deflate(body: bytes) -> bytes:
    machine = zlib.compressobj(1, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    return machine.compress(body) + machine.flush()

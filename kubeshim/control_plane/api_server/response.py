"""Answers: which form the client wants, and objects in that form.

JSON and protobuf come from bytes that are made once (``representations``); everything else is encoded for the answer.
"""

import zlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import gevent

from kubeshim.control_plane.api_server import native, representations, request, stored
from kubeshim.machinery import errors, objects, resources, tables
from kubeshim.machinery.codecs import json, negotiation, protobuf, yaml
from kubeshim.machinery.validation import fields

if TYPE_CHECKING:
    from kubeshim.control_plane.api_server import server as servers

GZIP_ABOVE = 128 << 10
"""Responses larger than this are compressed for who accepts it."""
_IN_THREAD_FROM = 1 << 20
_TABLE_ROWS = 250
_JSON = ("Content-Type", negotiation.JSON)
_HEADERS = [("Cache-Control", "no-cache, private"), _JSON]


def offers_of(resource: resources.Resource) -> negotiation.Offers:
    return negotiation.OBJECTS if representations.has_message(resource.gvk) else negotiation.CUSTOM_OBJECTS


def form(asked: request.Request, resource: resources.Resource) -> negotiation.MediaType:
    return negotiation.negotiate(asked.header("accept"), offers_of(resource))


def of_stored(
    asked: request.Request, server: "servers.Server", resource: resources.Resource, item: stored.Stored, code: int = 200
) -> request.Response:
    """One object."""
    media = form(asked, resource)
    body = None if is_pretty(asked, media) else representations.one(resource, item, media)
    if body is None:
        return of_object(asked, server, resource, item.obj, code)
    return _answer(asked, media, body, code)


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
    return _answer(asked, media, encode(obj, media.essence, pretty=is_pretty(asked, media)), code)


def encode(obj: objects.Object, essence: str, *, pretty: bool = False) -> bytes:
    if essence == negotiation.YAML:
        return yaml.encode(obj)
    if essence == negotiation.PROTOBUF:
        return protobuf.encode(obj)
    return json.encode_pretty(obj) if pretty else json.encode(obj) + b"\n"


def _answer(asked: request.Request, media: negotiation.MediaType, body: bytes, code: int = 200) -> request.Response:
    headers = _HEADERS if media.essence == negotiation.JSON else [_HEADERS[0], ("Content-Type", media.essence)]
    answer = request.Response(code, headers, body)
    if len(body) > GZIP_ABOVE:
        gzip(asked, answer)
    return answer


def is_pretty(asked: request.Request, media: negotiation.MediaType) -> bool:
    if media.essence != negotiation.JSON:
        return False
    return bool(media.pretty) or negotiation.pretty(asked.param("pretty"), asked.header("user-agent"))


def of_list(
    asked: request.Request, server: "servers.Server", resource: resources.Resource, items: list[stored.Stored],
    metadata: dict[str, Any],
) -> request.Response:  # fmt: skip
    """A list of objects, joined from their bytes where the form allows."""
    media = form(asked, resource)
    body = None if is_pretty(asked, media) else representations.many(resource, items, metadata, media)
    if body is not None:
        return _answer(asked, media, body)
    if media.kind:
        found = [item.obj for item in items] if len(items) < 500 else _parsed(items)
        return encoded(asked, media, _converted(asked, server, resource, media, found, metadata))
    head = {"kind": representations.list_kind(resource), "apiVersion": resource.api_version, "metadata": metadata}
    return encoded(asked, media, {**head, "items": [representations.bare(resource, item) for item in items]})


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
        table = _table(server, resource, found, included(asked), "" if single else tables.default_of(resource, found))
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


def included(asked: request.Request) -> str:
    """What the rows of a table have of their objects. Raises ``errors.BadRequest``."""
    include = asked.param("includeObject") or "Metadata"
    if include not in ("Object", "Metadata", "None"):
        problem = fields.invalid("includeObject", include, "must be 'Metadata', 'Object', 'None', or empty")
        raise errors.BadRequest(f"Unable to convert to Table as requested: {problem}")
    return include


def _table(
    server: "servers.Server", resource: resources.Resource, found: list[objects.Object], include: str, default: str
) -> objects.Object:
    """The rows of many objects take long, so others get their turn in between."""
    now = server.clock.now()
    table = tables.table(resource, found[:_TABLE_ROWS], now=now, include_object=include, default=default)
    for start in range(_TABLE_ROWS, len(found), _TABLE_ROWS):
        gevent.sleep(0)
        more = found[start : start + _TABLE_ROWS]
        rest = tables.table(resource, more, now=now, include_object=include, default=default)
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
    status = error.status()
    try:
        if asked is None:
            answer = request.Response(error.status_code, list(_HEADERS), json.encode(status) + b"\n")
        else:
            media = negotiation.negotiate(asked.header("accept"), negotiation.STATUS_ONLY)
            answer = encoded(asked, media, status, error.status_code)
    except errors.NotAcceptable:
        # A refusal is told in any case: indented JSON then.
        answer = request.Response(error.status_code, list(_HEADERS), json.encode_pretty(status).rstrip(b"\n"))
    if error.retry_after is not None:
        answer.headers = [*answer.headers, ("Retry-After", str(error.retry_after))]
    return answer


def plain(status: int, text: str, *headers: tuple[str, str]) -> request.Response:
    """What upstream's outer handlers say: a line of text, no ``Status``."""
    typed = [("Content-Type", "text/plain; charset=utf-8"), ("X-Content-Type-Options", "nosniff")]
    return request.Response(status, [*typed, *headers], f"{text}\n".encode())


def of_status(
    asked: request.Request, resource: resources.Resource, status: objects.Object, code: int = 200
) -> request.Response:
    """A ``Status`` that is no refusal (a deletion's), in the form the object itself would have had."""
    return encoded(asked, form(asked, resource), status, code)


def gzip(asked: request.Request, answer: request.Response) -> None:
    """Compresses a large answer for a client that accepts it; large work is done in a native thread."""
    body = answer.body
    if not isinstance(body, bytes) or len(body) <= GZIP_ABOVE or not accepts_gzip(asked):
        return
    if any(name == "Content-Encoding" for name, _ in answer.headers):
        return
    if len(body) >= _IN_THREAD_FROM:
        answer.body = native.run(_deflate, body)
    else:
        answer.body = _deflate(body)
    answer.headers = [*answer.headers, ("Content-Encoding", "gzip"), ("Vary", "Accept-Encoding")]


def accepts_gzip(asked: request.Request) -> bool:
    """Upstream looks for the bare word: ``gzip;q=0.5`` is not it."""
    return any(word.strip() == "gzip" for word in asked.header("accept-encoding").split(","))


def _deflate(body: bytes) -> bytes:
    machine = zlib.compressobj(1, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    return machine.compress(body) + machine.flush()

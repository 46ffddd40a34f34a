"""WATCH: events as they happen, from a resourceVersion or from the state now.

    resourceVersion   without sendInitialEvents        with sendInitialEvents
    unset, "0"        as if it were there              ADDED for what there is, a bookmark that says so (if bookmarks
                                                       are allowed), then events
    N                 events after N; an ERROR event   as above, once the cache is at N
                      (410) if that is too old

A stream is one generator in its connection's greenlet. It sleeps on the watcher's buffer; the client's leaving, the
time limit, the server's stopping and a full buffer all end it. An event is encoded once for each representation and
kept in the event itself for the other watchers.
"""

import random
import time
from collections.abc import Iterator

from kubeshim.control_plane.api_server import open_watches, request, response, stored, watch_cache
from kubeshim.control_plane.api_server.verbs import operation, options, selection, versions
from kubeshim.control_plane.cluster_store import store
from kubeshim.machinery import errors, objects
from kubeshim.machinery.codecs import frames, json, negotiation, protobuf

_BOOKMARK_INTERVAL = 60.0
_INITIAL_EVENTS_END = "k8s.io/initial-events-end"
_CHUNK = 256 << 10


class _Encoder:
    """One representation of events. Of Tables only the first of a watch says what its columns are."""

    def __init__(self, op: operation.Operation, asked: request.Request, media: negotiation.MediaType) -> None:
        self._op, self._asked, self._media = op, asked, media
        self._plain = media.essence == negotiation.JSON and not media.kind
        self._protobuf = media.essence == negotiation.PROTOBUF
        self._names_columns = media.kind == "Table"
        include = asked.param("includeObject") if media.kind == "Table" else ""
        self.key = (op.resource.gvk, op.resource.definition, media.essence, media.kind, media.version, include)

    def frame(self, seen: watch_cache.Seen) -> bytes:
        """The bytes of one event, made once."""
        kind, item, event = seen
        if self._names_columns:
            return self.of(kind, self._op.server.storage.view(self._op.resource, item))
        key = (kind, self.key)
        frame = event.frames.get(key)
        if frame is None:
            frame = event.frames[key] = self.of(kind, self._op.server.storage.view(self._op.resource, item))
        return frame

    def of(self, kind: str, item: stored.Stored) -> bytes:
        if self._plain:
            return frames.json_frame(kind, item.bytes)
        return self.of_object(kind, item.obj)

    def of_object(self, kind: str, obj: objects.Object) -> bytes:
        if self._media.kind and kind != "ERROR":
            obj = response.convert_event(self._asked, self._op.server, self._op.resource, self._media, obj)
            if self._media.kind == "Table" and not self._names_columns:
                obj["columnDefinitions"] = None
            self._names_columns = False
        if self._protobuf:
            return frames.protobuf_frame(kind, protobuf.encode(obj))
        return frames.json_frame(kind, json.encode(obj))

    def bookmark(self, revision: int, *, initial: bool = False) -> bytes:
        metadata: dict[str, object] = {"resourceVersion": str(revision)}
        if initial:
            metadata["annotations"] = {_INITIAL_EVENTS_END: "true"}
        resource = self._op.resource
        obj = {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": metadata}
        return self.of_object("BOOKMARK", obj)


class Stream:
    """A watch being served."""

    def __init__(
        self, op: operation.Operation, chosen: selection.Selection, encoder: _Encoder, *, revision: int,
        initial: bool, initial_bookmark: bool, bookmarks: bool, seconds: float,
    ) -> None:  # fmt: skip
        self._op, self._encoder, self._bookmarks, self._seconds = op, encoder, bookmarks, seconds
        self._initial_bookmark = initial_bookmark
        self._open: open_watches.Watch | None = None
        space = op.namespace if op.resource.namespaced else ""
        matches = chosen.matches()
        storage = op.server.storage
        self._start: list[stored.Stored] = []
        if initial:
            # No greenlet runs between these two, unless selectors look at a great many objects: so watch first.
            self.watcher = storage.watch(op.resource, space, matches=matches)
            found = storage.list(op.resource, space)
            self._revision = found.revision
            self._start = found.items if matches is None else [item for item in found.items if matches(item)]
        else:
            self._revision = revision
            self.watcher = storage.watch(op.resource, space, after=revision, matches=matches)

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._initial()
            yield from self._live()
        except errors.NotAcceptable:
            # A form that no single object has: the request was accepted, so all that is left is to end.
            return
        finally:
            self.close()

    def follow_rights(self, asked: request.Request) -> None:
        """Ends when who asked may not watch any more."""
        self._open = self._op.server.open_watches.add(asked, self.watcher.stop)

    def close(self) -> None:
        if self._open is not None:
            self._op.server.open_watches.remove(self._open)
        self._op.server.storage.unwatch(self._op.resource, self.watcher)

    def _initial(self) -> Iterator[bytes]:
        yield b""
        pieces: list[bytes] = []
        size = 0
        for item in self._start:
            piece = self._encoder.of("ADDED", item)
            pieces.append(piece)
            size += len(piece)
            if size >= _CHUNK:
                yield b"".join(pieces)
                pieces, size = [], 0
        self._start = []
        if self._initial_bookmark:
            pieces.append(self._encoder.bookmark(self._revision, initial=True))
        if pieces:
            yield b"".join(pieces)

    def _live(self) -> Iterator[bytes]:
        watcher, encoder, storage = self.watcher, self._encoder, self._op.server.storage
        end = time.monotonic() + self._seconds
        bookmark = time.monotonic() + _BOOKMARK_INTERVAL * random.uniform(0.8, 1.2)
        while True:
            now = time.monotonic()
            if now >= end:
                break
            woken = watcher.wait(min(end, bookmark) - now if self._bookmarks else end - now)
            if watcher.buffer:
                pieces, size = [], 0
                while watcher.buffer and size < _CHUNK:
                    piece = encoder.frame(watcher.buffer.popleft())
                    pieces.append(piece)
                    size += len(piece)
                yield pieces[0] if len(pieces) == 1 else b"".join(pieces)
            elif watcher.stopped:
                break
            elif not woken and self._bookmarks and time.monotonic() >= bookmark:
                # The buffer is empty, so everything up to the storage's revision has been told.
                yield encoder.bookmark(storage.revision)
                bookmark = time.monotonic() + _BOOKMARK_INTERVAL * random.uniform(0.8, 1.2)


def handle(op: operation.Operation, asked: request.Request) -> request.Response:
    offers = response.offers_of(op.resource, watch=True)
    media = response.negotiate(asked.header("accept"), offers)
    chosen = selection.of(op, asked)
    versions.validate(asked, watching=True)
    encoder = _Encoder(op, asked, media)
    headers = [("Cache-Control", "no-cache, private"), ("Content-Type", media.header(stream=True))]
    try:
        stream = open_stream(op, asked, encoder, chosen)
    except versions.MalformedVersion as malformed:
        raise malformed.unexpected() from None
    except (errors.Expired, errors.Timeout, errors.InternalError) as refusal:
        # Once a request is accepted, upstream tells what is wrong with it in the stream.
        return request.Response(200, headers, iter([encoder.of_object("ERROR", refusal.status())]))
    stream.follow_rights(asked)
    connection = asked.environ.get("wire.connection")
    if connection is not None:
        connection.on_gone(stream.watcher.stop)
    return request.Response(200, headers, stream)


def open_stream(
    op: operation.Operation, asked: request.Request, encoder: _Encoder, chosen: selection.Selection
) -> Stream:
    """Raises 400, 410 and 504."""
    revision = versions.parse(asked.param("resourceVersion"))
    asks_initial = options.boolean(asked, "sendInitialEvents")
    bookmarks = options.boolean(asked, "allowWatchBookmarks")
    legacy = "sendInitialEvents" not in asked.query and not asked.param("resourceVersionMatch") and not revision
    # A watch from nowhere is one that wants what there is first, and the bookmark after it if it takes bookmarks.
    initial = asks_initial or legacy
    if asks_initial:
        versions.wait_for(op, revision)
    seconds = options.integer(asked, "timeoutSeconds")
    limit = op.server.config.min_watch_timeout * (1 + random.random())
    try:
        return Stream(
            op, chosen, encoder, revision=revision or op.server.storage.revision, initial=initial,
            initial_bookmark=initial and bookmarks, bookmarks=bookmarks,
            seconds=float(seconds) if seconds and seconds > 0 else limit,
        )  # fmt: skip
    except store.Compacted as problem:
        raise versions.too_old(revision, problem.oldest) from problem
    except store.Unavailable as problem:
        raise errors.internal(problem) from problem

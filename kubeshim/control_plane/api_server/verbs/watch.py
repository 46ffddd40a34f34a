"""WATCH: events as they happen, from a resourceVersion or from the state now.

    resourceVersion   without sendInitialEvents           with sendInitialEvents=true
    unset, "0"        as if it were true                  ADDED for what there is, a bookmark that says so (to who
                                                          allows bookmarks), then events
    N                 events after N; an ERROR event      as above, once the cache is at N
                      (410) if that is too old

A stream is one generator in its connection's greenlet. It sleeps on the watcher's buffer; the client's leaving, the
time limit, the server's stopping and a full buffer all end it. An event is encoded once for each representation and
kept in the event itself for the other watchers. A stream that begins with the initial events and their bookmark is
compressed for who accepts it, as upstream's; its events are compressed once for all watchers as well.
"""

import random
import time
from collections.abc import Iterator

from kubeshim.control_plane.api_server import open_watches, representations, request, response, stored, watch_cache
from kubeshim.control_plane.api_server.verbs import operation, options, selection, versions, watch_socket
from kubeshim.control_plane.cluster_store import store
from kubeshim.machinery import errors, objects
from kubeshim.machinery.codecs import frames, gzip_stream, json, negotiation, protobuf, zeros

_BOOKMARK_INTERVAL = 60.0
_INITIAL_EVENTS_END = "k8s.io/initial-events-end"
_CHUNK = 256 << 10


class _Encoder:
    """One representation of events. Of Tables only the first of a watch says what its columns are."""

    def __init__(self, op: operation.Operation, asked: request.Request, media: negotiation.MediaType) -> None:
        self._op, self._asked, self._media = op, asked, media
        self._plain = media.essence == negotiation.JSON and not media.kind
        self._protobuf = media.essence == negotiation.PROTOBUF
        self._is_table = media.kind == "Table"
        self._columns_told = False
        include = response.included(asked) if self._is_table else ""
        what = f"{op.resource.gvk} {op.resource.definition} {media.essence} {media.kind} {media.version} {include}"
        self.keys = {kind: f"{kind} {what}" for kind in ("ADDED", "MODIFIED", "DELETED")}
        """Under which an event keeps its frame of each kind."""

    def frame(self, seen: watch_cache.Seen) -> bytes:
        """The bytes of one event, made once."""
        kind, item, event = seen
        alone = self._is_table and not self._columns_told
        frame = None if alone else event.frames.get(self.keys[kind])
        if frame is None:
            frame = self.of(kind, self._op.server.storage.view(self._op.resource, item))
            if not alone:
                event.frames[self.keys[kind]] = frame
        return frame

    def packed(self, seen: watch_cache.Seen, frame: bytes) -> bytes:
        """The same compressed, made once as well."""
        if self._is_table:
            return gzip_stream.part(frame)
        key = self.keys[seen[0]] + " gzip"
        found = seen[2].frames.get(key)
        if found is None:
            found = seen[2].frames[key] = gzip_stream.part(frame)
        return found

    def of(self, kind: str, item: stored.Stored) -> bytes:
        if self._plain:
            return frames.json_frame(kind, item.bytes)
        if self._protobuf:
            body = representations.enveloped(self._op.resource, item, self._media)
            if body is not None:
                return frames.protobuf_frame(kind, body)
        return self.of_object(kind, item.obj)

    def of_object(self, kind: str, obj: objects.Object) -> bytes:
        if self._media.kind and kind != "ERROR":
            obj = response.convert_event(self._asked, self._op.server, self._op.resource, self._media, obj)
        if self._is_table and kind != "ERROR":
            # The columns are told once a stream.
            if self._columns_told:
                obj["columnDefinitions"] = None
            self._columns_told = True
        if self._protobuf:
            return frames.protobuf_frame(kind, protobuf.encode(obj))
        return frames.json_frame(kind, json.encode(obj))

    def bookmark(self, revision: int, *, initial: bool = False) -> bytes:
        metadata: dict[str, object] = {"resourceVersion": str(revision)}
        if initial:
            metadata["annotations"] = {_INITIAL_EVENTS_END: "true"}
        return self.of_object("BOOKMARK", zeros.bookmark(self._op.resource.gvk, metadata))


class Stream:
    """A watch being served."""

    def __init__(
        self, op: operation.Operation, chosen: selection.Selection, encoder: _Encoder, *, revision: int,
        initial: bool, bookmarks: bool, compressed: bool, seconds: float,
    ) -> None:  # fmt: skip
        self._op, self._encoder, self._bookmarks, self._seconds = op, encoder, bookmarks, seconds
        self._initial_bookmark = initial and bookmarks
        self._packing = gzip_stream.Stream() if compressed and self._initial_bookmark else None
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

    @property
    def compressed(self) -> bool:
        return self._packing is not None

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield b""
            for chunk in self._initial():
                yield self._pack(chunk)
            yield from self._live()
            if self._packing is not None:
                yield self._packing.end()
        except (errors.NotAcceptable, errors.InternalError):
            # A form that no single object has, or a version that cannot be had: the request was accepted, so all that
            # is left is to end.
            return
        finally:
            self.close()

    def follow_rights(self, asked: request.Request) -> None:
        """Ends when who asked may not watch any more."""
        self._open = self._op.server.open_watches.add(asked, self.watcher.stop)

    def stop(self) -> None:
        self.watcher.stop()

    def close(self) -> None:
        if self._open is not None:
            self._op.server.open_watches.remove(self._open)
        self._op.server.storage.unwatch(self._op.resource, self.watcher)

    def _initial(self) -> Iterator[bytes]:
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
            woken = watcher.wait_until(min(end, bookmark) if self._bookmarks else end)
            if watcher.buffer:
                yield self._buffered()
            elif watcher.stopped:
                break
            elif not woken and self._bookmarks and time.monotonic() >= bookmark:
                # The buffer is empty, so everything up to the storage's revision has been told.
                yield self._pack(encoder.bookmark(storage.revision))
                bookmark = time.monotonic() + _BOOKMARK_INTERVAL * random.uniform(0.8, 1.2)

    def _pack(self, content: bytes) -> bytes:
        """What nobody shares."""
        return content if self._packing is None else self._packing.add(content, gzip_stream.part(content))

    def _buffered(self) -> bytes:
        """What is in the buffer, as far as one chunk goes."""
        buffer, encoder, packing = self.watcher.buffer, self._encoder, self._packing
        pieces, size = [], 0
        while buffer and size < _CHUNK:
            seen = buffer.popleft()
            piece = encoder.frame(seen)
            if packing is not None:
                piece = packing.add(piece, encoder.packed(seen, piece))
            pieces.append(piece)
            size += len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)


class _Told:
    """A stream of one event."""

    def __init__(self, event: bytes) -> None:
        self._event = event

    def __iter__(self) -> Iterator[bytes]:
        yield self._event

    def stop(self) -> None:
        pass

    def close(self) -> None:
        pass


def handle(op: operation.Operation, asked: request.Request) -> request.Response:
    media = negotiation.negotiate_stream(asked.header("accept"), response.offers_of(op.resource))
    chosen = selection.of(op, asked)
    versions.validate(asked, watching=True)
    encoder = _Encoder(op, asked, media)
    headers = [("Cache-Control", "no-cache, private"), ("Content-Type", media.header(stream=True))]
    socket, binary = watch_socket.wanted(asked), media.essence == negotiation.PROTOBUF
    try:
        stream = open_stream(op, asked, encoder, chosen)
    except versions.MalformedVersion as malformed:
        raise malformed.unexpected() from None
    except (errors.Expired, errors.Timeout, errors.InternalError) as refusal:
        # Once a request is accepted, upstream tells what is wrong with it in the stream.
        told = _Told(encoder.of_object("ERROR", refusal.status()))
        return watch_socket.serve(asked, told, binary=binary) if socket else request.Response(200, headers, told)
    if socket:
        stream.follow_rights(asked)
        return watch_socket.serve(asked, stream, binary=binary)
    if stream.compressed:
        headers += [("Content-Encoding", "gzip"), ("Vary", "Accept-Encoding")]
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
            bookmarks=bookmarks, compressed=response.accepts_gzip(asked) and not watch_socket.wanted(asked),
            seconds=float(seconds) if seconds and seconds > 0 else limit,
        )  # fmt: skip
    except store.Compacted as problem:
        raise versions.too_old(revision, problem.oldest) from problem
    except store.Unavailable as problem:
        raise errors.internal(problem) from problem

"""One object as the cache holds it: its bytes first, everything else made from them when asked.

The store keeps an object's JSON without its resourceVersion, which is only known once the write is committed; ``kind``,
``apiVersion`` and ``metadata`` come first, so the resourceVersion is put in at a known offset without encoding again.
GET answers with these bytes and LIST joins them. The parsed form is kept for the objects used last only
(``_PARSED_LIMIT``): a cluster of thousands of pods would be several times as large as dictionaries.

The protobuf message is made when a client first asks for the object in that form, and then kept as long as the object
is: whoever wants protobuf (the genuine controllers, say) lists everything, and again. Where nobody does, it costs
nothing.

A ``Stored`` never changes. Its parsed form is shared: who wants to change it takes ``copy``.
"""

from collections import deque
from collections.abc import Callable, Mapping

import orjson

from kubeshim.machinery import objects, resources
from kubeshim.machinery.codecs import json, protobuf

_METADATA = b'"metadata":{'
_VERSION = b'"resourceVersion":"'
_FIRST = ("kind", "apiVersion", "metadata")
_PARSED_LIMIT = 1024
_VIEWS_LIMIT = 8
"""Versions and forms of one object that are kept."""
_parsed: deque["Stored"] = deque()

Convert = Callable[[resources.Resource, objects.Object], objects.Object]
"""From an object as stored to the same as ``resource`` serves it."""


class Stored:
    """An object at a revision."""

    __slots__ = ("_fields", "_labels", "_message", "_obj", "_offset", "_views", "bytes", "created", "key", "revision")

    def __init__(self, key: str, value: bytes, revision: int, created: int, obj: objects.Object | None = None) -> None:
        self.key = key
        """``namespace/name``, or the name alone in cluster scope."""
        self.revision = revision
        self.created = created
        offset = value.index(_METADATA) + len(_METADATA)
        self._offset = offset
        self.bytes = b'%b%b%d",%b' % (value[:offset], _VERSION, revision, value[offset:]) if revision else value
        """The object as JSON, its resourceVersion included, in the version it is stored in.

        What is not in the store yet (a dry run's creation) has revision 0 and no resourceVersion.
        """
        self._labels: Mapping[str, str] | None = None
        self._fields: tuple[Callable[[objects.Object], dict[str, str]], dict[str, str]] | None = None
        self._message: bytes | None = None
        self._views: dict[bytes, Stored | None] | None = None
        """None stands for this object itself."""
        self._obj = obj
        if obj is not None:
            metadata = obj["metadata"]
            metadata["resourceVersion"] = str(revision)
            self._labels = metadata.get("labels") or {}
            _remember(self)

    @property
    def head(self) -> bytes:
        """What stands before the metadata: kind and apiVersion."""
        return self.bytes[: self._offset]

    @property
    def obj(self) -> objects.Object:
        """The parsed object, shared: not to be changed."""
        obj = self._obj
        if obj is None:
            obj = self._obj = orjson.loads(self.bytes)
            _remember(self)
        return obj

    def message(self, gvk: resources.GroupVersionKind) -> bytes:
        """The object's protobuf message. ``gvk`` is its own, or for custom objects, which have none, the one of
        ``PartialObjectMetadata``."""
        message = self._message
        if message is None:
            obj = self._obj if self._obj is not None else orjson.loads(self.bytes)
            message = self._message = protobuf.encode_item(obj, gvk)
        return message

    @property
    def has_message(self) -> bool:
        """Whether ``message`` costs nothing."""
        return self._message is not None

    def copy(self) -> objects.Object:
        """The parsed object, the caller's own."""
        return orjson.loads(self.bytes)  # type: ignore[no-any-return]

    @property
    def labels(self) -> Mapping[str, str]:
        if self._labels is None:
            self._labels = objects.labels(self.obj)
        return self._labels

    @property
    def namespace(self) -> str:
        return self.key.rpartition("/")[0]

    @property
    def name(self) -> str:
        return self.key.rpartition("/")[2]

    def fields(self, extract: Callable[[objects.Object], dict[str, str]]) -> dict[str, str]:
        """What field selectors look at, extracted once; what that is may change with a definition."""
        if self._fields is None or self._fields[0] is not extract:
            self._fields = (extract, extract(self.obj))
        return self._fields[1]

    def value(self) -> bytes:
        """The object as it stands in the store: without its resourceVersion."""
        start = self._offset
        return self.bytes[:start] + self.bytes[start + len(_VERSION) + len(str(self.revision)) + 2 :]

    def at(self, revision: int) -> "Stored":
        """The same content under another resourceVersion: what an event of a deletion shows."""
        return Stored(self.key, self.value(), revision, self.created)

    def viewed(self, resource: resources.Resource) -> bool:
        """Whether ``view`` costs nothing."""
        head = head_of(resource.kind, resource.api_version)
        return bool(self._views) and head + resource.definition.encode() in (self._views or ())

    def view(self, resource: resources.Resource, convert: Convert) -> "Stored":
        """This object as ``resource`` serves it: itself, unless it is stored as another version or in another form."""
        head = head_of(resource.kind, resource.api_version)
        same = self.bytes.startswith(head)
        if same and not resource.definition:
            return self
        key = head + resource.definition.encode()
        if self._views is None or len(self._views) > _VIEWS_LIMIT:
            self._views = {}
        elif key in self._views:
            return self._views[key] or self
        obj = {**convert(resource, self.copy()), "kind": resource.kind, "apiVersion": resource.api_version}
        if same and obj == self.obj:
            # Not itself: an object that refers to itself is freed late.
            self._views[key] = None
            return self
        view = self._views[key] = Stored(self.key, encode(obj), self.revision, self.created)
        return view


def encode(obj: objects.Object) -> bytes:
    """An object as the store keeps it."""
    metadata = obj["metadata"]
    if "resourceVersion" in metadata:
        metadata = {key: value for key, value in metadata.items() if key != "resourceVersion"}
    # Sorted below the top, as Go writes maps: two writes of one content are one text, whatever came first in them.
    head = head_of(obj["kind"], obj["apiVersion"]) + json.encode(metadata, sort_keys=True)[1:]
    rest = {key: value for key, value in obj.items() if key not in _FIRST}
    return head + (b"," + json.encode(rest, sort_keys=True)[1:] if rest else b"}")


_heads: dict[tuple[str, str], bytes] = {}


def head_of(kind: str, api_version: str) -> bytes:
    """The first bytes of every encoded object of that type."""
    head = _heads.get((kind, api_version))
    if head is None:
        head = _heads[kind, api_version] = f'{{"kind":"{kind}","apiVersion":"{api_version}","metadata":{{'.encode()
    return head


def _remember(stored: Stored) -> None:
    _parsed.append(stored)
    if len(_parsed) > _PARSED_LIMIT:
        _parsed.popleft()._obj = None

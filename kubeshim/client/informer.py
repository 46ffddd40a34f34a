"""A cache of one type's objects, kept by list and watch, that tells its handlers what changed.

One thread lists, then watches from the list's resourceVersion. When a watch ends for whatever reason it is
resumed from the last version seen (bookmarks move that on while nothing changes); only when the server says
that version is too old (410) is the list fetched again, and then the difference to the cache is told as
events. So handlers miss nothing, whatever happens to the server in between, but they may see several changes
of one object as one: they are told states, not edges.

Handlers run in the informer's thread, one event at a time, in the order of their registration, and must be
quick: they enqueue keys. Objects are shared and must not be changed; copy first. ``managedFields`` are
dropped on the way in, because no controller reads them and they are a third of an object.

A handler that raises is logged and does not stop the others.
"""

import builtins
import functools
import logging
import random
import threading
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from kubeshim.client import rest, watching
from kubeshim.machinery import errors, objects
from kubeshim.machinery.objects import Object
from kubeshim.machinery.resources import GroupVersionResource

_log = logging.getLogger(__name__)

FIRST_DELAY, LAST_DELAY = 0.05, 5.0
"""Seconds between attempts to list or watch while the server cannot be reached."""
WATCH_SECONDS = 300, 600
"""How long a watch is asked for; a random number between, so that not all come back at once."""

Added = Callable[[Object], None]
Updated = Callable[[Object, Object], None]
Keys = Callable[[Object], Iterable[str]]


class Selector(Protocol):
    """What ``machinery.selectors`` makes of a label selector."""

    def matches(self, labels: Any, /) -> bool: ...


class Informer:
    """The cache. Reading is safe from any thread, and cheap."""

    def __init__(
        self,
        client: rest.Client,
        gvr: GroupVersionResource,
        *,
        namespace: str = "",
        label_selector: str = "",
        field_selector: str = "",
        metadata_only: bool = False,
    ) -> None:
        self.gvr = gvr
        self._client = client
        self._scope: dict[str, Any] = {
            "namespace": namespace,
            "label_selector": label_selector,
            "field_selector": field_selector,
            "metadata_only": metadata_only,
        }
        self._objects: dict[str, Object] = {}
        self._indexers: dict[str, Keys] = {}
        self._indexes: dict[str, dict[str, dict[str, Object]]] = {}
        self._handlers: list[_Handler] = []
        self._lock = threading.Lock()
        """Guards the cache; held only for dictionary work."""
        self._telling = threading.RLock()
        """Held while handlers are told of an event, so that one who joins late gets all events once."""
        self._stopped = threading.Event()
        self._synced = threading.Event()
        self._watch: watching.Watch | None = None
        self._thread: threading.Thread | None = None
        self._version = ""

    def add_handler(
        self, *, added: Added | None = None, updated: Updated | None = None, deleted: Added | None = None
    ) -> None:
        """Registers callbacks; what is cached already is told to ``added`` at once, in the calling thread."""
        handler = _Handler(added, updated, deleted)
        with self._telling:
            self._handlers.append(handler)
            for obj in self.list():
                handler.tell(None, obj)

    def add_index(self, name: str, keys: Keys) -> None:
        """Makes ``by_index(name, …)`` answer. ``keys`` must depend on nothing but its object.

        Those who share an informer may ask for the same index again.
        """
        with self._lock:
            if self._indexers.get(name) is keys:
                return
            self._indexers[name] = keys
            index: dict[str, dict[str, Object]] = {}
            for key, obj in self._objects.items():
                for value in keys(obj):
                    index.setdefault(value, {})[key] = obj
            self._indexes[name] = index

    def get(self, key: str) -> Object | None:
        """By ``namespace/name``, or the bare name where the type is of cluster scope."""
        return self._objects.get(key)

    def list(self, selector: Selector | None = None, *, namespace: str = "") -> "builtins.list[Object]":
        """Everything cached, or what ``selector`` (on labels) and ``namespace`` leave of it."""
        with self._lock:
            found = list(self._objects.values())
        if namespace:
            found = [obj for obj in found if objects.namespace(obj) == namespace]
        return [obj for obj in found if selector.matches(objects.labels(obj))] if selector else found

    def by_index(self, name: str, key: str) -> "builtins.list[Object]":
        with self._lock:
            return list(self._indexes[name].get(key, {}).values())

    def start(self) -> None:
        if self._thread is None:
            name = f"informer-{self.gvr.resource}"
            self._thread = threading.Thread(target=self._run, name=name, daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Ends the thread; what is cached stays readable."""
        self._stopped.set()
        watch = self._watch
        if watch is not None:
            watch.stop()

    def wait_for_sync(self, timeout: float | None = None) -> bool:
        return self._synced.wait(timeout)

    @property
    def synced(self) -> bool:
        """Whether the first list has been told to the handlers."""
        return self._synced.is_set()

    def _run(self) -> None:
        delay = FIRST_DELAY
        relist_from = "0"  # any state will do to begin with: the server may answer from its cache
        listed = False
        while not self._stopped.is_set():
            try:
                if not listed:
                    self._relist(relist_from)
                    listed = True
                self._follow()
                delay = FIRST_DELAY
                continue
            except (errors.Expired, errors.Gone):
                # Not older than what we have: "" asks for the newest.
                listed, relist_from = False, ""
                delay_now = 0.0 if delay == FIRST_DELAY else delay
            except errors.NotFound as error:  # the type is not served (any more)
                listed, delay_now = False, LAST_DELAY
                _log.debug("%s: %s", self.gvr.resource, error)
            except (errors.APIStatusError, OSError) as error:
                _log.info("cannot list or watch %s: %s", self.gvr.resource, error)
                delay_now = delay
            except Exception:
                _log.exception("unexpected answer to list or watch of %s", self.gvr.resource)
                listed, delay_now = False, delay
            delay = min(delay * 2, LAST_DELAY)
            self._stopped.wait(delay_now * random.uniform(0.8, 1.2))

    def _relist(self, version: str) -> None:
        found = self._client.list(self.gvr, resource_version=version, **self._scope)
        fresh = {objects.key(item): _trimmed(item) for item in found["items"]}
        with self._telling:
            for key in [key for key in list(self._objects) if key not in fresh]:
                self._set(key, None)
            for key, obj in fresh.items():
                self._set(key, obj)
        self._version = found["metadata"]["resourceVersion"]
        self._synced.set()

    def _follow(self) -> None:
        """Watches until the watch ends. Raises what opening it or an ERROR event raised."""
        watch = self._client.watch(
            self.gvr,
            resource_version=self._version,
            timeout=random.randint(*WATCH_SECONDS),
            allowWatchBookmarks=True,
            **self._scope,
        )
        self._watch = watch
        if self._stopped.is_set():
            watch.stop()
        quiet = True
        with watch:
            for kind, obj in watch:
                quiet = False
                if kind != "BOOKMARK":
                    with self._telling:
                        self._set(objects.key(obj), None if kind == "DELETED" else _trimmed(obj), last=obj)
                self._version = objects.resource_version(obj)
        if quiet:
            # A server that ends watches at once (as one that shuts down) must not be asked in a tight loop.
            self._stopped.wait(FIRST_DELAY)

    def _set(self, key: str, new: Object | None, last: Object | None = None) -> None:
        """Changes one key of the cache and tells the handlers. ``last`` is a deleted object's final state."""
        old = self._objects.get(key)
        if old is None and new is None:
            return
        if old is not None and new is not None and objects.resource_version(old) == objects.resource_version(new):
            return
        if old is not None and new is not None and objects.uid(old) != objects.uid(new):
            self._set(key, None)  # deleted and made again while we did not look
            old = None
        with self._lock:
            if new is None:
                del self._objects[key]
            else:
                self._objects[key] = new
            for name, keys in self._indexers.items():
                _reindex(self._indexes[name], key, keys, old, new)
        gone = last or old
        for handler in list(self._handlers):
            handler.tell(gone if new is None else old, new)


class _Handler:
    def __init__(self, added: Added | None, updated: Updated | None, deleted: Added | None) -> None:
        self._added, self._updated, self._deleted = added, updated, deleted

    def tell(self, old: Object | None, new: Object | None) -> None:
        try:
            if new is None:
                if self._deleted and old is not None:
                    self._deleted(old)
            elif old is None:
                if self._added:
                    self._added(new)
            elif self._updated:
                self._updated(old, new)
        except Exception:
            _log.exception("an informer's handler failed")


class Factory:
    """Informers shared by all controllers of a process: one list and one watch a type."""

    def __init__(self, client: rest.Client) -> None:
        self._client = client
        self._lock = threading.Lock()
        self._informers: dict[tuple[GroupVersionResource, tuple[tuple[str, Any], ...]], Informer] = {}
        self._started = False

    def informer(self, gvr: GroupVersionResource, **scope: Any) -> Informer:
        """The informer of that type and scope (``Informer``'s keywords); made at the first call."""
        with self._lock:
            key = gvr, tuple(sorted(scope.items()))
            if key not in self._informers:
                self._informers[key] = Informer(self._client, gvr, **scope)
                if self._started:
                    self._informers[key].start()
            return self._informers[key]

    def existing(self, gvr: GroupVersionResource) -> Informer | None:
        """The unrestricted informer of the type, if anybody asked for one."""
        with self._lock:
            return self._informers.get((gvr, ()))

    def start(self) -> None:
        with self._lock:
            self._started = True
            informers = list(self._informers.values())
        for informer in informers:
            informer.start()

    def stop(self) -> None:
        with self._lock:
            informers = list(self._informers.values())
        for informer in informers:
            informer.stop()

    def wait_for_sync(self, timeout: float | None = None) -> bool:
        with self._lock:
            informers = list(self._informers.values())
        return all(informer.wait_for_sync(timeout) for informer in informers)


def _reindex(index: dict[str, dict[str, Object]], key: str, keys: Keys, old: Object | None, new: Object | None) -> None:
    after = set(keys(new)) if new is not None else set()
    for value in set(keys(old)) - after if old is not None else ():
        entries = index.get(value)
        if entries is not None:
            entries.pop(key, None)
            if not entries:
                del index[value]
    for value in after:
        index.setdefault(value, {})[key] = new  # type: ignore[assignment]


def _trimmed(obj: Object) -> Object:
    obj["metadata"].pop("managedFields", None)
    return obj


by_namespace: Keys = functools.partial(lambda obj: (objects.namespace(obj),))
"""An index function most controllers want."""

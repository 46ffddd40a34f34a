"""The objects: a watch cache over the cluster store, and writes that return once the cache has seen them.

Reads come from the cache. That is linearizable while this server is the store's only writer: the store delivers a
batch's events before its outcomes, so nobody has an answer to a write that the cache does not show.

The store calls back in a thread of its own. What it says goes into ``_inbox``; one ``async_`` watcher wakes the loop,
which applies the events to the caches and then lets the waiting greenlets go, in the order of arrival.

Values written from here carry their parsed form along (``_written``, by identity of the bytes), so that an object is
parsed at most once on its way in.
"""

import copy
import dataclasses
import functools
import logging
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

import gevent
import gevent.hub
from gevent import event as gevent_event
from gevent import lock

from kubeshim.control_plane.api_server import native, object_size, reader, watch_cache
from kubeshim.control_plane.api_server import stored as kept
from kubeshim.control_plane.cluster_store import store as stores
from kubeshim.machinery import errors, objects, resources

_log = logging.getLogger(__name__)

Stored = kept.Stored
Items = list[kept.Stored]
Events = list[watch_cache.Event]
State = tuple[list[str], dict[str, kept.Stored]]
"""Sorted keys and the objects."""
_LOAD_PAGE = 5000
_YIELD_EVERY = 500
_FRESH_TIMEOUT = 3.0
_ROOT = "/registry/"
_FIRST_KEY = "/kubeshim/created"


class Stale(Exception):
    """The object is not at the revision a write expected; ``current`` is what is there, None if nothing is."""

    def __init__(self, current: Stored | None) -> None:
        super().__init__("the object has been modified")
        self.current = current


@dataclasses.dataclass(frozen=True, slots=True)
class Change:
    """What a subscriber is told; objects are shared, not to be changed."""

    kind: str
    """``ADDED``, ``MODIFIED`` or ``DELETED``."""
    obj: objects.Object
    previous: objects.Object | None


@dataclasses.dataclass(frozen=True, slots=True)
class Page:
    """A list, or a part of it."""

    items: Items
    revision: int
    next: str = ""
    """The key after which the next page begins; empty at the end."""
    remaining: int | None = None


def _as_stored(resource: resources.Resource, obj: objects.Object) -> objects.Object:
    return obj


class Converters(Protocol):
    """Who has objects of some types converted by other servers, which takes time."""

    def wanted(self, resource: resources.Resource) -> bool: ...

    def prepare(self, resource: resources.Resource, found: Iterable[objects.Object], *, everywhere: bool) -> None: ...


class Storage:
    """All objects of all types. Lives in the thread of the event loop that made it."""

    def __init__(
        self, registry: resources.Registry, store: stores.Store, *,
        to_storage: kept.Convert = _as_stored, from_storage: kept.Convert = _as_stored,
        converters: "Converters | None" = None,
    ) -> None:  # fmt: skip
        self.registry = registry
        self.store = store
        self.revision = 0
        """Everything up to here is in the caches."""
        self._compacted = 0
        """States before this revision are gone, though the caches might still know them: pages expire in time."""
        self.reader = reader.Reader(self)
        self._to_storage = to_storage
        self._from_storage = from_storage
        self._converters = converters
        self._caches: dict[str, watch_cache.Cache] = {}
        self._loading = lock.RLock()
        self._written: dict[int, objects.Object] = {}
        self._inbox: deque[tuple[Any, Any]] = deque()
        self._advanced = gevent_event.Event()
        self._hub = gevent.get_hub()
        self._wake = self._hub.loop.async_()
        self._wake.start(self._drain)

    def start(self) -> None:
        """Fills the caches of all registered types."""
        for resource in self.registry:
            self._caches.setdefault(resource.storage_prefix, watch_cache.Cache(resource.storage_prefix))
        at = self.store.subscribe(self._on_events)
        if not at:
            # A list of an empty store must not carry the resourceVersion 0, which means something else.
            self._commit(stores.Create(_FIRST_KEY, b"{}"), None)
        found: dict[str, list[Stored]] = {prefix: [] for prefix in self._caches}
        after = ""
        while at:
            page = self._in_thread(
                functools.partial(self.store.range, _ROOT, revision=at, limit=_LOAD_PAGE, after=after)
            )
            for record in page.records:
                prefix = self._prefix(record.key)
                if prefix:
                    found[prefix].append(self._stored(prefix, record))
            if not page.more:
                break
            after = page.records[-1].key
        for prefix, items in found.items():
            self._caches[prefix].load(items, at)
        self.revision = max(self.revision, at)

    def stop(self) -> None:
        """Ends every watch."""
        for cache in self._caches.values():
            for watcher in list(cache.watchers):
                watcher.stop()

    # --- reads ------------------------------------------------------------------------------------------------------

    def get(self, resource: resources.Resource, namespace: str, name: str) -> Stored | None:
        found = self.cache(resource).objects.get(f"{namespace}/{name}" if resource.namespaced else name)
        return found.view(resource, self._from_storage) if found is not None else None

    def list(
        self, resource: resources.Resource, namespace: str = "", *, matches: watch_cache.Matches | None = None,
        revision: int = 0, limit: int = 0, after: str = "",
    ) -> Page:  # fmt: skip
        """Objects in key order, now or as of ``revision``; ``matches`` sees them as stored.

        Raises ``store.Compacted`` or ``store.FutureRevision``. May give way to others while it filters.
        """
        cache = self.cache(resource)
        at = revision or self.revision
        if at < self._compacted:
            raise stores.Compacted(self._compacted)
        snapshot = cache.at(at)
        if snapshot is None and limit and matches is None:
            return self._page_from_store(resource, cache, namespace, at, limit, after)
        if snapshot is None:
            snapshot = self._snapshot_from_store(cache, at)
        keys, state = snapshot
        found = [state[key] for key in cache.in_scope(keys, namespace, after)]
        if matches is not None:
            self._prepare(resource, found)
        return self._page(resource, found, at, matches, limit)

    def _page(
        self, resource: resources.Resource, found: Items, at: int, matches: watch_cache.Matches | None,
        limit: int,
    ) -> Page:  # fmt: skip
        total = len(found)
        if matches is None:
            items = found[:limit] if limit else found
            more = len(items) < total
        else:
            items, more = Items(), False
            for index, item in enumerate(found, 1):
                if matches(item):
                    if limit and len(items) == limit:
                        more = True
                        break
                    items.append(item)
                if index % _YIELD_EVERY == 0:
                    gevent.sleep(0)
        remaining = total - len(items) if more and matches is None else None
        following = items[-1].key + "\0" if more else ""
        return Page(self.views(resource, items), at, following, remaining)

    def views(self, resource: resources.Resource, items: Items) -> Items:
        """Objects as ``resource`` serves them."""
        self._prepare(resource, items)
        head = kept.head_of(resource.kind, resource.api_version)
        convert = self._from_storage
        if resource.definition:
            return [item.view(resource, convert) for item in items]
        return [item if item.bytes.startswith(head) else item.view(resource, convert) for item in items]

    def view(self, resource: resources.Resource, item: Stored) -> Stored:
        return item.view(resource, self._from_storage)

    def _prepare(self, resource: resources.Resource, items: Items) -> None:
        """Has what another server must convert converted in one go."""
        converters = self._converters
        if converters is not None and converters.wanted(resource):
            missing = [item.copy() for item in items if not item.viewed(resource)]
            converters.prepare(resource, missing, everywhere=False)

    def _prepare_write(self, resource: resources.Resource, key: str, obj: objects.Object | None) -> None:
        """What is about to be written, and what it replaces, are told to watchers in every version at once."""
        converters = self._converters
        if converters is None or not converters.wanted(resource):
            return
        held = self.cache(resource).objects.get(key)
        found = [held.copy()] if held is not None else []
        if obj is not None:
            found.append(copy.deepcopy(obj))
        converters.prepare(resource, found, everywhere=True)

    def _page_from_store(
        self, resource: resources.Resource, cache: watch_cache.Cache, namespace: str, at: int, limit: int, after: str
    ) -> Page:
        """A page of a state older than the ring."""
        prefix = f"{cache.prefix}{namespace}/" if namespace else cache.prefix
        start = cache.prefix + after if after else ""
        found = self._in_thread(functools.partial(self.store.range, prefix, revision=at, limit=limit, after=start))
        items = [self._stored(cache.prefix, record) for record in found.records]
        following = items[-1].key + "\0" if found.more else ""
        remaining = found.count - len(items) if found.more else None
        return Page(self.views(resource, items), at, following, remaining)

    def _snapshot_from_store(self, cache: watch_cache.Cache, at: int) -> State:
        found = self._in_thread(functools.partial(self.store.range, cache.prefix, revision=at))
        state = {}
        for record in found.records:
            item = self._stored(cache.prefix, record)
            state[item.key] = item
        return list(state), state

    def compact(self, revision: int) -> None:
        """Forgets all states before ``revision``."""
        self._in_thread(functools.partial(self.store.compact, revision))
        self._compacted = max(self._compacted, revision)

    def wait_until(self, revision: int, timeout: float = _FRESH_TIMEOUT) -> bool:
        """Until the caches are at ``revision`` at least; False when the time is over."""
        with gevent.Timeout(timeout, False):
            while self.revision < revision:
                self._advanced.clear()
                self._advanced.wait()
        return self.revision >= revision

    # --- writes -----------------------------------------------------------------------------------------------------

    def create(
        self, resource: resources.Resource, obj: objects.Object, still: Callable[[], None] = lambda: None
    ) -> Stored:
        """Raises ``errors.AlreadyExists``. ``obj`` is the storage's from here on.

        ``still`` raises where the object must not be made any more: after it nothing is waited for. Writes are done
        in the order in which they come, so whoever deletes what was there after the reason for that finds it.
        """
        self.cache(resource)
        space, name = objects.namespace(obj), objects.name(obj)
        obj, value = self._encode(resource, obj)
        self._prepare_write(resource, objects.key(obj), obj)
        still()
        outcome = self._commit(stores.Create(resource.storage_key(space, name), value), obj)
        if isinstance(outcome, stores.KeyExists):
            raise errors.already_exists(resource.group, resource.plural, name)
        return self._done(resource, outcome, value, obj)

    def update(self, resource: resources.Resource, obj: objects.Object, revision: int) -> Stored:
        """Replaces the object if it is at ``revision``. Raises ``Stale``. ``obj`` is the storage's from here on."""
        self.cache(resource)
        space, name = objects.namespace(obj), objects.name(obj)
        obj, value = self._encode(resource, obj)
        self._prepare_write(resource, objects.key(obj), obj)
        outcome = self._commit(stores.Update(resource.storage_key(space, name), value, revision), obj)
        return self._done(resource, outcome, value, obj)

    def delete(self, resource: resources.Resource, item: Stored) -> Stored:
        """Takes the object away if it is at ``item``'s revision; returns its last state. Raises ``Stale``."""
        self.cache(resource)
        self._prepare_write(resource, item.key, None)
        key = resource.storage_prefix + item.key
        outcome = self._commit(stores.Delete(key, item.revision), None)
        return self._done(resource, outcome, b"", None)

    def _encode(self, resource: resources.Resource, obj: objects.Object) -> tuple[objects.Object, bytes]:
        if resource.stored_as is not None:
            target = self.registry.get(*resource.stored_as)
            obj = self._to_storage(resource, obj)
            obj = {
                **obj,
                "apiVersion": resource.stored_as.group_version,
                "kind": target.kind if target else obj["kind"],
            }
        value = kept.encode(obj)
        object_size.check(obj, value)
        return obj, value

    def _commit(self, operation: stores.Operation, obj: objects.Object | None) -> stores.Record | stores.StoreError:
        waiter = gevent.hub.Waiter(self._hub)
        value = getattr(operation, "value", None)
        if value is not None and obj is not None:
            self._written[id(value)] = obj
        try:
            self.store.submit(operation, functools.partial(self._on_reply, waiter))
            outcome: stores.Record | stores.StoreError = waiter.get()
        except stores.Overloaded as problem:
            raise errors.TooManyRequests(
                "the server has received too many requests and has asked us to try again later",
                details={"retryAfterSeconds": 1},
            ) from problem
        except stores.Unavailable as problem:
            raise errors.internal(problem) from problem
        finally:
            if value is not None:
                self._written.pop(id(value), None)
        if isinstance(outcome, stores.Unavailable):
            raise errors.internal(outcome) from outcome
        return outcome

    def _done(
        self, resource: resources.Resource, outcome: stores.Record | stores.StoreError, value: bytes,
        obj: objects.Object | None,
    ) -> Stored:  # fmt: skip
        prefix = resource.storage_prefix
        if isinstance(outcome, stores.PreconditionFailed):
            current = self._stored(prefix, outcome.current) if outcome.current else None
            raise Stale(self.view(resource, current) if current else None) from outcome
        assert isinstance(outcome, stores.Record), outcome
        live = self._caches[prefix].objects.get(outcome.key[len(prefix) :])
        if live is None or live.revision != outcome.mod_revision:
            live = self._stored(prefix, outcome)
        return self.view(resource, live)

    # --- watching ---------------------------------------------------------------------------------------------------

    def watch(
        self, resource: resources.Resource, namespace: str = "", *, after: int = 0,
        matches: watch_cache.Matches | None = None,
    ) -> watch_cache.Watcher:  # fmt: skip
        """Events after revision ``after`` (0: from now on). Close it with ``unwatch``. Raises ``store.Compacted``."""
        cache = self.cache(resource)
        watcher = watch_cache.Watcher(f"{namespace}/" if namespace else "", matches, cache.pace, after)
        if after:
            missed = cache.since(after)
            if missed is None:
                missed = self._missed(cache, after)
            for event in missed:
                watcher.offer(event)
        cache.watchers[watcher] = None
        return watcher

    def _missed(self, cache: watch_cache.Cache, after: int) -> Events:
        """Events older than the ring, from the store; those that came while it was read, from the ring."""
        found: Events = []
        while (newer := cache.since(after)) is None:
            # Reading takes its time: what has come meanwhile may have left the ring again, and is read then.
            read = self.revision
            old = self._in_thread(functools.partial(self.store.events, cache.prefix, after=after))
            found += [self._event(cache.prefix, event) for event in old if event.revision <= self.revision]
            after = max(read, found[-1].revision if found else after)
        return found + newer

    def count(self, resource: resources.Resource) -> int:
        """How many objects of a type there are, in all namespaces; 0 where nobody has asked for any yet."""
        cache = self._caches.get(resource.storage_prefix)
        return len(cache.objects) if cache is not None else 0

    def watchers(self) -> int:
        """How many watches are open."""
        return sum(len(cache.watchers) for cache in self._caches.values())

    def unwatch(self, resource: resources.Resource, watcher: watch_cache.Watcher) -> None:
        watcher.stop()
        cache = self._caches.get(resource.storage_prefix)
        if cache is not None:
            cache.watchers.pop(watcher, None)

    def end_watches(self, resource: resources.Resource) -> None:
        """Every watch of the type ends; its clients come back."""
        cache = self._caches.get(resource.storage_prefix)
        for watcher in list(cache.watchers) if cache is not None else ():
            watcher.stop()

    def subscribe(self, gvr: resources.GroupVersionResource, callback: Callable[[Change], None]) -> None:
        """Tells ``callback`` of every object there is (as ADDED) and then of every change, in the loop's thread.

        It must not wait. A write has been told to all subscribers before its writer goes on.
        """
        resource = self._resource(gvr)

        def observe(event: watch_cache.Event) -> None:
            try:
                previous = self.view(resource, event.previous).obj if event.previous else None
                callback(Change(event.kind, self.view(resource, event.stored).obj, previous))
            except Exception:
                _log.exception("a subscriber to %s failed", resource.group_resource)

        cache = self.cache(resource)
        for item in list(cache.objects.values()):
            callback(Change("ADDED", self.view(resource, item).obj, None))
        cache.observers.append(observe)

    # --- the caches -------------------------------------------------------------------------------------------------

    def cache(self, resource: resources.Resource) -> watch_cache.Cache:
        """The type's cache, filled. Waits for the store where the type is new."""
        cache = self._caches.get(resource.storage_prefix)
        if cache is not None and cache.loaded:
            return cache
        with self._loading:
            cache = self._caches.setdefault(resource.storage_prefix, watch_cache.Cache(resource.storage_prefix))
            if not cache.loaded:
                found = self._in_thread(functools.partial(self.store.range, cache.prefix))
                cache.load([self._stored(cache.prefix, record) for record in found.records], found.revision)
        return cache

    def _resource(self, gvr: resources.GroupVersionResource) -> resources.Resource:
        resource = self.registry.get(*gvr)
        if resource is None:
            raise LookupError(f"no such resource: {gvr}")
        return resource

    def _prefix(self, key: str) -> str:
        """The cache a key belongs to: ``/registry/pods/`` or ``/registry/apps/deployments/``; empty if none."""
        if not key.startswith(_ROOT):
            return ""
        first, _, rest = key[len(_ROOT) :].partition("/")
        prefix = f"/registry/{first}/"
        if prefix in self._caches:
            return prefix
        prefix = f"{prefix}{rest.partition('/')[0]}/"
        return prefix if prefix in self._caches else ""

    def _stored(self, prefix: str, record: stores.Record) -> Stored:
        obj = self._written.get(id(record.value))
        return Stored(record.key[len(prefix) :], record.value, record.mod_revision, record.create_revision, obj)

    def _event(self, prefix: str, event: stores.Event) -> watch_cache.Event:
        previous = event.previous
        before = self._caches[prefix].objects.get(event.key[len(prefix) :])
        if previous is not None and (before is None or before.revision != previous.mod_revision):
            before = self._stored(prefix, previous)
        if event.record is None:
            assert before is not None
            return watch_cache.Event("DELETED", event.revision, before.at(event.revision), before)
        now = self._stored(prefix, event.record)
        kind = "ADDED" if previous is None else "MODIFIED"
        return watch_cache.Event(kind, event.revision, now, before if previous is not None else None)

    def _in_thread(self, work: Callable[[], Any]) -> Any:
        return native.run(work)

    # --- what the store says ----------------------------------------------------------------------------------------

    def _on_events(self, events: Sequence[stores.Event]) -> None:
        self._inbox.append((None, events))
        self._wake.send()

    def _on_reply(self, waiter: Any, outcome: stores.Record | stores.StoreError) -> None:
        self._inbox.append((waiter, outcome))
        self._wake.send()

    def _drain(self) -> None:
        """In the hub: apply what is in the inbox and wake who waits."""
        inbox = self._inbox
        while inbox:
            waiter, said = inbox.popleft()
            if waiter is None:
                self._apply(said)
            else:
                waiter.switch(said)

    def _apply(self, events: Iterable[stores.Event]) -> None:
        for event in events:
            prefix = self._prefix(event.key)
            if prefix:
                try:
                    self._caches[prefix].apply(self._event(prefix, event))
                except Exception:
                    _log.exception("cannot apply revision %d of %s", event.revision, event.key)
            self.revision = event.revision
        self._advanced.set()

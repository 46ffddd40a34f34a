"""What all controllers are: informers fill a queue with keys, workers bring each key's world in order.

Handlers only enqueue. ``sync`` reads the present state (from caches), decides, and acts; it is told nothing of
what happened, so it may be called at any time and as often as one likes. What goes wrong is retried here, with a
delay that doubles per key; a Conflict is no failure, only a cache that is behind. A controller starts with one
worker and adds others, up to ``workers``, while keys are waiting: most are idle most of the time.
"""

from __future__ import annotations

import dataclasses
import logging
import threading
from collections.abc import Callable, Iterable
from typing import ClassVar

from kubeshim import clock
from kubeshim.client import informer as informers
from kubeshim.client import recorder, rest, workqueue
from kubeshim.control_plane.controller_manager import config, metrics
from kubeshim.machinery import errors, objects
from kubeshim.machinery.objects import Object
from kubeshim.machinery.resources import GroupVersionResource

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, slots=True)
class Context:
    """What a controller is given."""

    client: rest.Client
    informers: informers.Factory
    options: config.Options
    recorders: Callable[[str], recorder.Recorder]
    """The recorder that writes as that component (``deployment-controller``)."""
    clock: clock.Clock = clock.SYSTEM
    metrics: metrics.Metrics = dataclasses.field(default_factory=metrics.Metrics)


class _Observed:
    """Hands what a queue tells on, under its name."""

    def __init__(self, name: str, work: metrics.Work) -> None:
        self._name, self._work = name, work

    def waited(self, seconds: float) -> None:
        self._work.waited(self._name, seconds)

    def worked(self, seconds: float) -> None:
        self._work.worked(self._name, seconds)


class Controller:
    """Base of all controllers: the queue and its workers."""

    name: ClassVar[str]
    """As in ``--controllers``; the component of its events is this with ``-controller``, unless ``component`` says."""
    component: ClassVar[str] = ""
    workers: ClassVar[int] = 2

    def __init__(self, context: Context) -> None:
        self.context = context
        self.client = context.client
        self.clock = context.clock
        self.recorder = context.recorders(self.component or f"{self.name}-controller")
        self.metrics = context.metrics
        self.queue: workqueue.RateLimitingQueue[str] = workqueue.RateLimitingQueue()
        self.queue.observer = _Observed(metrics.queue_name(self.name), context.metrics.work)
        self._informers: list[informers.Informer] = []
        self._own: list[informers.Informer] = []
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._stopped = threading.Event()
        self.register()

    def register(self) -> None:
        """Asks for informers and adds handlers."""
        raise NotImplementedError

    def sync(self, key: str) -> float | None:
        """Brings ``key`` in order; a number asks to be called again in so many seconds."""
        raise NotImplementedError

    def figures(self) -> Iterable[str]:
        """What there is of its kind now, for metrics."""
        return ()

    def informer(self, gvr: GroupVersionResource) -> informers.Informer:
        """The shared informer of ``gvr``; workers start when it has synced."""
        found = self.context.informers.informer(gvr)
        if found not in self._informers:
            self._informers.append(found)
        return found

    def own_informer(self, gvr: GroupVersionResource, *, namespace: str, field_selector: str) -> informers.Informer:
        """An informer nobody shares, of a part of what there is; it lives as long as the controller."""
        found = informers.Informer(self.client, gvr, namespace=namespace, field_selector=field_selector)
        self._informers.append(found)
        self._own.append(found)
        return found

    def enqueue(self, obj: Object) -> None:
        self.queue.add(objects.key(obj))

    def watch(self, gvr: GroupVersionResource) -> informers.Informer:
        """An informer whose every event enqueues its object."""
        found = self.informer(gvr)
        found.add_handler(added=self.enqueue, updated=lambda _, new: self.enqueue(new), deleted=self.enqueue)
        return found

    def start(self) -> None:
        self.queue.on_crowded = self._spawn
        for one in self._own:
            one.start()
        self._spawn()

    def stop(self) -> None:
        """What is queued is left to whoever comes next: he may have begun already."""
        self._stopped.set()
        self.queue.shut_down()
        for one in self._own:
            one.stop()

    def _spawn(self) -> None:
        with self._lock:
            if len(self._threads) < self.workers:
                thread = threading.Thread(target=self._run, name=f"{self.name}-{len(self._threads)}", daemon=True)
                self._threads.append(thread)
                thread.start()

    def _run(self) -> None:
        for one in self._informers:
            one.wait_for_sync()
        self.queue.serve(self._handle)

    def _handle(self, key: str) -> None:
        if self._stopped.is_set():
            return
        if len(self._threads) < self.workers and len(self.queue):
            self._spawn()
        try:
            again = self.sync(key)
        except errors.Conflict as error:
            _log.debug("%s: %s: %s", self.name, key, error)
            self.queue.add_rate_limited(key)
        except (errors.APIStatusError, OSError) as error:
            _log.info("%s: %s, will be tried again: %s", self.name, key, error)
            self.queue.add_rate_limited(key)
        except Exception:
            _log.exception("%s: %s failed, will be tried again", self.name, key)
            self.queue.add_rate_limited(key)
        else:
            self.queue.forget(key)
            if again is not None:
                self.queue.add_after(key, again)

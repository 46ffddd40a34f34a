"""Watches what routes are made of, hands HAProxy the files, and tells Ingresses at which address they answer."""

import logging
import math
import threading
import time
from collections.abc import Mapping
from typing import Any

from kubeshim.addons.ingress import haproxy, process, routes
from kubeshim.client import informer, kinds, recorder, rest
from kubeshim.machinery import errors, objects
from kubeshim.machinery.objects import Object

_log = logging.getLogger(__name__)

SETTLE_SECONDS = 0.05
"""So long a burst of changes is gathered before the first reload."""
RELOAD_SECONDS = 0.5
"""Between two reloads at least: each starts a process."""
RETRY_SECONDS = 5.0
_SYNC_SECONDS = 60.0


class Controller:
    """``address`` is where the listening sockets are reached. ``run`` returns when told to or when HAProxy ended."""

    def __init__(
        self, client: rest.Client, proxy: process.Proxy, settings: haproxy.Settings, address: str, host: str
    ) -> None:
        self._client, self._proxy, self._settings, self._address = client, proxy, settings, address
        self._recorder = recorder.Recorder(client, "kubeshim-ingress", host)
        self._changed, self._stopped = threading.Event(), threading.Event()
        self._ingresses = informer.Informer(client, kinds.INGRESSES)
        self._classes = informer.Informer(client, kinds.INGRESS_CLASSES)
        self._services = informer.Informer(client, kinds.SERVICES)
        self._slices = informer.Informer(client, kinds.ENDPOINT_SLICES)
        self._secrets = informer.Informer(client, kinds.SECRETS)
        self._all = (self._ingresses, self._classes, self._services, self._slices, self._secrets)
        self._told: set[routes.Problem] = set()

    def run(self) -> bool:
        """Whether it ended because it was told to."""
        for source in self._all:
            source.start()
        try:
            for source in self._all:
                if not source.wait_for_sync(_SYNC_SECONDS):
                    _log.error("no %s from the API server within %.0f s", source.gvr.resource, _SYNC_SECONDS)
                    return False
            for source in self._all:
                source.add_handler(added=self._note, updated=lambda _, new: self._note(new), deleted=self._note)
            self._follow()
        finally:
            for source in self._all:
                source.stop()
            ended = self._proxy.ended
            self._proxy.stop()
            self._recorder.stop()
        return not ended

    def stop(self) -> None:
        """Makes ``run`` return; from a signal handler, too."""
        self._stopped.set()
        self._changed.set()

    def _note(self, _obj: Object) -> None:
        self._changed.set()

    def _follow(self) -> None:
        """A pass for every burst of changes, and another where one did not succeed."""
        self._changed.set()
        retry_at = math.inf
        while not self._stopped.is_set() and not self._proxy.ended:
            # HAProxy's end and what is to be tried again are looked for once a second
            if not self._changed.wait(1.0) and time.monotonic() < retry_at:
                continue
            if self._stopped.wait(SETTLE_SECONDS):
                return
            self._changed.clear()
            retry_at = math.inf if self._sync() else time.monotonic() + RETRY_SECONDS

    def _sync(self) -> bool:
        """False where something has to be tried again."""
        ingresses, classes = self._ingresses.list(), self._classes.list()
        table = routes.build(ingresses, classes, self._services.list(), self._slices.list(), self._secrets.list())
        try:
            reloaded = self._proxy.take(haproxy.files(table, self._settings))
        except process.Refused as error:
            _log.error("HAProxy refuses its configuration and goes on with the one before: %s", error)
            return False
        self._tell(table)
        ours = {objects.key(entry) for entry in routes.in_order(ingresses, classes)}
        written = [self._set_status(ingress, objects.key(ingress) in ours) for ingress in ingresses]
        if reloaded:
            _log.info("HAProxy serves %d hosts, %d backends", len(table.hosts), len(table.backends))
            self._stopped.wait(RELOAD_SECONDS)
        return all(written)

    def _tell(self, table: routes.Routes) -> None:
        """An event for each problem that was not there before."""
        for problem in table.problems:
            ingress = self._ingresses.get(problem.ingress)
            if problem not in self._told and ingress is not None:
                self._recorder.event(ingress, "Warning", problem.reason, problem.message)
        self._told = set(table.problems)

    def _set_status(self, ingress: Object, ours: bool) -> bool:
        patch = status_patch(ingress, self._address, ours=ours)
        if patch is None:
            return True
        try:
            name, space = objects.name(ingress), objects.namespace(ingress)
            self._client.patch(kinds.INGRESSES, name, patch, space, subresource="status")
        except errors.NotFound:
            return True
        except (errors.APIStatusError, rest.Unreachable) as error:
            _log.warning("cannot write the status of ingress %s: %s", objects.key(ingress), error)
            return False
        return True


def status_patch(ingress: Object, address: str, *, ours: bool) -> dict[str, Any] | None:
    """What to merge so that our Ingresses show the address and others do not; None where that is so."""
    shown: list[Mapping[str, Any]] = objects.dig(ingress, "status", "loadBalancer", "ingress") or []
    wanted = [{"ip": address}]
    if ours:
        return None if shown == wanted else {"status": {"loadBalancer": {"ingress": wanted}}}
    return {"status": {"loadBalancer": {"ingress": None}}} if shown == wanted else None

"""Whether other servers answer: the ``Available`` condition of their APIServices, and what they say they serve.

One loop. A registration is looked at when it appears or changes, when its Service or endpoints do, when a request
failed to reach it, and by the clock: every ``PERIOD`` seconds, after a failure sooner. Looking is resolving the
Service and reading the group-version's discovery document.
"""

import logging
import time
from typing import TYPE_CHECKING

import orjson
from gevent import event as gevent_event
from gevent import pool

from kubeshim import clock
from kubeshim.control_plane.api_server import storage as storages
from kubeshim.control_plane.api_server.aggregation import aggregator, backend, endpoints
from kubeshim.control_plane.api_server.aggregation import registration as registrations
from kubeshim.control_plane.api_server.subresources import proxy_targets
from kubeshim.machinery import errors, objects

if TYPE_CHECKING:
    from kubeshim.control_plane.api_server import server as servers

_log = logging.getLogger(__name__)
PERIOD = 10.0
FIRST_RETRY, LAST_RETRY = 0.25, 5.0
_AT_ONCE = 8


def run(server: "servers.Server") -> None:
    Checks(server).run()


class Checks:
    """When each registration is looked at next, by its name (seconds of the monotonic clock)."""

    def __init__(self, server: "servers.Server") -> None:
        self._server = server
        self._due: dict[str, float] = {}
        self._delays: dict[str, float] = {}
        self._wake = gevent_event.Event()

    def run(self) -> None:
        server = self._server
        server.aggregation.look_again = self.soon
        for gvr in (proxy_targets.SERVICES, proxy_targets.SLICES):
            server.storage.subscribe(gvr, self._follow)
        for registration in list(server.aggregation.remote.values()):
            self.soon(registration.name)
        while not server.stopping.is_set():
            self._wake.wait(self._rest())
            self._wake.clear()
            now = time.monotonic()
            workers = pool.Pool(_AT_ONCE)
            for name in [name for name, moment in self._due.items() if moment <= now]:
                del self._due[name]
                workers.spawn(self._look, name)
            workers.join()

    def soon(self, name: str) -> None:
        self._due[name] = 0.0
        self._wake.set()

    def _rest(self) -> float:
        """Seconds until something is due; bounded, so that the end of the server is noticed."""
        nearest = min(self._due.values(), default=time.monotonic() + 1.0)
        return min(max(nearest - time.monotonic(), 0.0), 1.0)

    def _follow(self, change: storages.Change) -> None:
        remote = self._server.aggregation.remote
        if not remote:
            return
        name = objects.labels(change.obj).get(proxy_targets.SERVICE_LABEL) or objects.name(change.obj)
        for registration in remote.values():
            if (registration.namespace, registration.service) == (objects.namespace(change.obj), name):
                self.soon(registration.name)

    def _look(self, name: str) -> None:
        registration = self._server.aggregation.by_name(name)
        if registration is None:
            self._delays.pop(name, None)
            return
        try:
            condition = look(self._server, registration)
            write(self._server, name, condition)
        except errors.Conflict:
            self.soon(name)
            return
        except errors.NotFound:
            return
        except Exception:
            _log.exception("the availability of %s could not be decided", name)
            condition = endpoints.Condition("Unknown", "", "")
        if condition.status == "True":
            self._delays.pop(name, None)
            delay = PERIOD
        else:
            delay = self._delays.get(name, FIRST_RETRY)
            self._delays[name] = min(delay * 2, LAST_RETRY)
        self._due.setdefault(name, time.monotonic() + delay)


def look(server: "servers.Server", registration: registrations.Registration) -> endpoints.Condition:
    """Asks the server what it serves, keeps the answer, and says how it went."""
    try:
        address = endpoints.find(server, registration)
    except endpoints.NoEndpoint as missing:
        return missing.condition
    url = f"https://{backend.shown(address)}{registration.path}"
    try:
        status, body = backend.fetch(server, registration, address, registration.path)
        if not 200 <= status < 300:
            raise backend.Unreachable(f"bad status from {url}: {status}")
    except backend.Unreachable as problem:
        return endpoints.Condition(
            "False", "FailedDiscoveryCheck", f"failing or missing response from {url}: {problem}"
        )
    held = server.aggregation.told.get(registration.key)
    listed = _resources(body)
    if held is None or held.resources != listed or not held.openapi:
        # It may not have been able to say yet: who has told of no documents is asked again.
        openapi = _openapi(server, registration, address)
        server.aggregation.tell(registration, aggregator.Told(listed, openapi))
    return endpoints.PASSED


def _resources(body: bytes) -> tuple[dict[str, object], ...]:
    """Entries of an APIResourceList; nothing of what is none, as upstream takes any success for available."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return ()
    listed = document.get("resources") if isinstance(document, dict) else None
    return tuple(entry for entry in listed or () if isinstance(entry, dict) and entry.get("name"))


def _openapi(
    server: "servers.Server", registration: registrations.Registration, address: tuple[str, int]
) -> tuple[tuple[str, str], ...]:
    """The documents of the group-version that the server's OpenAPI v3 index lists; many have none."""
    try:
        status, body = backend.fetch(server, registration, address, "/openapi/v3")
        paths = orjson.loads(body).get("paths") if status == 200 else None
    except (backend.Unreachable, orjson.JSONDecodeError, AttributeError):
        return ()
    path = registration.path.removeprefix("/")
    entry = (paths or {}).get(path)
    return (
        ((path, str(entry["serverRelativeURL"])),) if isinstance(entry, dict) and "serverRelativeURL" in entry else ()
    )


def write(server: "servers.Server", name: str, condition: endpoints.Condition) -> None:
    """Into the object's status, if it says otherwise. Raises ``errors.Conflict`` and ``errors.NotFound``."""
    held = server.client.get(aggregator.API_SERVICES, name)
    known = objects.condition(held, "Available") or {}
    if (known.get("status"), known.get("reason"), known.get("message")) == (
        condition.status, condition.reason, condition.message,
    ):  # fmt: skip
        return
    since = known.get("lastTransitionTime")
    if known.get("status") != condition.status or not since:
        since = clock.rfc3339(server.clock.now())
    made = {"type": "Available", "lastTransitionTime": since, "status": condition.status, "reason": condition.reason,
            "message": condition.message}  # fmt: skip
    conditions = list(objects.dig(held, "status", "conditions", default=()))
    place = next((at for at, entry in enumerate(conditions) if entry.get("type") == "Available"), len(conditions))
    conditions[place : place + 1] = [made]
    held["status"] = {**(held.get("status") or {}), "conditions": conditions}
    server.client.update(aggregator.API_SERVICES, held, subresource="status")

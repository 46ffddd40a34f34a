"""The API server put together: store, caches, rules, identity, application, sockets.

``build`` makes a ``Server`` over a store, ready to answer; ``run`` serves it on sockets until SIGTERM. Whoever needs
something of the server (filters, verbs, subresources, background work) is handed the ``Server`` and takes it from
there; nothing is global.
"""

import gc
import logging
import pathlib
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from typing import Any

import gevent
from gevent import event as gevent_event

from kubeshim import clock
from kubeshim.control_plane.api_server import (
    app,
    documents,
    health,
    local,
    locks,
    metrics,
    native,
    open_watches,
    scale_paths,
    storage,
)
from kubeshim.control_plane.api_server import config as configuration
from kubeshim.control_plane.api_server.admission import chain
from kubeshim.control_plane.api_server.aggregation import aggregator
from kubeshim.control_plane.api_server.authentication import impersonation, issuer
from kubeshim.control_plane.api_server.authentication import wiring as authentication
from kubeshim.control_plane.api_server.authorization import wiring as authorization
from kubeshim.control_plane.api_server.background import hooks
from kubeshim.control_plane.api_server.background import table as background
from kubeshim.control_plane.api_server.custom_resources import catalog
from kubeshim.control_plane.api_server.flow_control import controller as flow_controller
from kubeshim.control_plane.api_server.strategies import service
from kubeshim.control_plane.api_server.strategies import strategy as strategies
from kubeshim.control_plane.api_server.strategies import table as strategy_table
from kubeshim.control_plane.cluster_store import memory, sqlite, store
from kubeshim.machinery import builtin, resources, schemas
from kubeshim.wire import http_server, transport

_log = logging.getLogger(__name__)

_BOOTSTRAP_SECONDS = 10.0
_SWITCH_INTERVAL = 0.0005
"""Seconds a busy loop may keep the interpreter from the store's thread; Python's default of 5 ms would show in every
commit."""

_COLLECT = (20_000, 50, 1000)
_COLLECT_FIRST, _COLLECT_PERIOD = 5.0, 60.0
"""Objects here are trees that counting frees; a full search for cycles through all that is cached takes a third of a
second in which nobody is answered. So full searches are made once a period, and what they have looked at is set aside
(``gc.freeze``): the next one only looks at what has come since. None is made before the server answers."""


class Server:
    """One API server's parts. ``start`` fills the caches; then ``application`` answers."""

    def __init__(
        self, config: configuration.Config, store: store.Store, time_source: clock.Clock = clock.SYSTEM
    ) -> None:
        self.config = config
        self.store = store
        self.clock = time_source
        self.registry = resources.Registry(builtin.load())
        self.custom_schemas: dict[resources.GroupVersionKind, schemas.Schema] = {}
        """Schemas of custom resources; whoever adds a type to the registry adds its schema first."""
        self.custom_openapi: dict[resources.GroupVersionKind, dict[str, Any]] = {}
        """The same as they are published."""
        self.custom = catalog.Catalog(self)
        self._strategies = strategy_table.table(config.service_range.split(","), config.node_ports, self.custom)
        self._schemas: dict[resources.GroupVersionKind, schemas.Schema] = {}
        self.registry.on_change(self._schemas.clear)
        self.storage = storage.Storage(
            self.registry, store,
            to_storage=lambda resource, obj: self.strategy(resource).to_storage(resource, obj),
            from_storage=lambda resource, obj: self.strategy(resource).from_storage(resource, obj),
            converters=self.custom.conversions,
        )  # fmt: skip
        self.locks = locks.Locks()
        self.metrics = metrics.Metrics()
        self.health = health.Health(self)
        self.aggregation = aggregator.Aggregator(self)
        self.flow_control = flow_controller.FlowControl(self)
        self.open_watches = open_watches.OpenWatches(self)
        self.documents = documents.Documents(self)
        self.scale_paths: dict[resources.GroupVersionKind, scale_paths.Paths] = {}
        """Where custom types keep their replicas."""
        self.client = local.LocalClient(self)
        self.stopping = gevent_event.Event()
        """Set when the server begins to stop; background work ends with it."""
        self.bootstrapped = gevent_event.Event()
        """Set when what every cluster must hold has been looked over once."""
        self.started = False
        self.working: set[Callable[[Server], None]] = set()
        """The background work that is running, or done."""
        self.admission: chain.Chain
        self.authenticators: Any = None
        self.authorizer: Any = None
        self.impersonation = impersonation.Impersonation()
        self.openid: issuer.Documents | None = None
        self.application = app.App(self)

    def start(self, *, authenticator: Any = None, authorizer: Any = None) -> None:
        """Loads the state; ``authenticator`` and ``authorizer`` replace the configured ones in tests."""
        self.storage.start()
        self.custom.start()
        self.aggregation.start()
        self.flow_control.start()
        self._follow_services()
        self.admission = chain.Chain(self.storage.reader, self.config, self)
        self.authorizer = authorizer or authorization.build(self.config, self.storage)
        self.authenticators = authenticator or authentication.build(self.config, self.storage, self.client)
        if authenticator is None:
            address = f"https://{self.config.advertise_address}:{self.config.advertise_port}"
            self.openid = issuer.Documents(self.config.token_issuer, address, self.authenticators.public_keys)
        self.started = True

    def _follow_services(self) -> None:
        """Lets the Services' strategy know what is taken."""
        services = strategy_table.service_strategy(self._strategies)
        services.count()
        self.storage.subscribe(
            service.SERVICES,
            lambda change: services.follow(change.obj, change.previous, gone=change.kind == "DELETED"),
        )
        self.storage.subscribe(
            service.ADDRESSES, lambda change: services.follow_address(change.obj, gone=change.kind == "DELETED")
        )

    def strategy(self, resource: resources.Resource) -> strategies.Strategy:
        return self._strategies[resource.strategy]

    def schema(self, gvk: resources.GroupVersionKind) -> schemas.Schema:
        """Raises ``LookupError`` for a kind nobody knows."""
        found = self._schemas.get(gvk)
        if found is None:
            found = self.custom_schemas.get(gvk) or schemas.definitions().schema(gvk)
            if found is None:
                raise LookupError(f"no schema of {gvk}")
            self._schemas[gvk] = found
        return found

    def in_thread(self, work: Callable[..., Any], *arguments: Any) -> Any:
        """Runs what would hold up the loop in a native thread, and waits for it."""
        return native.run(work, *arguments)

    def start_background(self) -> None:
        hooks.install(self)
        for work in background.WORK:
            gevent.spawn(self._guarded, work)

    def _guarded(self, work: Callable[["Server"], None]) -> None:
        """Background work goes on after a failure, for as long as the server runs."""
        while not self.stopping.is_set():
            try:
                self.working.add(work)
                work(self)
                return
            except Exception:
                self.working.discard(work)
                _log.exception("background work %s failed", getattr(work, "__module__", work))
                self.stopping.wait(1.0)

    def stop(self) -> None:
        """Ends watches and background work; requests being answered go on."""
        self.stopping.set()
        self.storage.stop()


def open_store(config: configuration.Config) -> store.Store:
    kind, _, rest = config.store_url().partition(":")
    if kind == "memory":
        return memory.MemoryStore()
    if kind == "sqlite":
        path = pathlib.Path(rest)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        return sqlite.SQLiteStore(path)
    raise ValueError(f"unknown kind of store: {config.store_url()!r} (sqlite:PATH or memory:)")


def serve(server: Server, sockets: Sequence[socket.socket]) -> http_server.Server:
    """Begins to answer on ``sockets``."""
    config = server.config
    tls = None
    if config.tls_certificate:
        authorities = [path for path in (config.client_ca, config.front_proxy_ca) if path]
        tls = transport.server_tls(
            transport.GEVENT, config.tls_certificate, config.tls_key, client_ca=authorities[0] if authorities else ""
        )
        for path in authorities[1:]:
            tls.load_verify_locations(path)
    listening = http_server.Server(server.application, list(sockets), tls=tls, transport=transport.GEVENT)
    listening.start()
    return listening


def _collect_garbage(server: Server) -> None:
    pause = _COLLECT_FIRST
    while not server.stopping.wait(pause):
        gc.collect()
        gc.freeze()
        pause = _COLLECT_PERIOD


def run(config: configuration.Config, sockets: Sequence[socket.socket]) -> None:
    """Serves until SIGTERM or SIGINT."""
    sys.setswitchinterval(_SWITCH_INTERVAL)
    gc.set_threshold(*_COLLECT)
    server = Server(config, open_store(config))
    server.start()
    stop = gevent_event.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        gevent.signal_handler(number, stop.set)
    if config.background:
        # Components that came before their roles would be refused and then wait; in the sockets they only queue.
        server.start_background()
        server.bootstrapped.wait(_BOOTSTRAP_SECONDS)
    listening = serve(server, sockets)
    gevent.spawn(_collect_garbage, server)
    _log.info("serving")
    stop.wait()
    server.stop()
    listening.stop(grace=5.0)
    server.store.close()
